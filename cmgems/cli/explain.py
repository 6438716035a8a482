"""``cmgems explain`` and ``cmgems motifs``: what a model looks at, and what that has in common."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cmgems.cli.inference import BatchSize, Model, Overlap, Sequences, Store
from cmgems.cli.recipes import Plugins

if TYPE_CHECKING:
    from cmgems.models.attention import Encoder

SHOWN = 20  # sequences on the page
MAP_TOKENS = 128  # longer sequences have no map from token to token

Layer = Annotated[
    int,
    typer.Option("--layer", help="Whose attention: 1 for the first layer; -1 the last, -2 the one before."),
]
HeadNumber = Annotated[
    int | None, typer.Option("--head", help="Which head, from 1; the mean over all if left out.")
]
Label = Annotated[
    str | None,
    typer.Option("--label", help="Class, label or quantity to explain; the likeliest one if left out."),
]


class Signal(StrEnum):
    """What makes a region worth a look."""

    attention = "attention"
    importance = "importance"


def explain(
    model: Model,
    sequences: Sequences,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    layer: Layer = -1,
    head: HeadNumber = None,
    label: Label = None,
    importance: Annotated[
        bool, typer.Option(help="Hide every base in turn and ask again: a forward pass a base.")
    ] = True,
    store: Store = None,
    overlap: Overlap = None,
    batch_size: BatchSize = 16,
    plugin: Plugins = None,
) -> None:
    """Show what a model attends to in sequences, and how much each base matters to its answer.

    Writes bases.csv (a row a base), explain.html (the first 20 sequences) and their figures as PNG.

    Example: cmgems explain runs/ft seqs.fa -o explained
    """
    import csv

    from cmgems.cli.inference import open_cutter, open_model, open_sequences, same_everywhere
    from cmgems.files import atomic_folder
    from cmgems.inference import BASE_COLUMNS, AttentionReader, Explainer, base_rows
    from cmgems.progress import progress
    from cmgems.report.explain import ExplainedSequence, write_page, write_pictures

    _check_new(out)
    _check_label(label, importance)
    saved = open_model(model, plugin, None)
    cutter = open_cutter(saved, overlap)
    named, bases = open_sequences(sequences, store, cutter)
    compute = same_everywhere()
    encoder = cast("Encoder", saved.model.to(compute.device).encoder)
    reader = AttentionReader(encoder, cutter, compute, layer, head)
    reader.check()
    explainer = Explainer(saved, cutter, compute, batch_size)
    if importance:
        explainer.check(label)
    answers = explainer.answers(named, label) if importance else []
    shown: list[ExplainedSequence] = []
    with (
        progress("explaining", bases * (1 + importance), "bp") as advance,
        atomic_folder(out) as partial,
        open(partial / "bases.csv", "w", newline="", encoding="utf-8") as handle,
    ):
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(BASE_COLUMNS)
        attended = reader.bases(named, batch_size, advance)
        asked = explainer.importance(named, answers, advance) if importance else None
        for number, (sequence, attention_L) in enumerate(zip(named, attended, strict=True)):
            importance_L = None if asked is None else next(asked)
            writer.writerows(base_rows(sequence, attention_L, importance_L))
            if number < SHOWN:
                fits = len(cutter.encode(sequence.codes)) <= min(MAP_TOKENS, cutter.max_positions)
                shown.append(
                    ExplainedSequence(
                        name=sequence.name,
                        bases=sequence.bases,
                        note=answers[number].text() if importance else "",
                        attention_L=attention_L,
                        importance_L=importance_L,
                        meaning=explainer.meaning() if importance else "",
                        level=explainer.level(),
                        maps=reader.maps(sequence) if fits else None,
                    )
                )
                write_pictures(partial / "figures", number + 1, shown[-1])
        notes = [f"{saved.folder}. {reader.describe()}"]
        if len(named) > SHOWN:
            notes.append(f"The first {SHOWN} of {len(named):,} sequences; bases.csv has all.")
        write_page(partial / "explain.html", "What the model looks at", notes, shown)
    typer.echo(f"{out}: {len(named):,} sequences, {bases:,} bases")


def motifs(
    model: Model,
    positives: Annotated[
        Path,
        typer.Argument(metavar="POSITIVES", help="FASTA or CSV of sequences that have what is looked for."),
    ],
    negatives: Annotated[
        Path, typer.Argument(metavar="NEGATIVES", help="FASTA or CSV of sequences that have not, else alike.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    by: Annotated[
        Signal, typer.Option("--by", help="Look where attention is high, or where hiding a base matters.")
    ] = Signal.attention,
    layer: Layer = -1,
    head: HeadNumber = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label", help="With --by importance: of which answer; what most positives are called."
        ),
    ] = None,
    width: Annotated[int, typer.Option("--width", help="Bases in the words tested.")] = 6,
    min_bp: Annotated[
        int, typer.Option("--min-bp", help="Shortest region, and what a word must share with one (bp).")
    ] = 4,
    window: Annotated[int, typer.Option("--window", help="Bases in a motif's matrix.")] = 12,
    cutoff: Annotated[
        float, typer.Option("--cutoff", help="Words with a corrected p-value below it are enriched.")
    ] = 0.005,
    min_sequences: Annotated[
        int, typer.Option("--min-sequences", help="Rarer words are not tested, rarer motifs not kept.")
    ] = 3,
    top: Annotated[int, typer.Option("--top", help="The most motifs to look for.")] = 10,
    both_strands: Annotated[
        bool, typer.Option("--both-strands", help="Take a word and its reverse complement as one.")
    ] = False,
    overlap: Overlap = None,
    batch_size: BatchSize = 16,
    plugin: Plugins = None,
) -> None:
    """Find motifs where a model looks: words enriched in the positive sequences, merged, as logos.

    Writes motifs.meme, motifs.csv (a row a word), sites.csv, motifs.html and a logo each as PNG.

    Example: cmgems motifs runs/ft promoters.fa others.fa -o motifs
    """
    from cmgems.cli.inference import open_cutter, open_model, open_sequences, same_everywhere
    from cmgems.files import atomic_folder, write_text
    from cmgems.inference import AttentionReader, Explainer
    from cmgems.motifs import MotifConfig, find_motifs, meme_text, motif_table, site_table
    from cmgems.progress import progress
    from cmgems.report.logo import check_logos
    from cmgems.report.motifs import write_logo, write_motif_page

    config = MotifConfig(width, min_bp, window, cutoff, min_sequences, both_strands, top)
    by_importance = by is Signal.importance
    _check_new(out)
    _check_label(label, by_importance)
    check_logos()
    saved = open_model(model, plugin, "fine_tuned" if by_importance else None)
    cutter = open_cutter(saved, overlap)
    inside, bases = open_sequences(positives, None, cutter)
    outside, _ = open_sequences(negatives, None, cutter)
    compute = same_everywhere()
    encoder = cast("Encoder", saved.model.to(compute.device).encoder)
    with progress("reading", bases, "bp") as advance:
        if by_importance:
            explainer = Explainer(saved, cutter, compute, batch_size)
            explainer.check(label)
            answers = explainer.answers(inside, label or explainer.commonest(inside))
            signals = list(explainer.importance(inside, answers, advance))
            seen = f"Importance for {answers[0].label}."
        else:
            reader = AttentionReader(encoder, cutter, compute, layer, head)
            reader.check()
            signals = list(reader.bases(inside, batch_size, advance))
            seen = reader.describe()
    ours, theirs = ([sequence.codes for sequence in part] for part in (inside, outside))
    found = find_motifs(ours, theirs, signals, config)
    with atomic_folder(out) as partial:
        write_text(partial / "motifs.meme", meme_text(found, theirs, both_strands))
        write_text(partial / "motifs.csv", motif_table(found))
        write_text(partial / "sites.csv", site_table(found, inside))
        for number, motif in enumerate(found, start=1):
            write_logo(motif, partial / "logos" / f"motif_{number}.png")
        notes = [f"{saved.folder}. {seen}", f"{positives} against {negatives}."]
        write_motif_page(partial / "motifs.html", "Motifs", notes, found, len(inside), len(outside))
    names = ", ".join(motif.consensus for motif in found) or "none"
    typer.echo(f"{out}: {len(found)} motifs: {names}")


def _check_new(out: Path) -> None:
    from cmgems.errors import CmgemsError

    if out.exists():
        raise CmgemsError("exists already", where=out, fix="remove it, or write to another folder")


def _check_label(label: str | None, importance: bool) -> None:
    from cmgems.errors import CmgemsError

    if label is not None and not importance:
        why = "attention is not of one answer"
        raise CmgemsError("--label without importance", why=why, fix="leave it out, or ask for importance")

"""``cmgems motifs``: what the regions that a model looks at have in common."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.explain import HeadNumber, Layer
from cmgems.cli.inference import (
    BatchTokens,
    Column,
    Device,
    DeviceChoice,
    ModelPath,
    Overlap,
    Precision,
    PrecisionChoice,
    SkipInvalid,
    opened,
)
from cmgems.cli.recipes import Plugins


class Signal(StrEnum):
    """What makes a region worth a look."""

    attention = "attention"
    importance = "importance"


Positives = Annotated[
    Path,
    typer.Argument(metavar="POSITIVES", help="FASTA or table of sequences that have what is looked for."),
]

Negatives = Annotated[
    Path, typer.Argument(metavar="NEGATIVES", help="FASTA or table of sequences that have not, else alike.")
]

Answer = Annotated[
    str | None,
    typer.Option("--label", help="With --by importance: of which answer; what most positives are called."),
]


def motifs(
    model: ModelPath,
    positives: Positives,
    negatives: Negatives,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    by: Annotated[
        Signal, typer.Option("--by", help="Look where attention is high, or where hiding a base matters.")
    ] = Signal.attention,
    layer: Layer = -1,
    head: HeadNumber = None,
    label: Answer = None,
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
    column: Column = "sequence",
    skip_invalid: SkipInvalid = False,
    overlap: Overlap = None,
    batch_tokens: BatchTokens = None,
    device: DeviceChoice = Device.auto,
    precision: PrecisionChoice = Precision.auto,
    plugin: Plugins = None,
) -> None:
    """Find motifs where a model looks: words enriched in the positive sequences, merged, as logos.

    Writes motifs.meme, motifs.csv (a row a word), sites.csv, motifs.html and a logo each as PNG.

    Example: cmgems motifs runs/ft promoters.fa others.fa -o motifs
    """
    from cmgems.files import check_new
    from cmgems.motifs import MotifConfig, discover_motifs
    from cmgems.report.folders import write_motifs
    from cmgems.report.logo import check_logos

    config = MotifConfig(width, min_bp, window, cutoff, min_sequences, both_strands, top)
    check_new(out)
    check_logos()
    with opened(
        model, positives, out, skip_invalid, device=device, precision=precision, batch_tokens=batch_tokens,
        overlap=overlap, plugins=plugin,
    ) as (loaded, invalid):  # fmt: skip
        found = discover_motifs(
            loaded, positives, negatives, config, by=by.value, layer=layer, head=head, label=label,
            column=column, skip_invalid=invalid, progress=True,
        )  # fmt: skip
        notes = [f"{loaded.name}. {found.signal}", f"{positives} compared with {negatives}."]
        write_motifs(out, found, notes)
    names = ", ".join(motif.consensus for motif in found.motifs) or "none"
    sizes = f"{len(found.positives):,} sequences compared with {len(found.negatives):,}"
    typer.echo(f"{out}: {len(found.motifs)} motifs: {names}; {sizes}")

"""The folders that ``cmgems explain`` and ``cmgems motifs`` write: tables, pictures and a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from cmgems.files import atomic_folder, write_text
from cmgems.inference.explain import ExplainedSequence
from cmgems.inference.tables import open_csv
from cmgems.motifs import Discovery, meme_text, motif_table, site_table
from cmgems.report.explain import write_page, write_pictures
from cmgems.report.motifs import write_logo, write_motif_page

SHOWN = 20  # sequences on the page


def write_explained(out: Path, sequences: Iterable[ExplainedSequence], note: str) -> tuple[int, int]:
    """Write bases.csv (a row a base), explain.html and figures of the first 20 sequences, all or nothing.

    Args:
        out: New folder.
        sequences: Written as they come.
        note: Which model, and which attention; stands under the page's title.

    Returns:
        How many sequences and bases there were.
    """
    shown: list[ExplainedSequence] = []
    count = bases = 0
    with atomic_folder(out) as partial:
        columns = ["name", "position", "base", "attention", "importance"]
        with open_csv(partial / "bases.csv", columns) as writerows:
            for count, sequence in enumerate(sequences, start=1):
                writerows(_rows(sequence))
                bases += len(sequence.bases)
                if count <= SHOWN:
                    shown.append(sequence)
                    write_pictures(partial / "figures", count, sequence)
        notes = [note]
        if count > SHOWN:
            notes.append(f"The first {SHOWN} of {count:,} sequences; bases.csv has all.")
        write_page(partial / "explain.html", "What the model looks at", notes, shown)
    return count, bases


def _rows(sequence: ExplainedSequence) -> Iterator[tuple[str, int, str, str, str]]:
    """A row for every base, its position from 1 (bp); cells without a value are empty."""
    for i, base in enumerate(sequence.bases):
        importance = "" if sequence.importance_L is None else _cell(sequence.importance_L[i])
        yield sequence.name, i + 1, base, _cell(sequence.attention_L[i]), importance


def _cell(value: float) -> str:
    return f"{value:.6g}" if value == value else ""


def write_motifs(out: Path, found: Discovery, notes: list[str]) -> None:
    """Write motifs.meme, motifs.csv (a row a word), sites.csv, motifs.html and a logo each, all or nothing.

    Args:
        out: New folder.
        found: The motifs.
        notes: Lines under the page's title.
    """
    background = [sequence.codes for sequence in found.negatives]
    with atomic_folder(out) as partial:
        write_text(partial / "motifs.meme", meme_text(found.motifs, background, found.config.both_strands))
        write_text(partial / "motifs.csv", motif_table(found.motifs))
        write_text(partial / "sites.csv", site_table(found.motifs, found.positives))
        for number, motif in enumerate(found.motifs, start=1):
            write_logo(motif, partial / "logos" / f"motif_{number}.png")
        sizes = len(found.positives), len(found.negatives)
        write_motif_page(partial / "motifs.html", "Motifs", notes, found.motifs, *sizes)

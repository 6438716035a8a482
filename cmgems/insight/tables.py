"""Bases, motifs and sites as rows of tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from cmgems.genome import decode
from cmgems.inference import NamedSequence
from cmgems.insight.motifs import Motif
from cmgems.insight.spread import Values

BASE_COLUMNS = ("name", "position", "base", "attention", "importance")


def base_rows(
    sequence: NamedSequence, attention_L: Values, importance_L: Values | None
) -> Iterator[tuple[str, int, str, str, str]]:
    """A row for every base: position (bp, from 1), base, attention, importance; these empty where unknown."""
    for i, base in enumerate(sequence.bases):
        importance = "" if importance_L is None else _cell(importance_L[i])
        yield sequence.name, i + 1, base, _cell(attention_L[i]), importance


def _cell(value: float) -> str:
    return f"{value:.6g}" if value == value else ""


def motif_table(motifs: Sequence[Motif]) -> str:
    """The words of the motifs as CSV, a row a word, the motif's own numbers beside them."""
    headings = ["motif", "consensus", "sites", "motif_positives", "motif_negatives", "tested"]
    rows = [
        [
            *(
                f"motif_{number}",
                motif.consensus,
                len(motif.sites),
                motif.positives,
                motif.negatives,
                motif.tested,
            ),
            *(word.bases, word.positives, word.negatives, f"{word.p:.4g}", f"{word.corrected:.4g}"),
        ]
        for number, motif in enumerate(motifs, start=1)
        for word in motif.words
    ]
    return _csv([*headings, "word", "positives", "negatives", "p", "corrected_p"], rows)


def site_table(motifs: Sequence[Motif], positives: Sequence[NamedSequence]) -> str:
    """The sites as CSV; ``start`` is the first base of the window, from 1 (bp), below 1 before the sequence."""
    rows = [
        [f"motif_{number}", positives[site.sequence].name, site.start + 1, site.strand, decode(codes_W)]
        for number, motif in enumerate(motifs, start=1)
        for site, codes_W in zip(motif.sites, motif.codes_IW, strict=True)
    ]
    return _csv(["motif", "name", "start", "strand", "bases"], rows)


def _csv(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([headings, *rows])
    return out.getvalue()

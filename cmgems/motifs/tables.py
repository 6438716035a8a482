"""Motifs and sites as rows of tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from cmgems.genome import decode
from cmgems.inference import NamedSequence
from cmgems.motifs.motif import Motif


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

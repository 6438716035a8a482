"""Motifs as logos, and a page of them with their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure as Picture

from cmgems.motifs.motif import Motif
from cmgems.report import render
from cmgems.report.figure import save_png
from cmgems.report.logo import PICTURE_COLOURS, draw_logo
from cmgems.report.records import Figure, Grid, Page, Paragraph, Part, Table
from cmgems.report.svg import inline_svg
from cmgems.report.theme import COLOURS, new_figure, page_style

PAGE_COLOURS = {"A": COLOURS[2], "C": COLOURS[0], "G": COLOURS[4], "T": COLOURS[1]}


def write_logo(motif: Motif, path: Path) -> None:
    """Write the logo of a motif as PNG."""
    figure = Picture(figsize=(6, 2.4), layout="constrained")
    axes = figure.add_subplot()
    draw_logo(motif.shares, axes, PICTURE_COLOURS)
    axes.set_xlabel("position in the window")
    save_png(figure, path)


def write_motif_page(
    path: Path, title: str, notes: Sequence[str], motifs: Sequence[Motif], positives: int, negatives: int
) -> None:
    """Write one self-contained page.

    Args:
        path: HTML to write.
        title: Of the page.
        notes: Lines under it.
        motifs: Best first; may be none.
        positives: How many positive sequences there were.
        negatives: How many negative ones.
    """
    headings = [
        "motif",
        "consensus",
        "sites",
        f"of {positives:,} positives",
        f"of {negatives:,} negatives",
        "corrected p",
    ]
    rows = [
        [f"motif {i}", m.consensus, len(m.sites), m.positives, m.negatives, m.words[0].corrected]
        for i, m in enumerate(motifs, start=1)
    ]
    parts: list[Part] = [Paragraph("No word is enriched enough in the positive sequences.", note=True)]
    if motifs:
        figures = [_figure(i, motif) for i, motif in enumerate(motifs, start=1)]
        parts = [Table(headings, rows, "All motifs"), Grid(figures)]
    render.write_page(Page("motifs", title, parts, [Paragraph(note) for note in notes]), path)


def _figure(number: int, motif: Motif) -> Figure:
    best = motif.words[0]
    with page_style():
        figure = new_figure(1.7)
        draw_logo(motif.shares, figure.add_subplot(), PAGE_COLOURS)
        logo = inline_svg(figure, f"Logo of motif {number}, consensus {motif.consensus}.")
    words = Table(
        ["word", "positives", "negatives", "p", "corrected p"],
        [[w.bases, w.positives, w.negatives, w.p, w.corrected] for w in motif.words],
        f"Words of motif {number}",
    )
    caption = (
        f"{len(motif.sites):,} sites. The best of {motif.tested:,} words, {best.bases}, is in {best.positives:,} of "
        f"the positives and {best.negatives:,} of the negatives."
    )
    return Figure(f"motif{number}", f"Motif {number}: {motif.consensus}", caption, logo, table=words)

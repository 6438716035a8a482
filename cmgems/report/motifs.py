"""Motifs drawn: logos, and a page with the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from cmgems.files import write_text
from cmgems.motifs.motif import Motif
from cmgems.report import page
from cmgems.report.figure import save_png
from cmgems.report.logo import PICTURE_COLOURS, draw_logo
from cmgems.report.svg import COLOURS, inline_svg, new_figure, page_style

PAGE_COLOURS = {"A": COLOURS[2], "C": COLOURS[0], "G": COLOURS[4], "T": COLOURS[1]}

STYLE = ".figures { margin-top: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 33rem)) }"


def write_logo(motif: Motif, path: Path) -> None:
    """Write the logo of a motif as PNG."""
    figure = Figure(figsize=(6, 2.4), layout="constrained")
    axes = figure.add_subplot()
    draw_logo(motif.shares, axes, PICTURE_COLOURS)
    axes.set_xlabel("place in the window")
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
    overview = page.table(
        [
            "motif",
            "consensus",
            "sites",
            f"of {positives:,} positives",
            f"of {negatives:,} negatives",
            "corrected p",
        ],
        [
            [f"motif {i}", m.consensus, len(m.sites), m.positives, m.negatives, m.words[0].corrected]
            for i, m in enumerate(motifs, start=1)
        ],
        "All motifs",
    )
    if not motifs:
        overview = page.paragraph("No word is enriched enough in the positive sequences.", "note")
    head = page.heading(title) + "".join(page.paragraph(note) for note in notes)
    logos = page.figures([_figure(i, motif) for i, motif in enumerate(motifs, start=1)])
    body = f"<header>{head}</header><main>{overview}{logos}</main>"
    write_text(path, page.html_page(title, body, f"{page.REPORT_STYLE}\n{STYLE}"))


def _figure(number: int, motif: Motif) -> str:
    best = motif.words[0]
    with page_style():
        figure = new_figure(1.7)
        draw_logo(motif.shares, figure.add_subplot(), PAGE_COLOURS)
        logo = inline_svg(figure, f"logo{number}", f"Logo of motif {number}, consensus {motif.consensus}.")
    words = page.table(
        ["word", "positives", "negatives", "p", "corrected p"],
        [[w.bases, w.positives, w.negatives, w.p, w.corrected] for w in motif.words],
        f"Words of motif {number}",
    )
    caption = (
        f"{len(motif.sites):,} sites. The best of {motif.tested:,} words, {best.bases}, is in {best.positives:,} of "
        f"the positives and {best.negatives:,} of the negatives."
    )
    return page.figure(f"motif{number}", f"Motif {number}: {motif.consensus}", caption, logo, words)

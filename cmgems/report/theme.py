"""The look of figures in a page: colours in light and in dark, sizes, and matplotlib's settings for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

RAMP = 7

# CSS variables, in light and in dark. c1 to c5 are for data: distinct without colour vision (after Okabe and Ito),
# and with the contrast that text in `back` needs on them. r1 to r7 go from little to much.
THEME = {
    "back": ("#ffffff", "#16181c"),
    "card": ("#f5f6f8", "#1f2228"),
    "text": ("#1a1a1a", "#e8e8e8"),
    "dim": ("#5c5c5c", "#a8a8a8"),
    "line": ("#d4d4d4", "#3a3d44"),
    "link": ("#00609a", "#7cc4f0"),
    "c1": ("#0072b2", "#56b4e9"),
    "c2": ("#c24e00", "#ff9a4d"),
    "c3": ("#007d5a", "#2fc79a"),
    "c4": ("#a0487f", "#e29bc6"),
    "c5": ("#8a6100", "#f0c419"),
    "r1": ("#0072b2", "#56b4e9"),
    "r2": ("#3581ac", "#64a3c6"),
    "r3": ("#6b91a6", "#7291a3"),
    "r4": ("#a0a0a0", "#808080"),
    "r5": ("#ab856b", "#aa896f"),
    "r6": ("#b76935", "#d5915e"),
    "r7": ("#c24e00", "#ff9a4d"),
}

# What figures are drawn in; `cmgems.report.svg` writes the variable of each.
BACK, TEXT, DIM, LINE = (THEME[name][0] for name in ("back", "text", "dim", "line"))
COLOURS = tuple(THEME[f"c{number}"][0] for number in range(1, 6))
RAMP_COLOURS = tuple(THEME[f"r{number}"][0] for number in range(1, RAMP + 1))

# Inches and points: a picture is as wide as a phone, so that text has its own size there, and grows on a desk.
WIDTH, HEIGHT, FONT = 5.0, 3.3, 10.0
_DPI = 72  # the unit of SVG

_STYLE: dict[Any, Any] = {
    "font.size": FONT,
    "axes.labelsize": FONT,
    "xtick.labelsize": FONT,
    "ytick.labelsize": FONT,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.color": TEXT,
    "text.parse_math": False,  # names may hold a $
    "axes.labelcolor": TEXT,
    "axes.edgecolor": DIM,
    "xtick.color": DIM,
    "ytick.color": DIM,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "grid.color": LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.6,
}


@contextmanager
def page_style() -> Iterator[None]:
    """Inside, figures are drawn for a page."""
    with mpl.rc_context(_STYLE):
        yield


def new_figure(height: float = HEIGHT) -> Figure:
    """An empty figure of the page's width; ``height`` in inches."""
    return Figure(figsize=(WIDTH, height), dpi=_DPI, layout="constrained")


def percent() -> FuncFormatter:
    """Ticks of shares: 12.5 %."""
    return FuncFormatter(lambda value, _: f"{100 * value:.4g} %")

"""Matplotlib figures as SVG inside a page.

Text stays text, ids are unique in the page, and colours follow its light or dark style. For the last, figures are drawn
in stand-in colours, one for each CSS variable of the theme, and `inline_svg` writes the variable where matplotlib
wrote the stand-in.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from cmgems.report.page import RAMP, THEME

# No figure uses these near-blacks for themselves.
_STAND_INS = {name: f"#0001{number:02x}" for number, name in enumerate(THEME)}
BACK, TEXT, DIM, LINE = (_STAND_INS[name] for name in ("back", "text", "dim", "line"))
COLOURS = tuple(_STAND_INS[f"c{number}"] for number in range(1, 6))
RAMP_COLOURS = tuple(_STAND_INS[f"r{number}"] for number in range(1, RAMP + 1))

# Inches and points: the picture is as wide as a phone, so that text has its own size there, and grows on a desk.
WIDTH, HEIGHT, FONT = 5.0, 3.3, 10.0
_DPI = 72  # what SVG counts in

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "cmgems",
    "font.size": FONT,
    "axes.labelsize": FONT,
    "legend.fontsize": FONT,
    "xtick.labelsize": FONT,
    "ytick.labelsize": FONT,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": TEXT,
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
    "legend.frameon": False,
    "legend.labelcolor": TEXT,
    "lines.linewidth": 1.6,
    "path.simplify": False,  # it drops lines of no length, which are dots
}


def percent() -> FuncFormatter:
    """Ticks of shares: 12.5 %."""
    return FuncFormatter(lambda value, _: f"{100 * value:.4g} %")


@contextmanager
def page_style() -> Iterator[None]:
    """Inside, figures are drawn for a page."""
    with mpl.rc_context(_STYLE):
        yield


def new_figure(height: float = HEIGHT) -> Figure:
    """An empty figure of the page's width; ``height`` in inches."""
    return Figure(figsize=(WIDTH, height), dpi=_DPI, layout="constrained")


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """A figure as an ``<svg>`` element.

    Args:
        figure: Drawn, and handed over, inside :func:`page_style`.
        name: Goes before the ids in it.
        description: What it shows, in words, for those who do not see it.
    """
    written = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(written, format="svg", metadata=nothing)
    drawn = written.getvalue()
    view = re.search(r'viewBox="([^"]*)"', drawn)
    assert view is not None
    content = drawn[drawn.index(">", view.end()) + 1 :]
    content = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", content, flags=re.DOTALL)
    content = content.replace("xlink:href", "href")
    # The page's own font. Older matplotlib writes size and family as one property.
    content = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", content)
    content = re.sub(r"font-family: [^;\"]*;? ?| transform=\"rotate\(-?0 [^\"]*\"", "", content)
    for variable, colour in _STAND_INS.items():
        content = content.replace(colour, f"var(--{variable})")
    content = re.sub(r'(?<= )(?:d|x|y)="[^"]*"', _shortened, content)
    content = re.sub(r">\s+<", "><", _own_ids(content, name))
    return f'<svg role="img" aria-label="{escape(description)}" viewBox="{view[1]}">{content.strip()}'


def _own_ids(content: str, name: str) -> str:
    """Drop the ids that nothing in the figure points at; prefix the others."""
    used = set(re.findall(r'(?:href="|url\()#([\w-]+)', content))
    content = re.sub(r'(href="|url\()#', rf"\1#{name}-", content)
    return re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", content)


def _shortened(attribute: re.Match[str]) -> str:
    """Coordinates to a tenth of a point and no letter more than SVG needs; lines of no length are dots."""
    text = re.sub(r"\d+\.\d+", lambda m: f"{float(m[0]):.1f}", " ".join(attribute[0].split()))
    if "C" in text or "Q" in text:
        return text
    text = re.sub(r"M (\S+ \S+) L \1(?= M| ?\")", r"M\1h0", text)
    return text.replace("M ", "M").replace(" L ", " ").replace(" M", "M")

"""What every page shares: one self-contained HTML file, light and dark, readable on a phone and by keyboard.

There is no script, and the page's own Content-Security-Policy forbids the network. Functions return HTML; they escape
every text they are given, except the parameters called ``html``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from html import escape

RAMP = 7
MOST_UNFOLDED = 4


def _ramp(low: str, middle: str, high: str) -> list[str]:
    """RAMP colours from ``low`` through ``middle`` to ``high``, each "#rrggbb"."""
    stops = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (low, middle, high)]
    found = []
    for place in (2 * number / (RAMP - 1) for number in range(RAMP)):
        first = min(int(place), 1)
        mixed = [a + (b - a) * (place - first) for a, b in zip(stops[first], stops[first + 1], strict=True)]
        found.append("#" + "".join(f"{round(part):02x}" for part in mixed))
    return found


# CSS variables, in light and in dark. c1 to c5 are for data: told apart without colour vision (after Okabe and Ito),
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
}
_RAMPS = (_ramp("#0072b2", "#a0a0a0", "#c24e00"), _ramp("#56b4e9", "#808080", "#ff9a4d"))
THEME |= {f"r{i + 1}": colours for i, colours in enumerate(zip(*_RAMPS, strict=True))}

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def _variables(shade: int) -> str:
    return " ".join(f"--{name}: {colours[shade]};" for name, colours in THEME.items())


BASE_STYLE = f"""
:root {{ color-scheme: light dark; {_variables(0)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(1)} }} }}
* {{ box-sizing: border-box }}
body {{ margin: 0 auto; padding: 1rem; max-width: 70rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }}
h1 {{ font-size: 1.4rem }}
h2 {{ font-size: 1.15rem; margin: 2rem 0 .2rem; border-top: 1px solid var(--line); padding-top: 1rem }}
h3 {{ font-size: .95rem; font-weight: 600; margin: 1rem 0 .3rem }}
p {{ margin: .2rem 0; color: var(--dim) }}
""".strip()

REPORT_STYLE = """
a { color: var(--link) }
:focus-visible { outline: 3px solid var(--c2); outline-offset: 2px; border-radius: 2px }
.skip { position: absolute; left: -100vw } .skip:focus { position: static; display: inline-block; padding: .5rem }
nav ul { list-style: none; margin: .5rem 0; padding: 0; display: flex; flex-wrap: wrap; gap: .1rem 1.2rem }
nav .outline { display: block } nav ul ul { margin: 0; padding-left: 1rem; font-size: .9rem }
nav a { display: inline-block; padding: .25rem 0 }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .6rem; margin: .8rem 0 }
.tiles div { background: var(--card); border-radius: .4rem; padding: .5rem .7rem }
.tiles dt { color: var(--dim); font-size: .85rem } .tiles dd { margin: 0; font-size: 1.25rem; font-weight: 600 }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 1.2rem 1.6rem }
figure { margin: 0; min-width: 0 } figcaption { font-size: .9rem; color: var(--dim) }
svg { display: block; width: 100%; height: auto; font-family: system-ui, sans-serif }
svg * { stroke-linejoin: round; stroke-linecap: butt }
.key { list-style: none; margin: .2rem 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0 1rem; font-size: .85rem }
.key li { display: flex; align-items: center; gap: .4rem } .key svg { width: 1.8rem; flex: none }
summary { cursor: pointer; padding: .3rem 0; color: var(--link); font-size: .9rem; width: fit-content }
.scroll { overflow-x: auto; max-width: 100% }
h3 { font-size: 1.15rem; margin: 1.8rem 0 .6rem } h4 { font-size: .95rem; margin: 0 0 .2rem }
h2 { font-size: 1.3rem }
table { border-collapse: collapse; font-size: .9rem; overflow-wrap: normal; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top }
thead th { color: var(--dim); font-weight: 600 } tbody th { font-weight: 400; min-width: 8rem }
.n { text-align: right; white-space: nowrap }
.note { border-left: 3px solid var(--c2); padding-left: .6rem; margin: .6rem 0 }
footer { margin-top: 2rem; border-top: 1px solid var(--line); padding-top: .5rem }
@media print { nav, .skip, details { display: none } body { max-width: none; padding: 0 }
  figure, table { break-inside: avoid } }
""".strip()


def html_page(title: str, html: str, style: str = "") -> str:
    """A whole page.

    Args:
        title: Of the window.
        html: The body.
        style: CSS beside BASE_STYLE.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{BASE_STYLE}\n{style}\n</style>\n</head>\n<body>\n"
        f"{html}\n</body>\n</html>\n"
    )


def cell_text(value: object) -> str:
    """A value as a reader wants it: four digits, thousands apart, a dash for what is missing or undefined."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (abs(value) >= 1000 and math.isfinite(value)):
        return f"{value:,.0f}"
    return f"{value:.4g}"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], label: str) -> str:
    """A table whose first column names its rows; it scrolls inside its own box.

    Args:
        headings: One a column.
        rows: Text and numbers; columns without text are set as numbers.
        label: Names it to a screen reader.
    """
    lines = [list(row) for row in rows]
    kinds = [
        ' class="n"' if all(line[i] is None or isinstance(line[i], int | float) for line in lines) else ""
        for i in range(len(headings))
    ]
    kinds[0] = ""
    head = "".join(
        f'<th scope="col"{kind}>{escape(text)}</th>' for text, kind in zip(headings, kinds, strict=True)
    )
    body = ""
    for first, *others in lines:
        cells = "".join(
            f"<td{kind}>{escape(cell_text(value))}</td>"
            for value, kind in zip(others, kinds[1:], strict=True)
        )
        body += f'<tr><th scope="row">{escape(cell_text(first))}</th>{cells}</tr>'
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def tiles(facts: Iterable[tuple[str, object]]) -> str:
    """A few figures, large."""
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(cell_text(value))}</dd></div>" for name, value in facts
    )
    return f'<dl class="tiles">{cells}</dl>'


def heading(text: str) -> str:
    """The page's own heading."""
    return f"<h1>{escape(text)}</h1>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; ``kind`` is its CSS class."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def figure(name: str, title: str, caption: str, svg_html: str, table_html: str = "") -> str:
    """A figure under its title, its caption below, and its data behind a button.

    Args:
        name: Its id in the page.
        title: A few words.
        caption: What it shows.
        svg_html: From :func:`cmgems.report.svg.inline_svg`, with a :func:`key`.
        table_html: From :func:`table`; nothing if empty.
    """
    shown = f"<h4>{escape(title)}</h4>{svg_html}<figcaption>{escape(caption)}</figcaption>"
    data = (
        f"<details><summary>{escape(title)}: the numbers</summary>{table_html}</details>"
        if table_html
        else ""
    )
    return f'<figure id="{escape(name)}">{shown}{data}</figure>'


def key(entries: Iterable[tuple[str, str]]) -> str:
    """A legend of (SVG shapes on a canvas of 24 x 10, label); HTML, so that it wraps on a phone."""
    items = "".join(
        f'<li><svg aria-hidden="true" viewBox="0 0 24 10">{shapes}</svg>{escape(label)}</li>'
        for shapes, label in entries
    )
    return f'<ul class="key">{items}</ul>'


def key_line(colour: str, dashes: str = "", shapes: str = "") -> str:
    """A line for a key: a variable of the theme, SVG's stroke-dasharray, and what lies on it."""
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<path d="M0 5H24" stroke="var(--{colour})" stroke-width="2.5"{dashed}/>{shapes}'


def key_area(colour: str, opacity: float = 1) -> str:
    """An area for a key: a variable of the theme."""
    return f'<path d="M0 0H24V10H0Z" fill="var(--{colour})" opacity="{opacity:g}"/>'


def figures(htmls: Sequence[str]) -> str:
    """Figures side by side where there is room; nothing if there are none."""
    return f'<div class="figures">{"".join(htmls)}</div>' if htmls else ""


def group(name: str, title: str, html: str) -> str:
    """A part of a section, under a smaller heading; ``name`` is its id."""
    return f'<h3 id="{escape(name)}">{escape(title)}</h3>{html}'


def section(name: str, title: str, html: str) -> str:
    """A section under a heading; ``name`` is its id."""
    return (
        f'<section id="{escape(name)}" aria-labelledby="{escape(name)}-h">'
        f'<h2 id="{escape(name)}-h">{escape(title)}</h2>{html}</section>'
    )


def contents(links: Iterable[tuple[str, str]]) -> str:
    """The navigation: (id, title) of the sections."""
    items = "".join(f'<li><a href="#{escape(name)}">{escape(title)}</a></li>' for name, title in links)
    return f'<nav aria-label="Contents"><ul>{items}</ul></nav>'


def outline(html: str) -> str:
    """The navigation of a page of sections with groups: links to both, to sections alone where there are many."""
    found = re.findall(r'<h([23]) id="([^"]*)">(.*?)</h', html)
    few = sum(level == "2" for level, _, _ in found) <= MOST_UNFOLDED
    items: list[tuple[str, list[str]]] = []
    for level, name, title in found:
        link = f'<a href="#{name}">{title}</a>'
        if level == "2":
            items.append((link, []))
        elif few:
            items[-1][1].append(f"<li>{link}</li>")
    lists = "".join(f"<li>{link}<ul>{''.join(inner)}</ul></li>" for link, inner in items)
    return f'<nav aria-label="Contents"><ul class="outline">{lists}</ul></nav>'

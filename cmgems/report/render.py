"""Records to HTML and Markdown, through the templates beside this module.

A page is one file without scripts, and its own Content-Security-Policy forbids the network. Every text is escaped.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from cmgems.files import write_text
from cmgems.report.records import Page, Part, cell_text
from cmgems.report.theme import THEME


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cmgems.report"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell_text
    environment.globals["theme"] = THEME
    return environment


def render(template: str, **values: Any) -> str:
    """A template of the folder ``templates`` with ``values``."""
    return _environment().get_template(template).render(**values)


def page_html(page: Page) -> str:
    """A whole page."""
    return render("page.html", page=page)


def part_html(part: Part) -> str:
    """A part of a page."""
    return render("part.html", part=part)


def write_page(page: Page, path: Path) -> None:
    """Write a page as HTML, whole or not at all.

    Raises:
        CmgemsError: if it cannot be written.
    """
    write_text(path, page_html(page))

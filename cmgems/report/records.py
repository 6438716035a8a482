"""What a page is made of: records that the templates render. Only the ``svg`` of a figure is HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from markupsafe import Markup

from cmgems import __version__

MOST_UNFOLDED = 4


@dataclass(frozen=True)
class Mark:
    """Text with an emphasis: ``strong``, or ``code`` for a name."""

    text: str
    style: Literal["strong", "code"]


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; ``note`` marks one that says what is missing or doubtful."""

    macro: ClassVar[str] = "paragraph"
    text: str
    note: bool = False


@dataclass(frozen=True)
class BulletList:
    """A list of lines of text."""

    macro: ClassVar[str] = "bullets"
    items: Sequence[str]


@dataclass(frozen=True)
class Tiles:
    """A few figures, large: (name, value)."""

    macro: ClassVar[str] = "tiles"
    facts: Sequence[tuple[str, object]]


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows.

    Attributes:
        headings: One a column.
        rows: Text, numbers and marks; a missing value is None.
        label: Names the table to a screen reader.
        note: A line under it.
    """

    macro: ClassVar[str] = "table"
    headings: Sequence[str]
    rows: Sequence[Sequence[object]]
    label: str
    note: str = ""

    @property
    def numeric(self) -> list[bool]:
        """Of each column, whether it is set as numbers: it has no text, and is not the first."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.headings)
        kinds = [
            all(value is None or isinstance(value, int | float) for value in column) for column in columns
        ]
        return [False, *kinds[1:]]


@dataclass(frozen=True)
class KeyEntry:
    """An entry of a figure's key.

    Attributes:
        label: What it says.
        colour: A variable of the theme.
        shape: What is drawn; ``dots`` is a line with a dot on it.
        dashes: SVG's stroke-dasharray of a line.
        opacity: Of an area.
    """

    label: str
    colour: str
    shape: Literal["line", "dots", "area", "dot", "triangle"] = "line"
    dashes: str = ""
    opacity: float = 1


@dataclass(frozen=True)
class Figure:
    """A figure under its title, with its caption below and its numbers behind a button.

    Attributes:
        name: Its id in the page.
        title: A few words.
        caption: What it shows.
        svg: From ``cmgems.report.svg.inline_svg``.
        key: The legend; it is not part of the picture, so that it wraps on a phone.
        table: The numbers; None if there are none.
    """

    macro: ClassVar[str] = "figure"
    name: str
    title: str
    caption: str
    svg: Markup
    key: Sequence[KeyEntry] = ()
    table: Table | None = None


@dataclass(frozen=True)
class Grid:
    """Figures, or tables, side by side where there is room."""

    macro: ClassVar[str] = "grid"
    parts: Sequence[Part]


@dataclass(frozen=True)
class Letter:
    """A base of a sequence: its CSS class, and how strongly it is coloured (percent) or the digit under it."""

    base: str
    style: str = ""
    percent: int | None = None
    digit: str | None = None


@dataclass(frozen=True)
class Letters:
    """A sequence in groups of ten, each with the position of its first base; with a ``meaning``, a legend instead."""

    macro: ClassVar[str] = "letters"
    letters: Sequence[Letter]
    meaning: str = ""

    @property
    def groups(self) -> list[tuple[int, Sequence[Letter]]]:
        """(position of the first from 1, letters)."""
        return [(first + 1, self.letters[first : first + 10]) for first in range(0, len(self.letters), 10)]


@dataclass(frozen=True)
class Group:
    """A part of a section, under a smaller heading; ``name`` is its id."""

    macro: ClassVar[str] = "group"
    name: str
    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Section:
    """A section under a heading; ``name`` is its id."""

    macro: ClassVar[str] = "section"
    name: str
    title: str
    parts: Sequence[Part]

    @property
    def groups(self) -> list[Group]:
        """Its groups, for the navigation."""
        return [part for part in self.parts if isinstance(part, Group)]


Part = Paragraph | BulletList | Tiles | Table | Figure | Grid | Letters | Group | Section


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        kind: The CSS class of the page.
        title: Of the window and the page.
        parts: The body.
        notes: Paragraphs under the title.
        contents: Whether there is a navigation of the sections.
    """

    version: ClassVar[str] = __version__
    kind: Literal["runs", "explain", "motifs", "masks"]
    title: str
    parts: Sequence[Part]
    notes: Sequence[Paragraph] = ()
    contents: bool = True

    @property
    def sections(self) -> list[Section]:
        """The sections that the navigation lists."""
        return [part for part in self.parts if isinstance(part, Section)] if self.contents else []

    @property
    def folded(self) -> bool:
        """Whether the navigation lists sections only, since there are many."""
        return len(self.sections) > MOST_UNFOLDED


def cell_text(value: object) -> str:
    """A value as a reader wants it: four digits, commas between thousands, a dash for what is missing or undefined."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (abs(value) >= 1000 and math.isfinite(value)):
        return f"{value:,.0f}"
    return f"{value:.4g}"

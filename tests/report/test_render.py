"""Records as HTML: escaping, numbers as readers want them, navigation."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from cmgems.report import records as r
from cmgems.report.render import page_html, part_html


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (math.nan, "–"), (1234567, "1,234,567"), (0.000123456, "0.0001235"), (2744.6, "2,745"),
        (0.5, "0.5"), (True, "True"), ("a", "a"), (math.inf, "inf"),
    ],
)  # fmt: skip
def test_cells(value, text):
    assert r.cell_text(value) == text


EVIL = '<b>&"'
FIGURE = r.Figure("f", EVIL, EVIL, Markup("<svg></svg>"))
PARTS = [
    r.Paragraph(EVIL),
    r.BulletList([EVIL]),
    r.Tiles([(EVIL, EVIL)]),
    r.Table([EVIL, EVIL], [[EVIL, EVIL], [EVIL, 1]], EVIL, note=EVIL),
    r.Table(["a"], [[r.Mark(EVIL, "code")], [r.Mark(EVIL, "strong")]], "marks"),
    FIGURE,
    replace(FIGURE, key=[r.KeyEntry(EVIL, "c1")], table=r.Table([EVIL], [], EVIL)),
    r.Grid([r.Paragraph(EVIL)]),
    r.Letters([r.Letter(EVIL, "h", digit=EVIL)]),
    r.Letters([r.Letter("A", "h")], meaning=EVIL),
    r.Group("g", EVIL, []),
    r.Section("s", EVIL, []),
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.macro)
def test_every_part_is_escaped(part):
    html = part_html(part)
    assert "&lt;b&gt;&amp;" in html
    assert EVIL not in html
    ElementTree.fromstring(f"<div>{html}</div>")


def test_the_page_is_escaped():
    html = page_html(
        r.Page("runs", EVIL, [r.Section("s", EVIL, [r.Group("g", EVIL, [])])], [r.Paragraph(EVIL)])
    )
    assert html.count("&lt;b&gt;&amp;") == 7
    assert EVIL not in html
    assert html.startswith("<!DOCTYPE html>")


def test_columns_of_numbers_are_set_as_numbers():
    html = part_html(r.Table(["a", "b", "c"], [["x", 1, "1"], ["y", None, 2]], "label"))
    assert html.count('<td class="n">') == 2
    assert '<th scope="col" class="n">b</th>' in html
    assert 'tabindex="0" aria-label="label"' in html


def test_marks_of_a_cell():
    html = part_html(r.Table(["a", "b"], [[r.Mark("cm_gems", "code"), r.Mark("0.5", "strong")]], "label"))
    assert '<th scope="row"><code>cm_gems</code></th><td><strong>0.5</strong></td>' in html


@pytest.mark.parametrize(
    ("entry", "shape"),
    [
        (r.KeyEntry("k", "c1"), '<path d="M0 5H24" stroke="var(--c1)" stroke-width="2.5"/>'),
        (r.KeyEntry("k", "c2", "dots", "5 3"), 'stroke-dasharray="5 3"/><circle cx="12" cy="5" r="3"'),
        (
            r.KeyEntry("k", "dim", "area", opacity=0.3),
            '<path d="M0 0H24V10H0Z" fill="var(--dim)" opacity="0.3"/>',
        ),
        (r.KeyEntry("k", "r3", "dot"), '<circle cx="12" cy="5" r="4" fill="var(--r3)"/>'),
        (r.KeyEntry("k", "text", "triangle"), '<path d="M12 1L17 9H7Z" fill="var(--text)"/>'),
    ],
)
def test_the_key_shows_what_is_drawn(entry, shape):
    html = part_html(replace(FIGURE, key=[entry]))
    assert shape in html
    assert "</svg>k</li>" in html


def test_sequences_stand_in_groups_of_ten():
    html = part_html(r.Letters([r.Letter(base) for base in "ACGT" * 6]))
    assert re.findall(r'class="g" data-at="(\d+)"', html) == ["1", "11", "21"]
    assert re.sub(r"<[^>]*>|\s", "", html) == "ACGT" * 6


def test_the_outline_folds_where_there_is_much():
    def page(count: int) -> str:
        sections = [r.Section(f"s{i}", f"S{i}", [r.Group(f"g{i}", f"G{i}", [])]) for i in range(count)]
        return re.search("<nav.*</nav>", page_html(r.Page("runs", "t", sections)), re.DOTALL)[0]

    assert '<a href="#s0-h">S0</a><ul><li><a href="#g0">G0</a></li></ul>' in page(1)
    folded = page(r.MOST_UNFOLDED + 1)
    assert "S4" in folded
    assert "G0" not in folded


def test_a_page_without_contents_has_no_navigation():
    sections = [r.Section("s", "S", [])]
    assert "<nav" not in page_html(r.Page("masks", "t", sections, contents=False))
    assert "<nav" not in page_html(r.Page("motifs", "t", [r.Paragraph("none")]))

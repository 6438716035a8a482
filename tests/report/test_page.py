"""The parts of a page: escaping, numbers as readers want them, navigation, contrast."""

from __future__ import annotations

import math

import pytest

from cmgems.report import page
from cmgems.report.page import THEME


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("shade", [0, 1])
@pytest.mark.parametrize("name", ["text", "dim", "link", "c1", "c2", "c3", "c4", "c5"])
def test_text_can_be_read_in_light_and_dark(name, shade):
    """4.5 : 1 is what WCAG asks of text; the ribbon writes in the background's colour on the data's."""
    assert contrast(THEME[name][shade], THEME["back"][shade]) >= 4.5


@pytest.mark.parametrize("shade", [0, 1])
def test_the_ramp_can_be_seen_and_goes_from_end_to_end(shade):
    ramp = [THEME[f"r{i + 1}"][shade] for i in range(page.RAMP)]
    assert min(contrast(colour, THEME["back"][shade]) for colour in ramp) >= 2.5
    assert len(set(ramp)) == page.RAMP
    assert ramp[0] == ("#0072b2", "#56b4e9")[shade]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (math.nan, "–"), (1234567, "1,234,567"), (0.000123456, "0.0001235"), (2744.6, "2,745"),
        (0.5, "0.5"), (True, "True"), ("a", "a"), (math.inf, "inf"),
    ],
)  # fmt: skip
def test_cells(value, text):
    assert page.cell_text(value) == text


def test_everything_is_escaped():
    evil = '<b>&"'
    for html in (
        page.table([evil, evil], [[evil, evil], [evil, 1]], evil),
        page.tiles([(evil, evil)]),
        page.paragraph(evil),
        page.heading(evil),
        page.figure("f", evil, evil, "", "x"),
        page.section("s", evil, ""),
        page.group("g", evil, ""),
        page.contents([(evil, evil)]),
        page.key([("", evil)]),
        page.html_page(evil, ""),
    ):
        assert "&lt;b&gt;&amp;" in html
        assert "<b>&" not in html


def test_columns_of_numbers_are_set_as_numbers():
    html = page.table(["a", "b", "c"], [["x", 1, "1"], ["y", None, 2]], "label")
    assert html.count('<td class="n">') == 2
    assert '<th scope="col" class="n">b</th>' in html
    assert 'tabindex="0" aria-label="label"' in html


def test_the_outline_folds_where_there_is_much():
    def sections(count: int) -> str:
        return "".join(page.section(f"s{i}", f"S{i}", page.group(f"g{i}", f"G{i}", "")) for i in range(count))

    assert '<a href="#s0-h">S0</a><ul><li><a href="#g0">G0</a></li></ul>' in page.outline(sections(1))
    folded = page.outline(sections(page.MOST_UNFOLDED + 1))
    assert "S4" in folded
    assert "G0" not in folded

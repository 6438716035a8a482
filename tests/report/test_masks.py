from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

import numpy as np
from rich.text import Text

from cmgems.masking.preview import MaskedSequence, MaskPreview
from cmgems.masking.stats import HIDDEN, PARTLY, MaskStats
from cmgems.report.masks import (
    bars,
    preview_page,
    preview_text,
    stats_csv,
    stats_table,
)


def block(name="chr1:1-12", tenths="0123456     "):
    states = np.zeros(12, np.uint8)
    states[2:5], states[3] = PARTLY, HIDDEN
    return MaskPreview("global_pmi", None, 0.141, (MaskedSequence(name, "ACGTNACGTACG", states, tenths),))


def test_text_says_all_without_colour():
    lines = Text.from_markup(preview_text([block("[bold]chr")], width=8)).plain.splitlines()
    assert lines[:9] == [
        "global_pmi  14.1 % of the tokens masked",
        "",
        "  [bold]chr: 1 of 12 bases hidden whole, 2 partly",
        "      1 ACGTNACG",
        "          -#-",
        "        0123456",
        "      9 TACG",
        "",
        "",
    ]
    assert "# hidden whole" in lines[-2]
    assert "0 = most tightly bound" in lines[-1]


def test_text_without_ranks_shows_no_digits():
    text = Text.from_markup(preview_text([block(tenths="")])).plain
    assert "0123456" not in text
    assert "tightly" not in text


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def test_page_is_self_contained_and_escapes():
    html = preview_page([block("<script>alert(1)</script>&")], "Masks of <a>.fa")
    page = Page()
    page.feed(html)
    assert page.links == []
    assert not {"script", "a", "link", "img"} & set(page.tags)
    assert "://" not in html
    assert "<script>alert(1)</script>&: " not in html
    assert "<script>alert(1)</script>&" in page.text
    assert "Masks of <a>.fa" in page.text
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html
    assert html.count('<i class="h">') == 1 + 1  # the base and the legend's
    assert html.count('<i class="p">') == 2 + 1


ROWS = [
    MaskStats("uniform", None, 400, 0.15, 0.001, 505, 505, None, None),
    MaskStats("global_pmi", "position", 400, 0.106, 0.071, 505, 115, 1336.2, (0.5, 0.25, *[0.0] * 8)),
]


def test_table():
    lines = stats_table(ROWS).splitlines()
    assert lines[0].split()[:2] == ["strategy", "ranked"]
    assert lines[1].split() == ["uniform", "-", "15.0", "%", "0.1", "%", "505", "of", "505", "-", "-"]
    assert lines[2].startswith("global_pmi  position   10.6 %         7.1 %  115 of 505")
    assert lines[2].endswith("1336  |█▄        |")


def test_bars():
    assert bars([0.0, 1.0, 0.5]) == " █▄"
    assert bars([0.0, 0.0]) == "  "


def test_csv():
    rows = list(csv.DictReader(io.StringIO(stats_csv(ROWS))))
    assert rows[0]["strategy"] == "uniform"
    assert rows[0]["rank_by"] == rows[0]["mean_rank"] == rows[0]["rank_tenth_1"] == ""
    assert float(rows[1]["rank_tenth_2"]) == 0.25
    assert rows[1]["positions_covered"] == "115"

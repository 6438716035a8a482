"""Pages and pictures of what a model looks at."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from cmgems.errors import CmgemsError
from cmgems.genome import encode
from cmgems.inference import AttentionMaps, ExplainedSequence
from cmgems.motifs import Motif, Site, Word
from cmgems.report import explain, motifs
from cmgems.report.logo import check_logos
from cmgems.report.render import part_html

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def sequence():
    rng = np.random.default_rng(0)
    importance_L = np.zeros(24)
    importance_L[[2, 9]] = 1.0, -0.5
    importance_L[23] = np.nan
    shares_SS = rng.dirichlet(np.ones(24), (2, 24)).astype(np.float32)
    return ExplainedSequence(
        name="<first>", bases="ACGT" * 6, note="promoter: 0.9", attention_L=rng.random(24) * 2,
        importance_L=importance_L, meaning="change of log-odds", level=0.0,
        maps=AttentionMaps(shares_SS, shares_SS, layer=2),
    )  # fmt: skip


@pytest.fixture
def motif():
    codes_IW = np.stack([encode(b"GATTACA"), encode(b"GATTACC"), encode(b"GACTACN")])
    sites = (Site(0, 1, "+"), Site(1, 2, "+"), Site(2, 3, "-"))
    return Motif((Word("GATTAC", 3, 0, 1e-6, 1e-5),), 3, 0, 40, sites, codes_IW)


def no_network(page):
    return not re.search(r"https?://|<script|@import|url\((?!#)", page.replace("http://www.w3.org", ""))


def test_the_page(sequence, tmp_path):
    path = tmp_path / "explain.html"
    explain.write_page(path, "Title", ["note & more"], [sequence, replace(sequence, maps=None)])
    page = path.read_text()
    assert no_network(page)
    assert "&lt;first&gt;" in page
    assert "<first>" not in page
    assert "note &amp; more" in page
    assert page.count("<figure") == 3  # bases twice, maps once
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg)
    assert not re.search(r'(fill|stroke)="#', page)  # every colour is a variable of the theme


def test_letters_are_coloured_by_what_speaks_for_and_against(sequence):
    html = part_html(explain.letters(sequence))
    assert re.findall(r'class="(up|down)" style="--w:(\d+)%"><b>([ACGT])', html) == [
        ("up", "55", "G"),
        ("down", "28", "C"),
    ]
    assert re.sub(r"<[^>]*>|\s", "", html) == sequence.bases
    only_attention = replace(sequence, importance_L=None, attention_L=np.array([3.0, 1, 0.2] + [1.0] * 21))
    assert re.findall(r'class="(\w+)" style', part_html(explain.letters(only_attention))) == ["up"]
    guess = replace(sequence, level=float(np.log(1 / 4)), importance_L=np.full(24, np.log(1 / 4)))
    assert "style" not in part_html(explain.letters(guess))


def test_a_long_sequence_has_no_letters(sequence, tmp_path):
    for length, shown in ((1000, True), (1001, False)):
        attention_L = np.ones(length)
        long = replace(sequence, bases="A" * length, attention_L=attention_L, importance_L=None, maps=None)
        explain.write_page(tmp_path / "e.html", "Title", [], [long])
        assert ('<div class="s">' in (tmp_path / "e.html").read_text()) == shown


def test_words_say_where_it_is_highest(sequence):
    attention_L = np.zeros(24)
    attention_L[[3, 7, 20]] = 5
    text = explain.in_words(replace(sequence, attention_L=attention_L))
    assert text.startswith("Attention is highest at 4, 8, 21. Importance is highest at 1, 2, 3.")


@pytest.mark.parametrize("length", [24, 5000])
def test_pictures(sequence, tmp_path, length):
    long = replace(
        sequence, bases="A" * length, attention_L=np.ones(length), importance_L=np.full(length, np.nan)
    )
    explain.write_pictures(tmp_path, 1, long)
    explain.write_pictures(tmp_path, 2, replace(long, maps=None, importance_L=None))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1_bases.png", "1_maps.png", "2_bases.png"]
    assert all(path.read_bytes().startswith(PNG) for path in tmp_path.iterdir())


def test_the_page_of_motifs(motif, tmp_path):
    pytest.importorskip("logomaker")
    motifs.write_motif_page(tmp_path / "m.html", "Motifs", ["a against b"], [motif, motif], 30, 40)
    page = (tmp_path / "m.html").read_text()
    assert no_network(page)
    assert page.count("<figure") == 2
    assert "GATTAC" in page
    assert "of 30 positives" in page
    motifs.write_logo(motif, tmp_path / "logo.png")
    assert (tmp_path / "logo.png").read_bytes().startswith(PNG)
    motifs.write_motif_page(tmp_path / "none.html", "Motifs", [], [], 30, 40)
    assert "No word is enriched" in (tmp_path / "none.html").read_text()


def test_without_logomaker(monkeypatch):
    monkeypatch.setitem(sys.modules, "logomaker", None)
    with pytest.raises(CmgemsError, match=r"sequence logos need logomaker: it is not installed; pip install"):
        check_logos()

"""What is written: MEME's format and the tables."""

import csv
import io

import numpy as np
import pytest

from cmgems.genome import encode
from cmgems.inference import NamedSequence
from cmgems.motifs import Motif, Site, Word, meme_text, motif_table, site_table


@pytest.fixture
def motif():
    words = (Word("GATTAC", 9, 1, 1e-4, 2e-3), Word("ATTACA", 7, 0, 2e-4, 3e-3))
    codes_IW = np.stack([encode(text) for text in (b"NGATTACA", b"CGATTACA", b"CGATTACT", b"GGATTACA")])
    sites = (Site(0, -1, "+"), Site(0, 12, "-"), Site(1, 3, "+"), Site(1, 20, "+"))
    return Motif(words, 9, 1, 20, sites, codes_IW)


def test_shares_and_consensus(motif):
    assert motif.consensus == "CGATTACA"
    assert motif.shares[0] == pytest.approx([0, 0, 2 / 3, 1 / 3])  # A, T, C, G; the N is nobody's
    assert motif.shares[7] == pytest.approx([0.75, 0.25, 0, 0])


def test_meme(motif):
    lines = meme_text([motif, motif], [encode(b"AACGN"), encode(b"TTTTT")], both_strands=True).splitlines()
    assert lines[0] == "MEME version 4"
    assert "ALPHABET= ACGT" in lines
    assert "strands: + -" in lines
    assert lines[lines.index("Background letter frequencies") + 1] == "A 0.2222 C 0.1111 G 0.1111 T 0.5556"
    start = lines.index("MOTIF motif_2 CGATTACA")
    assert lines[start + 1] == "letter-probability matrix: alength= 4 w= 8 nsites= 4 E= 2.00e-03"
    rows = np.array([[float(cell) for cell in line.split()] for line in lines[start + 2 : start + 10]])
    assert rows == pytest.approx(motif.shares[:, [0, 2, 3, 1]], abs=1e-6)
    assert rows.sum(1) == pytest.approx(1, abs=1e-5)


def test_a_background_of_unknown_bases_is_even(motif):
    assert "\nA 0.2500 C 0.2500 G 0.2500 T 0.2500\n" in meme_text(
        [motif], [encode(b"NNN")], both_strands=False
    )


def test_no_motif_is_a_header_only():
    assert "MOTIF" not in meme_text([], [encode(b"ACGT")], both_strands=False)
    assert motif_table([]).count("\n") == 1


def test_words_and_sites(motif):
    words = list(csv.DictReader(io.StringIO(motif_table([motif]))))
    assert [row["word"] for row in words] == ["GATTAC", "ATTACA"]
    assert words[1] == {
        "motif": "motif_1", "consensus": "CGATTACA", "sites": "4", "motif_positives": "9", "motif_negatives": "1",
        "tested": "20", "word": "ATTACA", "positives": "7", "negatives": "0", "p": "0.0002", "corrected_p": "0.003",
    }  # fmt: skip
    named = [NamedSequence(name, encode(b"ACGT"), "") for name in ("a,b", "c")]
    sites = list(csv.DictReader(io.StringIO(site_table([motif], named))))
    assert sites[0] == {"motif": "motif_1", "name": "a,b", "start": "0", "strand": "+", "bases": "NGATTACA"}
    assert [row["start"] for row in sites] == ["0", "13", "4", "21"]

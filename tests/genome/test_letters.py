"""Sequences as text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.errors import RecordError
from cmgems.genome import encode
from cmgems.genome.letters import bases_of, check_sequence, checked_codes, foreign_letter


@given(sequence=st.text("ACGTNacgt", min_size=1, max_size=40), k=st.integers(1, 8))
def test_kmers_and_the_sequence_are_one(sequence: str, k: int) -> None:
    kmers = [sequence[i : i + k] for i in range(max(len(sequence) - k, 0) + 1)]
    assert bases_of(" ".join(kmers)) == bases_of(f" {sequence}\n") == sequence


@pytest.mark.parametrize("text", ["ACGT ACGT", "ACG CGT TTT", "ACG CG", "ACG CGTA", "ACGTACGTAC GTTGCATTAC"])
def test_other_words_are_never_run_together(text: str) -> None:
    with pytest.raises(RecordError, match=r"not overlapping k-mers in s\.csv:2: \w+ is followed by \w+"):
        bases_of(text, "s.csv:2")


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        ("ACGU", r"looks like RNA in f:2, position 4: found 'U'; convert U to T"),
        ("acxxxt", r"masked with X in f:2, position 3: found 'x'; write N"),
        ("AC-GT", "gaps of an alignment"),
        ("AC.GT", "gaps of an alignment"),
        ("MKVL*", "looks like protein"),
        ("ACGT>chr2", "header inside a line"),
        ("AC1GT", "not DNA in f:2, position 3: found '1'"),
        ("AC GT", "found 'byte 0x20'"),
        ("AC\u00a0GT", "found 'byte 0xC2'"),
        ("", "no sequence in f:2"),
    ],
)
def test_letters_that_are_no_bases(sequence, message):
    with pytest.raises(RecordError, match=message):
        checked_codes(sequence, "f:2")


def test_every_code_is_a_base():
    assert foreign_letter(b"ACGTRYSWKMBDHVNacgtryswkmbdhvn", "") is None
    assert checked_codes("atcgN", "").tolist() == [0, 1, 2, 3, 255]


@given(st.text("ACGTNR", min_size=1, max_size=30), st.integers(1, 6))
def test_a_stretch_of_bases_is_what_counts(bases, least):
    fits = any(len(stretch) >= least for stretch in re.split("[NR]", bases))
    if fits:
        check_sequence(encode(bases.encode()), least, "here")
    else:
        with pytest.raises(RecordError, match="in here"):
            check_sequence(encode(bases.encode()), least, "here")

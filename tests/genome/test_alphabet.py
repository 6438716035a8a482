from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmgems.genome import AMBIGUOUS, decode, encode, reverse_complement
from cmgems.genome.alphabet import other_strand


def test_codes_are_in_vocabulary_order() -> None:
    assert encode(b"ATCGatcgNnRX\x00\xff").tolist() == [0, 1, 2, 3, 0, 1, 2, 3] + [AMBIGUOUS] * 6


@given(st.text("ACGTN"))
def test_round_trip(sequence: str) -> None:
    assert decode(encode(sequence.encode())) == sequence


@given(st.text("ACGTN"))
def test_reverse_complement(sequence: str) -> None:
    expected = sequence.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    codes = encode(sequence.encode())
    assert decode(reverse_complement(codes)) == other_strand(sequence) == expected
    assert np.array_equal(reverse_complement(reverse_complement(codes)), codes)


def test_iupac_codes_are_ambiguous_on_either_strand() -> None:
    codes = encode(b"ACRYSWKMBDHVNG")
    assert decode(reverse_complement(codes)) == "CNNNNNNNNNNNGT"


def test_reverse_complement_of_a_batch() -> None:
    batch = np.stack([encode(b"AACG"), encode(b"NTTT")])
    assert [decode(row) for row in reverse_complement(batch)] == ["CGTT", "AAAN"]

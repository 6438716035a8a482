"""Sequences as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.errors import RecordError
from cmgems.genome.letters import bases_of


@given(sequence=st.text("ACGTNacgt", min_size=1, max_size=40), k=st.integers(1, 8))
def test_kmers_and_the_sequence_are_one(sequence: str, k: int) -> None:
    kmers = [sequence[i : i + k] for i in range(max(len(sequence) - k, 0) + 1)]
    assert bases_of(" ".join(kmers)) == bases_of(f" {sequence}\n") == sequence


@pytest.mark.parametrize("text", ["ACGT ACGT", "ACG CGT TTT", "ACG CG", "ACG CGTA", "ACGTACGTAC GTTGCATTAC"])
def test_other_words_are_never_run_together(text: str) -> None:
    with pytest.raises(RecordError, match=r"not overlapping k-mers in s\.csv:2: \w+ is followed by \w+"):
        bases_of(text, "s.csv:2")

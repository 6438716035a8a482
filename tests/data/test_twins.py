"""Twins: the same length and dinucleotide counts, other letters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.data import count_twins, words
from cmgems.data.words import PackedRows


def kind(bases):
    pairs = [bases[i : i + 2] for i in range(len(bases) - 1)]
    return len(bases), sorted(pair for pair in pairs if "N" not in pair)


rows = st.lists(st.text("ACN", min_size=1, max_size=6), min_size=1, max_size=20)


@given(rows, rows, st.data())
def test_as_counted_pair_by_pair(mine, others, data):
    labels = data.draw(st.lists(st.integers(0, 2), min_size=len(others), max_size=len(others)))
    found = count_twins(mine, others, np.array(labels), 3)
    expected = np.zeros_like(found)
    for n, row in enumerate(mine):
        for other, label in zip(others, labels, strict=True):
            expected[n, label] += row != other and kind(row) == kind(other)
    assert np.array_equal(found, expected)


@given(rows, st.integers(1, 4))
def test_words_are_those_of_each_row(mine, k):
    found = PackedRows.of(mine).words(k)
    expected = [
        (n, i, sum("ATCG".index(base) << 2 * (k - 1 - j) for j, base in enumerate(row[i : i + k])))
        for n, row in enumerate(mine)
        for i in range(len(row) - k + 1)
        if "N" not in row[i : i + k]
    ]
    assert list(zip(found.rows_W, found.positions_W, found.numbers_W, strict=True)) == expected


@given(rows, st.integers(1, 12))
def test_parts_are_all_rows_in_their_order(mine, limit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "PART_BASES", limit)
        parts = list(words.in_parts(mine))
    assert [first for first, _ in parts] == [0, *np.cumsum([len(part) for _, part in parts])[:-1]]
    assert np.array_equal(np.concatenate([part.codes_T for _, part in parts]), PackedRows.of(mine).codes_T)
    assert all(len(part) == 1 or len(part.codes_T) <= limit for _, part in parts)

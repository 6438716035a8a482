"""Copies and near copies, beside a plain dynamic programme over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.data.copies import SHARE, find_copies
from cmgems.data.kernels import within
from cmgems.genome import alphabet
from cmgems.genome.alphabet import other_strand


def distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def near(a: str, b: str) -> bool:
    limit, other = int(SHARE * max(len(a), len(b))), alphabet.encode(b.encode())
    return any(within(alphabet.encode(strand.encode()), other, limit) for strand in (a, other_strand(a)))


def edited(rng, bases: str, edits: int) -> str:
    letters = list(bases)
    for _ in range(edits):
        at = int(rng.integers(len(letters)))
        letters[at : at + rng.integers(2)] = rng.choice(list("ACGT"), rng.integers(2))
    return "".join(letters)


def random_rows(rng, count, length):
    return ["".join(rng.choice(list("ACGT"), length)) for _ in range(count)]


@given(st.text("ACGTN", max_size=12), st.text("ACGTN", max_size=12), st.integers(0, 6))
@settings(deadline=None)
def test_within_is_the_edit_distance(a, b, limit):
    codes = [alphabet.encode(bases.encode()) for bases in (a, b)]
    assert within(*codes, limit) == (distance(a, b) <= limit)


@pytest.mark.parametrize("length", [20, 45, 70, 100, 200])
def test_no_near_copy_is_missed(length):
    rng = np.random.default_rng(length)
    others = random_rows(rng, 40, length)
    rows = [edited(rng, others[i % 40], i % (length // 7)) for i in range(60)]
    rows = [other_strand(row) if i % 3 == 0 else row for i, row in enumerate(rows)]
    found = find_copies(rows, others)
    opposite = [other_strand(row) for row in rows]
    assert found.exact_N.tolist() == [row in others for row in rows]
    assert found.reverse_N.tolist() == [
        a not in others and b in others for a, b in zip(rows, opposite, strict=True)
    ]
    assert found.copied.tolist() == [any(near(row, other) for other in others) for row in rows]
    assert not (found.near_N & (found.exact_N | found.reverse_N)).any()


def test_near_copies_of_simple_repeats_share_few_words():
    rng = np.random.default_rng(0)
    others = [edited(rng, "AG" * 50, 9) for _ in range(100)]
    rows = [edited(rng, "AG" * 50, 14) for _ in range(60)]
    expected = [any(near(row, other) for other in others) for row in rows]
    assert 0 < sum(expected) < 60
    assert find_copies(rows, others).copied.tolist() == expected


@pytest.mark.parametrize("length", [800, 3000])
def test_long_rows_are_found_by_a_share_of_their_words(length):
    rng = np.random.default_rng(length)
    others = random_rows(rng, 30, length)
    rows = [edited(rng, other, length // 15) for other in others] + random_rows(rng, 30, length)
    assert find_copies(rows, others).near_N.tolist() == [True] * 30 + [False] * 30


def test_rows_of_many_lengths_and_of_no_words():
    others = ["A", "ACGT", "N" * 30, "ACGTACGTAC" * 4, "T" * 50]
    rows = ["A", "T", "C", "N" * 30, "N" * 31, "ACGTACGTAC" * 4 + "GG", "A" * 50, "A" * 49]
    found = find_copies(rows, others)
    kinds = ["exact" if e else "reverse" if r else "near" if n else "" for e, r, n in zip(
        found.exact_N, found.reverse_N, found.near_N, strict=True)]  # fmt: skip
    assert kinds == ["exact", "reverse", "", "exact", "", "near", "reverse", "near"]
    assert find_copies([], others).copied.shape == (0,)

"""Rows of a test set that were trained on, and rows that repeat others."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from cmgems.data.copies import find_copies
from cmgems.data.labelled import LabelledSet
from cmgems.data.twins import count_twins


def leaked_rows(train: LabelledSet, test: LabelledSet) -> np.ndarray:
    """Which test rows have a sequence that is also in train, whatever their labels: bool (N,).

    Whole sequences are compared letter by letter, in either case: cutting them to what a model takes would make rows
    equal that differ behind the cut, and the answer would depend on the model. The other strand is another sequence.
    Of sets put together without ``bases`` the ids are compared.
    """
    train_rows, test_rows = _comparable(train, test)
    return found_in(test_rows, train_rows)


def novel_rows(test: LabelledSet, known: Sequence[LabelledSet]) -> np.ndarray:
    """Which test rows have no copy, near copy or twin among ``known``, whatever their labels: bool (N,).

    Args:
        test: N sequences.
        known: What a model was trained and chosen on. Of sets without ``bases`` equal ids are looked for, no more.
    """
    if not all(len(one.bases) == len(one) for one in (test, *known)):
        known_N: np.ndarray = np.logical_or.reduce([leaked_rows(one, test) for one in known])
        return ~known_N
    # Set by set, as audits look: a search among more rows may give up earlier.
    novel_N: np.ndarray = np.logical_and.reduce([are_novel(test.bases, one.bases) for one in known])
    return novel_N


def are_novel(rows: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """As ``novel_rows``, of sequences in capitals."""
    twins = count_twins(rows, known, np.zeros(len(known), np.int64), 1)
    novel_N: np.ndarray = ~(find_copies(rows, known).copied | twins.any(1))
    return novel_N


def excluded_rows(train: LabelledSet, test: LabelledSet | None) -> np.ndarray:
    """Which training rows a draw leaves out: their sequence is in test, or in an earlier row: bool (N,)."""
    excluded_N = repeats(_comparable(train)[0])
    if test is not None:
        excluded_N |= leaked_rows(test, train)
    return excluded_N


def found_in(rows: Sequence[Hashable], others: Sequence[Hashable]) -> np.ndarray:
    """Which rows are among ``others``: bool (N,)."""
    known = set(others)
    return np.array([row in known for row in rows], np.bool_)


def repeats(rows: Sequence[Hashable]) -> np.ndarray:
    """Which rows repeat an earlier one: bool (N,)."""
    first = {row: n for n, row in reversed(list(enumerate(rows)))}
    return np.array([first[row] != n for n, row in enumerate(rows)], np.bool_)


def _comparable(*sets: LabelledSet) -> list[Sequence[Hashable]]:
    """What tells the rows of these sets apart."""
    if all(len(one.bases) == len(one) for one in sets):
        return [one.bases for one in sets]
    return [[ids_S.tobytes() for ids_S in one.ids] for one in sets]

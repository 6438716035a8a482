"""Twins: different sequences of the same length and the same dinucleotide counts.

Chance hardly makes them of 70 bp or more. They are what a shuffle leaves alike: a negative example made by shuffling
the dinucleotides of a positive one is its twin, and where one of a pair is in train, it tells the other's label.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from cmgems.data.words import in_parts


def count_twins(
    rows: Sequence[str], others: Sequence[str], labels_M: npt.NDArray[np.int64], labels: int
) -> npt.NDArray[np.int64]:
    """How many twins of each label every row has among ``others``: int64 (N, labels).

    Args:
        rows: N sequences, in capitals.
        others: M sequences, in capitals.
        labels_M: Of ``others``, from 0.
        labels: How many labels there are.
    """
    alike = count_equal(_kinds(rows), _kinds(others), labels_M, labels)
    return alike - count_equal(rows, others, labels_M, labels)


def count_equal(
    rows: Sequence[Hashable], others: Sequence[Hashable], labels_M: npt.NDArray[np.int64], labels: int
) -> npt.NDArray[np.int64]:
    """How many equals of each label every row has among ``others``: int64 (N, labels). Arguments as above."""
    counts_of: dict[Hashable, npt.NDArray[np.int64]] = {}
    for row, label in zip(others, labels_M, strict=True):
        counts_of.setdefault(row, np.zeros(labels, np.int64))[label] += 1
    none = np.zeros(labels, np.int64)
    return np.array([counts_of.get(row, none) for row in rows]).reshape(-1, labels)


def _kinds(rows: Sequence[str]) -> list[bytes]:
    """What twins have in common: their length, and how often each two bases follow each other."""
    kinds: list[bytes] = []
    for _, packed in in_parts(rows):
        numbers, row_of, _ = packed.words(2)
        counts = np.bincount(row_of.astype(np.int64) * 16 + numbers, minlength=16 * len(packed))
        table = np.column_stack([packed.lengths, counts.reshape(-1, 16)])
        kinds += [kind.tobytes() for kind in table]
    return kinds

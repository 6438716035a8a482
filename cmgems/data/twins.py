"""Twins: different sequences of the same length and the same dinucleotide counts.

Chance hardly makes them of 70 bp or more. They are what a shuffle leaves alike: a negative example made by shuffling
the dinucleotides of a positive one is its twin, and where one of a pair is in train, it tells the other's label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from cmgems.data.words import PackedRows


def count_twins(rows: Sequence[str], others: Sequence[str], labels_M: npt.NDArray[np.int64]) -> np.ndarray:
    """How many twins of each label every row has among ``others``: int64 (N, labels).

    Args:
        rows: N sequences, in capitals.
        others: M sequences, in capitals.
        labels_M: Of ``others``, from 0; all 0 where labels do not matter.
    """
    of_kind, of_letters = _tally(_kinds(others), labels_M), _tally(others, labels_M)
    counts = np.zeros((len(rows), int(labels_M.max(initial=0)) + 1), np.int64)
    for row, (kind, letters) in enumerate(zip(_kinds(rows), rows, strict=True)):
        for label, count in of_kind.get(kind, {}).items():
            counts[row, label] = count - of_letters.get(letters, Counter())[label]
    return counts


def _tally(rows: Sequence[Hashable], labels_N: npt.NDArray[np.int64]) -> dict[Hashable, Counter[int]]:
    """How often each label stands beside each of ``rows``."""
    tally: dict[Hashable, Counter[int]] = {}
    for row, label in zip(rows, labels_N.tolist(), strict=True):
        tally.setdefault(row, Counter())[label] += 1
    return tally


def _kinds(rows: Sequence[str]) -> list[bytes]:
    """What twins have in common: their length, and how often each two bases follow each other."""
    packed = PackedRows.of(rows)
    numbers, row_of, _ = packed.words(2)
    counts = np.bincount(row_of.astype(np.int64) * 16 + numbers, minlength=16 * len(packed)).reshape(-1, 16)
    return [kind.tobytes() for kind in np.column_stack([packed.lengths, counts])]

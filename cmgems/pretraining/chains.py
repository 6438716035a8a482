"""Markov chains over bases, fitted on training windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from cmgems.genome.alphabet import Codes
from cmgems.pmi.kernels import count_window

Floats = npt.NDArray[np.float64]

MOST_ORDER = 5
# Each order leans on the one below it as if it had this many counts of it (MacKay and Peto 1995).
LEAN = 32.0


@dataclass(frozen=True, eq=False)
class Chains:
    """The probability of a base after the n before it, n = 0 to 5.

    Attributes:
        by_order: Of each order, float64 (4^n, 4): the bases before as a base-4 number, first base most significant.
    """

    by_order: tuple[Floats, ...]

    @classmethod
    def fit(cls, codes_BL: Codes, lengths_B: npt.NDArray[np.int32]) -> Self:
        """Count windows.

        Args:
            codes_BL: uint8, bases 0..3.
            lengths_B: int32, how far each row is read (bp).
        """
        n, rows = MOST_ORDER + 1, np.arange(len(codes_BL)) * codes_BL.shape[1]
        table, tails = np.zeros(4**n, np.uint32), np.zeros((4**n - 1) // 3, np.uint32)
        runs = np.stack([rows, rows + lengths_B], axis=1)
        count_window(codes_BL.ravel(), 0, 0, codes_BL.size, runs, n, table, tails)
        found = [np.full((1, 4), 0.25)]
        for order in range(n):
            counts_N4 = table.reshape(-1, 4**order, 4).sum(0, dtype=np.float64)
            lower_N4 = np.tile(found[-1], (len(counts_N4) // len(found[-1]), 1))
            found.append((counts_N4 + LEAN * lower_N4) / (counts_N4.sum(1, keepdims=True) + LEAN))
        return cls(tuple(found[1:]))

    def transitions(self, order: int, bases: int) -> Floats:
        """The chain of an order as transitions of states of ``bases`` bp, ``order`` or more: float64 (4^bases, 4)."""
        return np.tile(self.by_order[order], (4 ** (bases - order), 1))

    def start(self, order: int, bases: int) -> Floats:
        """How likely each stretch of ``bases`` bp is by itself: float64 (4^bases,)."""
        likely_N = np.ones(1)
        for done in range(bases):
            known = min(order, done)
            likely_N = (likely_N[:, None] * self.transitions(known, done)).ravel()
        return likely_N

"""Counting n-grams, as a compiled loop over runs of ACGT."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmgems.jit import kernel


@kernel
def count_window(
    codes_L: npt.NDArray[np.uint8],
    origin: int,
    low: int,
    high: int,
    runs: npt.NDArray[np.int64],
    n: int,
    table: npt.NDArray[np.uint32],
    tails: npt.NDArray[np.uint32],
) -> None:
    """Add the n-grams whose last base lies in [low, high) to ``table``, and the ends of runs to ``tails``.

    Args:
        codes_L: uint8 window of the genome that starts at flat position ``origin`` <= max(low - n + 1, 0).
        runs: int64 [R, 2], the runs that overlap [low, high); they hold no ambiguous base.
        table: uint32 [4^n].
        tails: uint32, tables of orders 0 to n-1 one after another; order m starts at (4^m - 1) / 3. For each run
            that ends in the window, its last n-1 bases are counted; for a shorter run, all of it.
    """
    # Unsigned: a signed index costs a check for negative values at every base.
    two, one = np.uint64(2), np.uint32(1)
    mask = np.uint64(4**n - 1)
    for r in range(runs.shape[0]):
        start = max(runs[r, 0], low - n + 1) - origin
        end = min(runs[r, 1], high) - origin
        first = min(start + n - 1, end)
        number = np.uint64(0)
        for i in range(start, first):
            number = (number << two) | np.uint64(codes_L[i])
        for i in range(first, end):
            number = (number << two) | np.uint64(codes_L[i])
            table[number & mask] += one
        if runs[r, 1] <= high:
            size = 4 ** min(n - 1, runs[r, 1] - runs[r, 0])
            tails[(size - 1) // 3 + np.int64(number & np.uint64(size - 1))] += one

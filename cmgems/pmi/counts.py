"""n-gram counts of a genome, all orders in one streaming pass.

Only the longest n is counted. Every n-gram inside a run of ACGT either begins an (n+1)-gram or ends its run,
so a shorter table is the marginal sum of the next longer one plus one n-gram for each run.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.pmi.kernels import count_window
from cmgems.progress import progress

MAX_N = 10  # a dense table of 4^10 int64 is 8 MiB
CHUNK_BASES = 1 << 24

Counts = dict[int, npt.NDArray[np.int64]]


class CodedGenome(Protocol):
    """What counting reads of a :class:`cmgems.genome.store.GenomeStore`."""

    @property
    def codes(self) -> npt.NDArray[np.uint8]: ...

    @property
    def runs(self) -> npt.NDArray[np.int64]: ...


def count_ngrams(store: CodedGenome, n_max: int) -> Counts:
    """Count all n-grams of length 1 to ``n_max`` that lie within a run of ACGT.

    Memory does not grow with the genome: it is read in chunks of 16 Mbp.

    Args:
        store: Base codes (A, T, C, G = 0..3, 255 = ambiguous) and runs of ACGT, int64 [R, 2], sorted.
        n_max: Longest n, 1 to 10.

    Returns:
        For each n an int64 [4^n] table; an n-gram's index is its base-4 number, first base most significant.

    Raises:
        CmgemsError: if ``n_max`` is out of range.
    """
    if not 1 <= n_max <= MAX_N:
        raise CmgemsError("n-gram length out of range", why=f"n is {n_max}", fix=f"use n = 1 to {MAX_N}")
    codes, runs = store.codes, np.ascontiguousarray(store.runs, np.int64)
    longest = np.zeros(4**n_max, np.int64)
    tails = np.zeros((4**n_max - 1) // 3, np.int64)
    table = np.zeros(4**n_max, np.uint32)  # half the cache of int64; a chunk cannot overflow it
    with progress("counting", len(codes), "bp") as advance:
        for low in range(0, len(codes), CHUNK_BASES):
            high = min(low + CHUNK_BASES, len(codes))
            origin = max(low - n_max + 1, 0)
            met = slice(np.searchsorted(runs[:, 1], low, "right"), np.searchsorted(runs[:, 0], high, "left"))
            count_window(_window(codes, origin, high), origin, low, high, runs[met], n_max, table, tails)
            longest += table
            table[:] = 0
            advance(high - low)

    counts = {n_max: longest}
    ends = np.zeros(4**n_max, np.int64)  # the last n bases of each run that has as many
    for n in range(n_max - 1, 0, -1):
        ends = ends.reshape(4, -1).sum(axis=0) + tails[(4**n - 1) // 3 : (4 ** (n + 1) - 1) // 3]
        counts[n] = counts[n + 1].reshape(-1, 4).sum(axis=1) + ends
    return counts


def _window(codes: npt.NDArray[np.uint8], start: int, end: int) -> npt.NDArray[np.uint8]:
    """``codes[start:end]``; of a file through its own mapping, so that its pages are let go afterwards."""
    if isinstance(codes, np.memmap) and codes.filename is not None:
        window = np.memmap(codes.filename, np.uint8, "r", offset=codes.offset + start, shape=(end - start,))
        return window.view(np.ndarray)
    return codes[start:end]

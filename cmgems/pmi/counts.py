"""n-gram counts of a genome, all orders in one streaming pass.

Only the longest n is counted. Every n-gram inside a run of ACGT either begins an (n+1)-gram or ends its run,
so a table is the marginal sum of the next longer one, plus one n-gram for each run.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cmgems.distributed import ALONE, World
from cmgems.errors import CmgemsError
from cmgems.pmi.kernels import count_window
from cmgems.process import available_cores
from cmgems.progress import progress

MAX_N = 10  # a dense table of 4^10 int64 is 8 MiB
CHUNK_BASES = 1 << 23
CHUNKS_A_BATCH = 511  # 511 x 2^23 bases: a uint32 cannot overflow, even if one worker counts all of them

Table = npt.NDArray[np.int64]
Counts = dict[int, Table]


class CodedGenome(Protocol):
    """The part of a ``cmgems.genome.store.GenomeStore`` that counting reads."""

    @property
    def codes(self) -> npt.NDArray[np.uint8]: ...

    @property
    def runs(self) -> npt.NDArray[np.int64]: ...


def count_ngrams(
    store: CodedGenome, n_max: int, *, workers: int | None = None, world: World = ALONE
) -> Counts:
    """Count all n-grams of length 1 to ``n_max`` that lie within a run of ACGT.

    The counts are the same for any number of workers and ranks. Memory does not grow with the genome: each worker
    reads chunks of 8 Mbp and has a table of its own, 15 MB together for n = 10.

    Args:
        store: Base codes (A, T, C, G = 0..3, 255 = ambiguous) and runs of ACGT, int64 [R, 2], sorted.
        n_max: Longest n, 1 to 10.
        workers: Number of threads; by default one a processor core, at most 4.
        world: Each rank counts its share of the genome, and all of them get the sum.

    Returns:
        For each n an int64 [4^n] table; an n-gram's index is its base-4 number, first base most significant.

    Raises:
        CmgemsError: if ``n_max`` or ``workers`` is out of range.
    """
    if not 1 <= n_max <= MAX_N:
        raise CmgemsError("n-gram length out of range", why=f"n is {n_max}", fix=f"use n = 1 to {MAX_N}")
    workers = default_workers() if workers is None else workers
    if workers < 1:
        raise CmgemsError("number of workers out of range", why=f"it is {workers}", fix="use 1 or more")

    chunks = range(0, len(store.codes), CHUNK_BASES)
    share = chunks[world.rank * len(chunks) // world.size : (world.rank + 1) * len(chunks) // world.size]
    longest, tails = _count_chunks(store, n_max, share, min(workers, len(share)), world.is_main)
    world.sum_counts(longest)
    world.sum_counts(tails)

    counts = {n_max: longest}
    ends = np.zeros(4**n_max, np.int64)  # the last n bases of each run that has as many
    for n in range(n_max - 1, 0, -1):
        ends = ends.reshape(4, -1).sum(axis=0) + tails[(4**n - 1) // 3 : (4 ** (n + 1) - 1) // 3]
        counts[n] = counts[n + 1].reshape(-1, 4).sum(axis=1) + ends
    return counts


def default_workers() -> int:
    """One worker a core this process may use, at most 4: more only wait for memory."""
    return min(4, available_cores())


def _count_chunks(store: CodedGenome, n: int, chunks: range, workers: int, show: bool) -> tuple[Table, Table]:
    """n-grams and ends of runs (see ``count_window``) in the chunks that start at these positions."""
    codes, runs = store.codes, np.ascontiguousarray(store.runs, np.int64)
    longest, tails = np.zeros(4**n, np.int64), np.zeros((4**n - 1) // 3, np.int64)
    # uint32 takes half the cache of int64. A table that is not in `free` is in use by a thread.
    tables = [np.zeros(len(longest), np.uint32) for _ in range(workers)]
    tail_tables = [np.zeros(len(tails), np.uint32) for _ in range(workers)]
    free = list(range(workers))

    def count(low: int) -> int:
        worker = free.pop()
        high = min(low + CHUNK_BASES, len(codes))
        origin = max(low - n + 1, 0)
        met = slice(np.searchsorted(runs[:, 1], low, "right"), np.searchsorted(runs[:, 0], high, "left"))
        window = _window(codes, origin, high)
        count_window(window, origin, low, high, runs[met], n, tables[worker], tail_tables[worker])
        free.append(worker)
        return high - low

    bases = min(len(chunks) * CHUNK_BASES, len(codes) - chunks.start)
    with ThreadPoolExecutor(max(workers, 1)) as pool, _progress(bases, show) as advance:
        for start in range(0, len(chunks), CHUNKS_A_BATCH):
            for counted in pool.map(count, chunks[start : start + CHUNKS_A_BATCH]):
                advance(counted)
            for total, parts in ((longest, tables), (tails, tail_tables)):
                for part in parts:
                    total += part
                    part[:] = 0
    return longest, tails


def _progress(bases: int, show: bool) -> AbstractContextManager[Callable[[float], None]]:
    return progress("counting", bases, "bp") if show else nullcontext(lambda _: None)


def _window(codes: npt.NDArray[np.uint8], start: int, end: int) -> npt.NDArray[np.uint8]:
    """``codes[start:end]``; for a file through a mapping of its own, so that its pages are released afterwards."""
    if isinstance(codes, np.memmap) and codes.filename is not None:
        window = np.memmap(codes.filename, np.uint8, "r", offset=codes.offset + start, shape=(end - start,))
        return window.view(np.ndarray)
    return codes[start:end]

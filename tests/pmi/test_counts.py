"""n-gram counts against a Counter."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.distributed import World
from cmgems.errors import CmgemsError
from cmgems.pmi import count_ngrams
from cmgems.pmi import counts as counts_module


@dataclass
class Genome:
    codes: npt.NDArray[np.uint8]
    runs: npt.NDArray[np.int64]


def genome(contigs: list[list[int]]) -> Genome:
    """Runs of A, C, G, T end at ambiguous bases (255) and at contig ends."""
    runs, start, position = [], 0, 0
    for contig in contigs:
        for code in [*contig, 255]:
            if code == 255 and position > start:
                runs.append((start, position))
            position += 1
            if code == 255:
                start = position
        position = start = position - 1  # the 255 added to close the contig
    flat = [code for contig in contigs for code in contig]
    return Genome(np.array(flat, np.uint8), np.array(runs, np.int64).reshape(-1, 2))


def reference(contigs: list[list[int]], n: int) -> list[int]:
    counter = Counter(tuple(c[i : i + n]) for c in contigs for i in range(len(c) - n + 1))
    known = {ngram: count for ngram, count in counter.items() if 255 not in ngram}
    table = [0] * 4**n
    for ngram, count in known.items():
        table[sum(code * 4**place for place, code in enumerate(reversed(ngram)))] = count
    return table


contigs_of_codes = st.lists(st.lists(st.sampled_from([0, 0, 1, 2, 3, 3, 255]), max_size=40), max_size=6)


@settings(max_examples=100, deadline=None)
@given(contigs_of_codes, st.integers(1, 6), st.integers(1, 50), st.integers(1, 4), st.integers(1, 3))
def test_counts_match_a_counter(
    contigs: list[list[int]], n_max: int, chunk: int, batch: int, workers: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts_module, "CHUNK_BASES", chunk)
        patch.setattr(counts_module, "CHUNKS_A_BATCH", batch)
        counts = count_ngrams(genome(contigs), n_max, workers=workers)
    assert sorted(counts) == list(range(1, n_max + 1))
    for n, table in counts.items():
        assert table.dtype == np.int64
        assert table.tolist() == reference(contigs, n)


class OneOf(World):
    """A rank that keeps its own share."""

    def sum_counts(self, counts: npt.NDArray[np.int64]) -> None:
        pass


@settings(max_examples=50, deadline=None)
@given(contigs_of_codes, st.integers(1, 5), st.integers(1, 50), st.integers(2, 4))
def test_the_shares_of_all_ranks_add_up(contigs: list[list[int]], n_max: int, chunk: int, ranks: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts_module, "CHUNK_BASES", chunk)
        whole = count_ngrams(genome(contigs), n_max)
        shares = [count_ngrams(genome(contigs), n_max, world=OneOf(rank, ranks)) for rank in range(ranks)]
    for n, table in whole.items():
        np.testing.assert_array_equal(sum(share[n] for share in shares), table)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_memory_mapped_genome_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    codes = np.random.default_rng(0).integers(0, 4, 100_000, dtype=np.uint8)
    runs = np.array([[0, 33_333], [33_334, 33_336], [40_000, 100_000]], np.int64)
    codes.tofile(tmp_path / "codes.bin")
    mapped = np.memmap(tmp_path / "codes.bin", np.uint8, "r")
    expected = count_ngrams(Genome(codes, runs), 5)
    monkeypatch.setattr(counts_module, "CHUNK_BASES", 1 << 13)
    for n, table in count_ngrams(Genome(mapped, runs), 5, workers=workers).items():
        np.testing.assert_array_equal(table, expected[n])


@pytest.mark.parametrize("n", [0, 11])
def test_order_out_of_range(n: int) -> None:
    with pytest.raises(CmgemsError, match="use n = 1 to 10"):
        count_ngrams(genome([[0, 1]]), n)


def test_no_worker() -> None:
    with pytest.raises(CmgemsError, match="use 1 or more"):
        count_ngrams(genome([[0, 1]]), 1, workers=0)


def test_no_table_can_overflow() -> None:
    assert counts_module.CHUNK_BASES * counts_module.CHUNKS_A_BATCH < 2**32


def test_an_interrupt_stops_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = []

    def slow(window: npt.NDArray[np.uint8], *_: object) -> None:
        chunks.append(window)
        time.sleep(0.01)

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(counts_module, "CHUNK_BASES", 1)
    monkeypatch.setattr(counts_module, "count_window", slow)
    # As Ctrl-C does, it meets the thread that waits for the others, here after the first chunk.
    monkeypatch.setattr(counts_module, "_progress", lambda *_: nullcontext(interrupted))
    with pytest.raises(KeyboardInterrupt):
        count_ngrams(genome([[0] * 1000]), 1, workers=2)
    assert len(chunks) < counts_module.CHUNKS_A_BATCH / 4


def test_one_process_needs_no_torch(small_genome) -> None:
    script = (
        "import sys; from pathlib import Path; from cmgems.distributed import open_world\n"
        "from cmgems.genome import GenomeStore; from cmgems.pmi import count_ngrams\n"
        "with open_world() as world: count_ngrams(GenomeStore.open(Path(sys.argv[1])), 6, world=world)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(small_genome.store)], check=True, timeout=120)

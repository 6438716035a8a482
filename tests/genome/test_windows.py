from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.errors import CmgemsError
from cmgems.genome import SAMPLERS, GeneMaskSampler, GenomeStore, Split, TiledSampler, split_runs

MakeStore = Callable[[dict[str, str]], GenomeStore]

contigs = st.lists(
    st.lists(st.sampled_from(["ACGTTGCATCAGAC", "N", "NNNNNNN", "C"]), min_size=1, max_size=20).map("".join),
    min_size=1,
    max_size=6,
)
lengths = st.tuples(st.integers(1, 40), st.integers(1, 40)).map(sorted)
seeds = st.integers(0, 2**63)


@pytest.fixture(scope="module")
def random_store(make_store: MakeStore) -> GenomeStore:
    rng = np.random.default_rng(0)
    return make_store(
        {f"c{i}": "".join(rng.choice(list("ACGT"), bp)) for i, bp in enumerate([100_000, 300, 40_000, 4])}
    )


def valid_positions(store: GenomeStore, start: int, length: int) -> np.ndarray:
    return start + np.flatnonzero(np.asarray(store.codes[start:]) < 4)[:length]


@settings(max_examples=100, deadline=None)
@given(
    contigs=contigs,
    bp=lengths,
    share=st.sampled_from([0.0, 0.5, 1.0]),
    seed=seeds,
    name=st.sampled_from(["tiled", "genemask"]),
    held_out=st.booleans(),
)
def test_invariants(
    contigs: list[str],
    bp: list[int],
    share: float,
    seed: int,
    name: str,
    held_out: bool,
    make_store: MakeStore,
) -> None:
    store = make_store({f"c{i}": contig for i, contig in enumerate(contigs)})
    runs = store.runs
    if held_out:  # as a split by block would leave them
        parts = [(s, e) for a, b in runs for s, e in ((a, a + 5), (a + 9, b)) if s < e <= b]
        runs = np.array(parts, dtype=np.int64).reshape(-1, 2)
    options = {"min_bp": bp[0], "max_bp": bp[1], "full_share": share}
    sampler = SAMPLERS.build(name, **options | ({"max_offset": 8} if name == "genemask" else {}))
    starts, lengths = sampler.windows(store, runs, seed, 0)

    assert (starts.dtype, lengths.dtype) == (np.int64, np.int32)
    assert len(starts) == len(lengths)
    assert ((bp[0] <= lengths) & (lengths <= bp[1])).all()
    allowed = {i for start, end in runs for i in range(start, end)}
    contig_of = np.searchsorted(store.offsets, np.arange(store.bases), side="right")
    used: list[int] = []
    for start, length in zip(starts, lengths, strict=True):
        positions = valid_positions(store, start, length)
        assert len(positions) == length
        assert positions[0] == start
        assert len(set(contig_of[positions])) == 1
        if name == "tiled":
            assert positions[-1] == start + length - 1
        used += positions.tolist()
    assert len(used) == len(set(used))
    assert set(used) <= allowed
    if name == "tiled" and bp[0] == 1:
        assert set(used) == allowed

    again = sampler.windows(store, runs, seed, 0)
    assert np.array_equal(again[0], starts)
    assert np.array_equal(again[1], lengths)


@pytest.mark.parametrize("name", ["tiled", "genemask"])
def test_epochs_and_seeds_differ(name: str, random_store: GenomeStore) -> None:
    sampler = SAMPLERS.get(name)
    drawn = [
        set(sampler.windows(random_store, random_store.runs, s, e)[0]) for s, e in [(0, 0), (0, 1), (1, 0)]
    ]
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]


def test_tiled_cuts_at_full_length(random_store: GenomeStore) -> None:
    starts, lengths = TiledSampler().windows(random_store, random_store.runs, 0, 0)
    assert np.count_nonzero(lengths < 510) <= 5  # two ends of two long contigs, and one short contig
    assert 300 in lengths
    assert lengths.sum() > random_store.bases - 25
    assert (np.diff(starts) < 0).any()


def test_full_share(random_store: GenomeStore) -> None:
    _, lengths = TiledSampler(full_share=0.5).windows(random_store, random_store.runs, 0, 0)
    assert 0.4 < (lengths == 510).mean() < 0.6
    short = lengths[lengths < 510]
    assert 230 < short.mean() < 285


def test_genemask_spans_gaps_but_no_held_out_block(make_store: MakeStore) -> None:
    store = make_store({"a": "ACGTTGCATCNNNNNACCATGGATT"})
    sampler = GeneMaskSampler(max_bp=20, min_bp=20, max_offset=1)
    starts, lengths = sampler.windows(store, store.runs, 0, 0)
    assert (starts.tolist(), lengths.tolist()) == ([0], [20])
    without_two_bases = np.array([[0, 8], [15, 25]])
    assert len(sampler.windows(store, without_two_bases, 0, 0)[0]) == 0


def test_genemask_drops_duplicates(make_store: MakeStore) -> None:
    store = make_store({"a": "ACGT" * 300, "b": "ACGT" * 300})
    starts, lengths = GeneMaskSampler(max_bp=8, min_bp=8, max_offset=1).windows(store, store.runs, 0, 0)
    assert lengths.tolist() == [8]
    assert len(starts) == 1


def test_genemask_keeps_its_offset(random_store: GenomeStore) -> None:
    runs = random_store.runs[:1]
    firsts = [GeneMaskSampler().windows(random_store, runs, 0, epoch)[0].min() for epoch in range(50)]
    assert 0 <= min(firsts) < 200 < 800 < max(firsts) < 1000


@pytest.mark.parametrize("name", ["tiled", "genemask"])
def test_no_runs_no_windows(name: str, random_store: GenomeStore) -> None:
    starts, lengths = SAMPLERS.get(name).windows(random_store, np.zeros((0, 2), np.int64), 0, 0)
    assert len(starts) == len(lengths) == 0


@pytest.mark.parametrize("options", [{"min_bp": 0}, {"min_bp": 511}, {"full_share": 1.1}])
@pytest.mark.parametrize("name", ["tiled", "genemask"])
def test_bad_options(name: str, options: dict[str, float]) -> None:
    with pytest.raises(CmgemsError):
        SAMPLERS.build(name, **options)


def test_many_small_contigs(shared_data: Path, tmp_path: Path) -> None:
    store = GenomeStore.build([shared_data / "genomes" / "human_fragments.fa.gz"], tmp_path / "store")
    train, _ = split_runs(store, Split())
    TiledSampler().windows(store, train[:10], 0, 0)  # compiles
    begin = time.perf_counter()
    starts, _ = TiledSampler().windows(store, train, 0, 0)
    assert time.perf_counter() - begin < 1
    assert len(starts) >= len(train) * 0.99

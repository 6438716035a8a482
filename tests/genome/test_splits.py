from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cmgems.errors import CmgemsError, DataError
from cmgems.genome import GenomeStore, Split, split_runs

MakeStore = Callable[[dict[str, str]], GenomeStore]

contigs = st.lists(
    st.lists(st.sampled_from(["ACGTACGTAC", "N", "NNNNNNN", "C"]), min_size=1, max_size=12).map("".join),
    min_size=1,
    max_size=8,
)
splits = st.builds(
    Split,
    by=st.sampled_from(["block", "contig"]),
    fraction=st.floats(0.01, 0.9),
    block_bp=st.integers(1, 50),
    seed=st.integers(0, 1000),
)


def covered(runs: np.ndarray, bases: int) -> np.ndarray:
    counts = np.zeros(bases, dtype=int)
    for start, end in runs:
        counts[start:end] += 1
    return counts


@settings(max_examples=100, deadline=None)
@given(contigs=contigs, split=splits)
def test_disjoint_covering_and_deterministic(contigs: list[str], split: Split, make_store: MakeStore) -> None:
    store = make_store({f"c{i}": contig for i, contig in enumerate(contigs)})
    try:
        train, validation = split_runs(store, split)
    except DataError:
        assume(False)
    in_train, in_validation = covered(train, store.bases), covered(validation, store.bases)
    assert np.array_equal(in_train + in_validation, np.asarray(store.codes) < 4)
    for runs in (train, validation):
        assert runs.dtype == np.int64
        assert (runs[:, 0] < runs[:, 1]).all()
        assert (runs[1:, 0] >= runs[:-1, 1]).all()
    contig_of = np.searchsorted(store.offsets, np.arange(store.bases), side="right")
    held, wanted = in_validation.sum(), split.fraction * store.valid_bases
    left = np.bincount(contig_of, in_train)
    fits = (held + left[left > 0] <= 2 * wanted) | (held < wanted / 2) & (
        left[left > 0] <= store.valid_bases / 2
    )
    assert held >= wanted or (split.by == "contig" and not fits.any())
    if split.by == "contig":
        assert not set(contig_of[in_train > 0]) & set(contig_of[in_validation > 0])
    else:
        block = (np.arange(store.bases) - store.offsets[contig_of - 1]) // split.block_bp
        blocks = list(zip(contig_of, block, strict=True))
        at = {i for i, n in enumerate(in_train) if n}, {i for i, n in enumerate(in_validation) if n}
        assert not {blocks[i] for i in at[0]} & {blocks[i] for i in at[1]}
    again = split_runs(store, split)
    assert np.array_equal(again[0], train)
    assert np.array_equal(again[1], validation)


def test_runs_are_cut_only_where_the_sides_meet(make_store: MakeStore) -> None:
    store = make_store({"a": "ACGT" * 250})
    train, validation = split_runs(store, Split(block_bp=10, fraction=0.01))
    assert len(validation) == 1
    assert len(train) <= 2


def test_fraction_is_met_closely(make_store: MakeStore) -> None:
    store = make_store({"a": "ACGT" * 2500})
    _, validation = split_runs(store, Split(block_bp=100, fraction=0.05))
    assert (validation[:, 1] - validation[:, 0]).sum() == 500


def test_seeds_differ(make_store: MakeStore) -> None:
    store = make_store({"a": "ACGT" * 2500})
    drawn = {tuple(split_runs(store, Split(block_bp=100, seed=seed))[1][:, 0]) for seed in range(5)}
    assert len(drawn) == 5


def test_named_contigs(make_store: MakeStore) -> None:
    store = make_store({"chr1": "ACGT", "chr2": "GGNCC", "chr3": "TT"})
    train, validation = split_runs(store, Split(by="contig", contigs=("chr2",)))
    assert train.tolist() == [[0, 4], [9, 11]]
    assert validation.tolist() == [[4, 6], [7, 9]]
    with pytest.raises(DataError, match=r"unknown contig 'chr4'.*did you mean"):
        split_runs(store, Split(by="contig", contigs=("chr4",)))


@pytest.mark.parametrize(
    ("lengths", "held"),
    [
        ((4000, 300, 20), 320),  # all that are small enough, however little
        ((4000, 600, 500, 500), None),  # one or two of the small ones
        ((4000, 4000, 3800), 3800),  # all are too large: the smallest
        ((4000, 4000, 3800, 12), 3812),  # besides what is next to nothing: a mitochondrion
    ],
)
def test_a_contig_that_is_most_of_the_genome_is_not_held_out(
    lengths: tuple[int, ...], held: int | None, make_store: MakeStore
) -> None:
    store = make_store({f"c{n}": "ACGT" * (length // 4) for n, length in enumerate(lengths)})
    for seed in range(8):
        validation = split_runs(store, Split(by="contig", fraction=0.15, seed=seed))[1]
        found = int(np.diff(validation).sum())
        assert found == held if held else 0.15 <= found / sum(lengths) <= 2 * 0.15


def test_one_side_empty(make_store: MakeStore) -> None:
    with pytest.raises(DataError, match=r"no bases left for training.*smaller `data.split.block_bp`"):
        split_runs(make_store({"a": "ACGT"}), Split())
    with pytest.raises(DataError, match="no bases left for validation"):
        split_runs(make_store({"a": "ACGT", "n": "NN"}), Split(by="contig", contigs=("n",)))
    with pytest.raises(DataError, match=r"no bases in .*: the genome has no A, C, G or T"):
        split_runs(make_store({"n": "NN"}), Split())


@pytest.mark.parametrize(
    "options",
    [
        {"fraction": 0.0},
        {"fraction": 1.0},
        {"block_bp": 0},
        {"by": "gene"},
        {"contigs": ("a",)},
        {"seed": -1},
        {"seed": 2**64},
    ],
)
def test_bad_options(options: dict[str, object]) -> None:
    with pytest.raises(CmgemsError):
        Split(**options)  # type: ignore[arg-type]


def test_many_small_contigs(shared_data: Path, tmp_path: Path) -> None:
    store = GenomeStore.build([shared_data / "genomes" / "human_fragments.fa.gz"], tmp_path / "store")
    train, validation = split_runs(store, Split())
    assert len(train) + len(validation) == len(store.names)

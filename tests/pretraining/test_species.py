"""Windows of several species, each as often as it is to be read."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.errors import CmgemsError, DataError
from cmgems.genome import GenomeStore
from cmgems.pretraining import GenomeData, PretrainingData
from cmgems.pretraining.species import SpeciesWeights
from cmgems.tokenization import TOKENIZERS

BOTH = {"prefixes": ("human_", "mouse_")}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """30 kbp of one species in two contigs, 20 kbp of another."""
    folder, rng = tmp_path_factory.mktemp("species"), np.random.default_rng(0)
    for name, lengths in (("human", (20_000, 10_000)), ("mouse", (20_000,))):
        contigs = ("".join(rng.choice(list("ACGT"), length)) for length in lengths)
        (folder / f"{name}.fa").write_text("".join(f">chr{n}\n{bases}\n" for n, bases in enumerate(contigs)))
    fastas = [folder / "human.fa", folder / "mouse.fa"]
    return GenomeStore.build(fastas, folder / "store", prefixes=("human_", "mouse_"))


def data_of(store, **options):
    config = GenomeData(store=store.folder, **options)
    return PretrainingData(config, TOKENIZERS.get("kmer6"), 512, seed=1)


def share_of_mouse(store, starts_N):
    return float((starts_N >= store.offsets[2]).mean())


def test_weights_are_how_often_windows_are_read(store):
    plain = Counter(data_of(store).epoch_windows(0)[0].tolist())
    data = data_of(store, **BOTH, weights=(2.0, 0.5))
    epochs = [data.epoch_windows(epoch)[0] for epoch in range(20)]
    read = Counter(epochs[0].tolist())
    assert read.keys() <= plain.keys()
    of_human = {start for start in plain if start < store.offsets[2]}
    assert {read[start] for start in of_human} == {2}
    assert {read[start] for start in plain.keys() - of_human} <= {0, 1}
    half = 0.5 * (len(plain) - len(of_human))
    shares = [share_of_mouse(store, starts_N) for starts_N in epochs]
    assert np.mean(shares) == pytest.approx(half / (2 * len(of_human) + half), abs=0.02)
    assert not np.array_equal(epochs[0][:20], np.sort(epochs[0][:20]))


def test_weights_of_one_keep_every_window(store):
    starts_N = data_of(store, **BOTH, weights=(1.0, 1.0)).epoch_windows(3)[0]
    assert sorted(starts_N) == sorted(data_of(store).epoch_windows(3)[0])


def test_the_longest_prefix_counts(store):
    starts_N, _ = data_of(store, prefixes=("", "mouse_"), weights=(1.0, 0.0)).epoch_windows(0)
    assert share_of_mouse(store, starts_N) == 0


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**40), epoch=st.integers(0, 50))
def test_an_epoch_is_a_function_of_seed_and_number(store, seed, epoch):
    weights = SpeciesWeights(store, ("human_", "mouse_"), (0.3, 1.5))
    starts_N, lengths_N = np.arange(0, 50_000, 500), np.full(100, 500, np.int32)
    one, other = (weights.read(starts_N, lengths_N, seed, epoch) for _ in range(2))
    assert np.array_equal(one[0], other[0])
    later = weights.read(starts_N, lengths_N, seed, epoch + 1)
    assert not np.array_equal(one[0], later[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prefixes": ("human_",), "weights": (1.0,)}, r"contigs of no species in data.prefixes: mouse_chr0 begin"),
        ({"prefixes": ("human_", "mouse_", "rat_"), "weights": (1.0,) * 3}, r"species without contigs .* 'rat_'"),
        ({"prefixes": ("human_",)}, "as many"),
        ({"prefixes": ("a", "a"), "weights": (1.0, 1.0)}, "the prefixes different"),
        ({"prefixes": ("a", "b"), "weights": (1.0, -1.0)}, "0 or more"),
        ({"prefixes": ("a", "b"), "weights": (0.0, 0.0)}, "one above 0"),
    ],
)  # fmt: skip
def test_bad_weights(store, options, message):
    with pytest.raises(CmgemsError, match=message):
        data_of(store, **options)


def test_large_seeds_differ(store):
    species = SpeciesWeights(store, BOTH["prefixes"], (1.0, 1.0))
    starts_N = np.arange(0, 30_000, 100)
    windows = starts_N, np.full(len(starts_N), 100, np.int32)
    first, second = (species.read(*windows, seed=2**64 - n, epoch=0)[0] for n in (1, 2))
    assert first.tolist() != second.tolist()


def test_weights_that_leave_no_window(store):
    data = data_of(store, **BOTH, weights=(1e-9, 0.0))
    with pytest.raises(DataError, match=r"no training window is read in data.weights"):
        data.epoch_windows(0)

"""PMI definitions against an enumeration of all segmentations, and against the published ranking."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.pmi import DEFINITIONS, PMITable
from cmgems.pmi.counts import Counts
from cmgems.pmi.definitions import both_strands, exact, genemask2023, kmer, normalize, rank


def random_counts(k: int, seed: int, zeros: float) -> Counts:
    """Counts of all orders that are marginals of random k-mer counts, some of them 0."""
    rng = np.random.default_rng(seed)
    counts = {k: rng.integers(1, 1000, 4**k) * (rng.random(4**k) >= zeros)}
    counts[k][0] += 1  # never all of them 0
    for n in range(k - 1, 0, -1):
        counts[n] = counts[n + 1].reshape(-1, 4).sum(axis=1)
        counts[n] += counts[n + 1].reshape(4, -1).sum(axis=0)
    return counts


def segmentations(word: tuple[int, ...], longest: int) -> Iterator[list[tuple[int, ...]]]:
    for cuts in itertools.product([False, True], repeat=len(word) - 1):
        parts, start = [], 0
        for position, cut in enumerate([*cuts, True], start=1):
            if cut:
                parts.append(word[start:position])
                start = position
        if len(parts) > 1 and max(map(len, parts)) <= longest:
            yield parts


def brute_force(definition: str, counts: Counts, k: int) -> list[float]:
    pooled = definition == "genemask2023"
    total = {n: counts[1].sum() + counts[2].sum() if pooled else counts[n].sum() for n in counts}

    def log_p(word: tuple[int, ...]) -> float:
        index = sum(code * 4**place for place, code in enumerate(reversed(word)))
        with np.errstate(divide="ignore"):
            return float(np.log(counts[len(word)][index] / total[len(word)]))

    longest = 2 if pooled else k - 1
    scores = []
    for word in itertools.product(range(4), repeat=k):
        whole = log_p(word)
        if whole == -np.inf:
            scores.append(whole)
        else:
            scores.append(min(whole - sum(map(log_p, parts)) for parts in segmentations(word, longest)))
    return scores


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(sorted(DEFINITIONS)),
    st.integers(3, 4),
    st.integers(0, 99),
    st.sampled_from([0, 0.3, 0.97]),
)
def test_definitions_match_brute_force(definition: str, k: int, seed: int, zeros: float) -> None:
    counts = random_counts(k, seed, zeros)
    np.testing.assert_allclose(
        DEFINITIONS[definition](counts, k), brute_force(definition, counts, k), atol=1e-12
    )


@given(st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]), min_size=1, max_size=64))
def test_rank_is_a_stable_permutation(values: list[float]) -> None:
    ranks = rank(np.array(values))
    assert ranks.dtype == np.int32
    by_rank = sorted(range(len(values)), key=lambda i: (-values[i], i))
    assert [ranks[i] for i in by_rank] == list(range(1, len(values) + 1))


def test_normalize_halves_at_101() -> None:
    npmi = normalize(np.array([3.0, 3.0, -np.inf]), np.array([101, 1, 0]))
    np.testing.assert_allclose(npmi, [1.5, 0.0, -np.inf])


@given(st.integers(3, 5), st.integers(0, 99))
def test_both_strands_is_symmetric(k: int, seed: int) -> None:
    counts = random_counts(k, seed, zeros=0.2)
    for n, table in both_strands(counts).items():
        for word in itertools.product(range(4), repeat=n):
            mirrored = tuple([1, 0, 3, 2][code] for code in reversed(word))
            i, j = (sum(code * 4**place for place, code in enumerate(reversed(w))) for w in (word, mirrored))
            assert table[i] == table[j] == counts[n][i] + counts[n][j]


# The published table holds no counts, but its two PMI columns give those of the 6-mers, and they those of
# shorter n-grams but for the ends of runs.


@pytest.fixture(scope="module")
def published(shared_data: Path) -> PMITable:
    return PMITable.load(shared_data / "human_6mer_npmi.csv")


@pytest.fixture(scope="module")
def published_counts(published: PMITable) -> Counts:
    counts = {6: published.count}
    for n in range(5, 0, -1):
        counts[n] = counts[n + 1].reshape(-1, 4).sum(axis=1)
    return counts


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def test_published_counts(published: PMITable, shared_data: Path) -> None:
    assert published.count.sum() == 669_128_271
    assert normalize(published.pmi, published.count) == pytest.approx(published.npmi, abs=1e-9)
    with open(shared_data / "human_6mer_npmi.csv") as file:
        listed = {row["ngram"]: int(row["norm_pmi_rank_rel"]) for row in csv.DictReader(file)}
    assert [listed[kmer(number, 6)] for number in range(4096)] == published.rank.tolist()


def test_genemask2023_gives_the_published_values(published: PMITable, published_counts: Counts) -> None:
    pmi = genemask2023(published_counts, 6)
    assert np.abs(pmi - published.pmi).max() < 0.004
    assert spearman(rank(normalize(pmi, published.count)), published.rank) > 0.9999


def test_exact_differs_from_the_published_ranking(published: PMITable, published_counts: Counts) -> None:
    ranks = rank(normalize(exact(published_counts, 6), published.count))
    assert spearman(ranks, published.rank) == pytest.approx(0.888, abs=0.002)

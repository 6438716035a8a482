from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from cmgems.genome.alphabet import BASES
from cmgems.pmi.definitions import exact, kmer, normalize
from cmgems.pmi.strings import string_npmi


def counts_of(k, seed=0, zeros=0.0):
    """k-mer counts and their marginal sums."""
    rng = np.random.default_rng(seed)
    counts = {k: rng.integers(1, 5000, 4**k) * (rng.random(4**k) >= zeros)}
    for n in range(k - 1, 0, -1):
        counts[n] = counts[n + 1].reshape(-1, 4).sum(axis=1)
    return counts


@pytest.mark.parametrize("n", [2, 3, 4])
def test_strings_with_counts_have_the_exact_npmi(n):
    counts = counts_of(4, zeros=0.2)
    expected = normalize(exact(counts, n), counts[n])
    np.testing.assert_allclose(
        string_npmi([kmer(i, n) for i in range(4**n)], counts[4], 4), expected, atol=1e-12
    )


@pytest.mark.parametrize("string", ["ACGTA", "AAAAAAA", "GATTACA"])
def test_longer_strings_against_an_enumeration(string):
    counts = counts_of(3)

    def share(part):
        """P of a string as a chain of 3-mers."""
        p, total = 1.0, counts[3].sum()
        for end in range(1, len(part) + 1):
            seen = part[max(0, end - 3) : end]
            below = counts[len(seen) - 1][number(seen[:-1])] if len(seen) > 1 else total
            p *= counts[len(seen)][number(seen)] / below
        return p

    def number(part):
        return sum(BASES.index(base) * 4**place for place, base in enumerate(reversed(part)))

    lowest = math.inf
    for cuts in itertools.product([False, True], repeat=len(string) - 1):
        if any(cuts):
            ends = [i + 1 for i, cut in enumerate(cuts) if cut]
            parts = [string[a:b] for a, b in itertools.pairwise([0, *ends, len(string)])]
            lowest = min(lowest, math.log(share(string)) - sum(math.log(share(part)) for part in parts))
    rarest = min(counts[3][number(string[i : i + 3])] for i in range(len(string) - 2))
    damped = lowest * math.log(rarest) / (math.log(rarest) + math.log(101))
    assert string_npmi([string], counts[3], 3)[0] == pytest.approx(damped)


def test_a_chain_of_bound_kmers_scores_high():
    """ACG is always followed by TAC and so on; everything else is even."""
    count = np.full(4**3, 10, np.int64)
    for part in ("ACG", "CGT", "GTA", "TAC"):
        count[sum(BASES.index(base) * 4**place for place, base in enumerate(reversed(part)))] = 5000
    bound, even = string_npmi(["ACGTACGTACGT", "AAGGCCTTAAGG"], count, 3)
    assert bound > 0.5
    assert even < 0


def test_what_has_no_score():
    counts = counts_of(3)
    counts[3][0] = 0
    scores = string_npmi(["A", "[CLS]", "AAA", "CAAAG", "CAAG", ""], counts[3], 3)
    assert np.isneginf(scores).tolist() == [True, True, True, True, False, True]

"""Pointwise mutual information of k-mers, from n-gram counts.

For a k-mer w, P(s) the probability of a segment s and the segmentations of w into at least two parts::

    PMI(w)  = min over segmentations of  log P(w) - sum over parts s of log P(s)
    NPMI(w) = PMI(w) * log f(w) / (log f(w) + log c),   f(w) the count of w, c = 101

(GeneMask, Roy et al., ECAI 2023, arXiv 2307.15933). The minimum is found for all 4^k k-mers at once, by
dynamic programming over the prefixes they share: best(prefix) = max over its last part of
best(rest) + log P(part).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.genome.alphabet import BASES
from cmgems.pmi.counts import Counts

Scores = npt.NDArray[np.float64]
Definition = Callable[[Counts, int], Scores]

MINIMUM_OCCURRENCES = 101
K_MIN, K_MAX = 3, 8
_COMPLEMENT = np.array([1, 0, 3, 2])  # of A, T, C, G = 0..3


def check_k(k: int, where: str = "PMI table") -> None:
    """Raise CmgemsError unless ``k`` is 3 to 8."""
    if not K_MIN <= k <= K_MAX:
        raise CmgemsError("k out of range", where=where, why=f"k is {k}", fix=f"use k = {K_MIN} to {K_MAX}")


def kmer(number: int, k: int) -> str:
    """The k-mer of a base-4 number, A, T, C, G = 0..3, first base most significant."""
    return "".join(BASES[number >> 2 * place & 3] for place in reversed(range(k)))


def exact(counts: Counts, k: int) -> Scores:
    """PMI with each order normalised by its own total and parts of length 1 to k-1.

    Args:
        counts: n-gram counts of orders 1..k, int64 [4^n] each, not all 0.
        k: Length of the k-mers scored, at least 2 (bp).

    Returns:
        float64 [4^k], natural log, by k-mer number; -inf where the k-mer does not occur.
    """
    log_p = {n: _log(counts[n]) - np.log(counts[n].sum()) for n in range(1, k + 1)}
    return _pmi(log_p, k, longest_part=k - 1)


def genemask2023(counts: Counts, k: int) -> Scores:
    """PMI as in the ranking published with GeneMask: parts of length 1 or 2, pooled probabilities.

    All orders are divided by N1 + N2, the unigram and bigram totals together, P(w) too.

    Args:
        counts: n-gram counts of orders 1, 2 and k, int64 [4^n] each, not all 0.
        k: Length of the k-mers scored, at least 3 (bp).

    Returns:
        float64 [4^k], natural log, by k-mer number; -inf where the k-mer does not occur.
    """
    log_total = np.log(counts[1].sum() + counts[2].sum())
    log_p = {n: _log(counts[n]) - log_total for n in (1, 2, k)}
    return _pmi(log_p, k, longest_part=2)


DEFINITIONS: dict[str, Definition] = {"exact": exact, "genemask2023": genemask2023}


def both_strands(counts: Counts) -> Counts:
    """Each n-gram's count plus that of its reverse complement: the counts over both strands."""
    result: Counts = {}
    mirror = np.zeros(1, np.int64)
    for n in range(1, max(counts) + 1):
        mirror = (mirror[:, None] + _COMPLEMENT * 4 ** (n - 1)).ravel()
        result[n] = counts[n] + counts[n][mirror]
    return result


def normalize(pmi: Scores, count: npt.NDArray[np.int64]) -> Scores:
    """NPMI: PMI reduced for rare k-mers, to half at 101 occurrences; -inf stays -inf."""
    damping = np.log(np.maximum(count, 1))
    damping /= damping + np.log(MINIMUM_OCCURRENCES)
    npmi = np.full(len(pmi), -np.inf)
    np.multiply(pmi, damping, where=np.isfinite(pmi), out=npmi)
    return npmi


def rank(npmi: Scores) -> npt.NDArray[np.int32]:
    """Rank 1 = highest NPMI = hardest to guess once hidden; ties in order of the k-mer number.

    Returns:
        int32, a permutation of 1..len(npmi).
    """
    # Rounded, so that ties do not depend on the order of floating-point sums: with both strands counted, a
    # k-mer and its reverse complement tie.
    ranks = np.empty(len(npmi), np.int32)
    ranks[np.argsort(-np.round(npmi, 12), kind="stable")] = np.arange(1, len(npmi) + 1)
    return ranks


def _log(counts: npt.NDArray[np.int64]) -> Scores:
    with np.errstate(divide="ignore"):
        return np.log(counts)


def _pmi(log_p: dict[int, Scores], k: int, longest_part: int) -> Scores:
    """PMI of all k-mers, in parts up to ``longest_part`` < k."""
    # best[m][prefix] is the highest sum of log P(part) over the segmentations of a prefix of m bases.
    best = [np.zeros(1)]
    for m in range(1, k + 1):
        lengths = range(1, min(m, longest_part) + 1)
        sums = [np.add.outer(best[m - length], log_p[length]).ravel() for length in lengths]
        best.append(np.maximum.reduce(sums))
    # A k-mer that does not occur may have parts that do not either: -inf - -inf.
    pmi = np.full(4**k, -np.inf)
    np.subtract(log_p[k], best[k], where=np.isfinite(log_p[k]), out=pmi)
    return pmi

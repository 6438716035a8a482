"""NPMI of strings of any length, such as the pieces of a BPE vocabulary, from the counts of k-mers.

Up to k bases a string has a count of its own, the marginal sum of the k-mers that begin with it. The probability of
a longer one is that of the Markov chain which the counts define: each base given the k - 1 before it. PMI is then
`exact` (see definitions.py). NPMI uses the count of the string, or of its
rarest k-mer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from cmgems.genome.alphabet import BASES
from cmgems.pmi.definitions import Scores, normalize

_DIGITS = str.maketrans(BASES, "0123")


def string_npmi(strings: Sequence[str], count: npt.NDArray[np.int64], k: int) -> Scores:
    """NPMI of each string.

    Args:
        strings: In upper case.
        count: k-mer counts, int64 [4^k], not all 0.
        k: Length of the k-mers (bp).

    Returns:
        float64, natural log; -inf for single bases, which have no parts, for strings with another letter than A, C,
        G and T, and for strings with a k-mer that does not occur.
    """
    counts = {k: count}
    for n in range(k - 1, -1, -1):
        counts[n] = counts[n + 1].reshape(-1, 4).sum(axis=1)

    def f(part: str) -> int:
        return int(counts[len(part)][int(part.translate(_DIGITS) or "0", 4)])

    @cache
    def log_p(part: str) -> float:
        if len(part) <= k:
            return float(np.log(f(part) / f("")))
        return log_p(part[:-1]) + float(np.log(f(part[-k:]) / f(part[-k:-1])))

    def pmi(string: str) -> float:
        # best[end] is the highest sum of log P(part) over the segmentations of the first bases.
        best = [0.0]
        for end in range(1, len(string)):
            best.append(max(best[start] + log_p(string[start:end]) for start in range(end)))
        return log_p(string) - max(best[start] + log_p(string[start:]) for start in range(1, len(string)))

    found = [min(map(f, _kmers(string, k))) if set(string) <= set(BASES) else 0 for string in strings]
    # The last bases of the genome begin no k-mer, so a part may have no count where the string has one.
    with np.errstate(divide="ignore"):
        scores = [
            pmi(string) if rarest and len(string) > 1 else -np.inf
            for string, rarest in zip(strings, found, strict=True)
        ]
    return normalize(np.array(scores), np.array(found, np.int64))


def _kmers(string: str, k: int) -> list[str]:
    """The k-mers of a string; a shorter string counts as one."""
    return [string[start : start + k] for start in range(max(1, len(string) - k + 1))]

"""Words of one length that more sequences of one set hold than chance would have it.

Both sets lie in one flat array, sequence after sequence, so that words are counted without a loop.

Shape suffixes: L flat bases, W bases of a word, N candidate words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from cmgems.genome import AMBIGUOUS, reverse_complement
from cmgems.genome.alphabet import Codes

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TwoSets:
    """Positive and negative sequences.

    Attributes:
        codes_L: uint8, the positives, then the negatives, AMBIGUOUS bases after each.
        sequence_L: int64, which one each base is of, positives first.
        positives: How many positives.
        negatives: How many negatives.
    """

    codes_L: Codes
    sequence_L: Integers
    positives: int
    negatives: int

    @classmethod
    def of(cls, positives: Sequence[Codes], negatives: Sequence[Codes], gap: int) -> TwoSets:
        """Lay the sequences out with ``gap`` AMBIGUOUS bases after each, so that no word or window spans two."""
        sequences = [*positives, *negatives]
        between = np.full(gap, AMBIGUOUS, np.uint8)
        codes_L = np.concatenate([part for codes in sequences for part in (codes, between)])
        sequence_L = np.repeat(np.arange(len(sequences)), [len(codes) + gap for codes in sequences])
        return cls(codes_L, sequence_L, len(positives), len(negatives))

    def presence(self, words_L: Integers, width: int, only_positives: bool) -> Integers:
        """In how many sequences each word of ``width`` bp is, each counted once: int64 (4^W,)."""
        known_L = words_L >= 0
        if only_positives:
            known_L &= self.sequence_L < self.positives
        pairs = np.unique(self.sequence_L[known_L] << 2 * width | words_L[known_L])
        return np.bincount(pairs & 4**width - 1, minlength=4**width)


def words(codes_L: Codes, width: int, both_strands: bool) -> Integers:
    """The word that starts at each base as a number: int64 (L,), -1 where a base is ambiguous or missing.

    A word is a number in base 4, A, T, C, G = 0..3, first base most significant. Of a word and its reverse complement
    the lower number stands for both if ``both_strands``.
    """
    found_L = np.full(len(codes_L), -1)
    windows = sliding_window_view(codes_L, width)
    known = (windows != AMBIGUOUS).all(1)
    numbers = number_of(windows[known])
    if both_strands:
        numbers = np.minimum(numbers, number_of(reverse_complement(windows[known])))
    found_L[: len(windows)][known] = numbers
    return found_L


def number_of(codes_NW: Codes) -> Integers:
    """The numbers int64 (N,) of words given by their codes."""
    places_W = 2 * np.arange(codes_NW.shape[1])[::-1]
    numbers_N: Integers = (codes_NW.astype(np.int64) << places_W).sum(1)
    return numbers_N


def hypergeometric(
    found: Integers, total: Integers, positives: int, negatives: int
) -> npt.NDArray[np.float64]:
    """P(a random set of ``positives`` of all sequences holds ``found`` or more of the ``total`` that have the word)."""
    from scipy.stats import hypergeom

    p: npt.NDArray[np.float64] = hypergeom.sf(found - 1, positives + negatives, positives, total)
    return p


def benjamini_hochberg(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """p-values corrected for their number, by false discovery rate (Benjamini and Hochberg, 1995)."""
    from scipy.stats import false_discovery_control

    corrected: npt.NDArray[np.float64] = false_discovery_control(p)
    return corrected

"""How motifs are searched, and what a motif is.

Shape suffixes: W bases of a motif's window, 4 = A, T, C, G.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.genome import BASES
from cmgems.genome.alphabet import Codes

AGREES = 0.5  # a base with this share of a column stands in the consensus


@dataclass(frozen=True)
class MotifConfig:
    """How motifs are searched.

    Attributes:
        width: Of the words tested (bp).
        min_bp: Of the shortest region of high signal, and what a word must share with one (bp).
        window: Of a motif's matrix: the word and as much as fits on both sides of it (bp).
        cutoff: Words with a corrected p-value below it are enriched.
        min_sequences: Words in fewer sequences are not tested, and motifs of fewer sites not kept.
        both_strands: Whether a word and its reverse complement are one.
        top: The most motifs to look for.
    """

    width: int = 6
    min_bp: int = 4
    window: int = 12
    cutoff: float = 0.005
    min_sequences: int = 3
    both_strands: bool = False
    top: int = 10

    def __post_init__(self) -> None:
        if not 4 <= self.width <= 12:
            raise CmgemsError(f"`width` must be 4 to 12, but is {self.width}")
        if not 1 <= self.min_bp <= self.width:
            raise CmgemsError(f"`min_bp` must be 1 to `width` ({self.width}), but is {self.min_bp}")
        if not self.width <= self.window <= 100:
            raise CmgemsError(f"`window` must be `width` ({self.width}) to 100, but is {self.window}")
        if not 0 < self.cutoff < 1:
            raise CmgemsError(f"`cutoff` must be between 0 and 1, but is {self.cutoff}")
        if self.min_sequences < 1 or self.top < 1:
            raise CmgemsError("`min_sequences` and `top` must be 1 or more")


@dataclass(frozen=True)
class Word:
    """An enriched word.

    Attributes:
        bases: In the motif's direction.
        positives: Positive sequences that hold it.
        negatives: Negative ones.
        p: Hypergeometric.
        corrected: For the number of words tested.
    """

    bases: str
    positives: int
    negatives: int
    p: float
    corrected: float


@dataclass(frozen=True)
class Site:
    """An occurrence of a motif.

    Attributes:
        sequence: Index of the positive sequence.
        start: First base of the window in it (bp, from 0); below 0 if the window begins before the sequence.
        strand: ``+``, or ``-`` where the motif is read on the other strand.
    """

    sequence: int
    start: int
    strand: str


@dataclass(frozen=True, eq=False)
class Motif:
    """Enriched words that align, and where they lie.

    Attributes:
        words: Best first.
        positives: Positive sequences that hold any of them.
        negatives: Negative ones.
        tested: How many words the best was the best of.
        sites: Where they lie in high regions of the positives, without overlap.
        codes_IW: uint8 (sites, W), the bases of each site in the motif's direction, 255 where unknown.
    """

    words: tuple[Word, ...]
    positives: int
    negatives: int
    tested: int
    sites: tuple[Site, ...]
    codes_IW: Codes

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """Share of A, T, C, G at each place, float64 (W, 4), of the bases known there; even where none is."""
        counts_W4 = np.stack([(self.codes_IW == code).sum(0) for code in range(4)], axis=1)
        totals_W1 = counts_W4.sum(1, keepdims=True)
        shares_W4: npt.NDArray[np.float64] = np.where(totals_W1, counts_W4 / np.maximum(totals_W1, 1), 0.25)
        return shares_W4

    @property
    def consensus(self) -> str:
        """The base that half of the sites or more have at each place, N where there is none."""
        return "".join(BASES[row_4.argmax()] if row_4.max() >= AGREES else "N" for row_4 in self.shares)

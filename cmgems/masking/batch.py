"""What a masking strategy sees, and what one is.

Array names carry their shape: B sequences, S token positions in a padded row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from cmgems.errors import CmgemsError
from cmgems.masking.random import uniform
from cmgems.masking.ranks import RankBy, Ranks
from cmgems.registry import Registry
from cmgems.tokenization import overlapping

# DNABERT's spans around a centre, by k (first and last offset).
SPANS = {3: (-1, 1), 4: (-1, 2), 5: (-2, 2), 6: (-2, 3)}


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """A batch of unmasked tokens, as a strategy sees it.

    Attributes:
        ids_BS: int32 token ids, of the tokenizer that ``ranks`` are for.
        samples_B: uint64 global position of each sequence in the training stream; the key of its random draws.
        ranks: The NPMI ranks.
        rate: Nominal share of tokens to mask, above 0. A strategy divides it by the expected number of tokens that
            one centre masks (0.15 / 6 for DNABERT's spans at k = 6).
        seed: Seed of the masks.
        rank_by: How ranks are looked up.
    """

    ids_BS: np.ndarray
    samples_B: np.ndarray
    ranks: Ranks
    rate: float
    seed: int
    rank_by: RankBy = "token"

    @cached_property
    def maskable_BS(self) -> np.ndarray:  # noqa: N802
        """bool; False for special tokens, padding and tokens with an ambiguous base."""
        return self.ranks.maskable(self.ids_BS)

    @cached_property
    def ranks_BS(self) -> np.ndarray:  # noqa: N802
        """int32 NPMI rank of each token, 1 = most tightly bound = hardest to guess; where tokens are single bases, of
        the k-mer that starts there."""
        return self.ranks.look_up(self.ids_BS, self.rank_by)

    @property
    def k(self) -> int:
        """Bases in a token, 0 if tokens differ in length."""
        return self.ranks.tokenizer.k

    @property
    def overlap(self) -> bool:
        """Whether tokens up to k - 1 positions apart share bases."""
        return overlapping(self.ranks.tokenizer)

    @property
    def worst_rank(self) -> int:
        """The largest rank of a token that may be masked; 0 without ranks."""
        return self.ranks.worst

    @property
    def word(self) -> int:
        """Tokens that are ranked and hidden as one, the first at their centre: the k of the PMI table where tokens are
        single bases, else 1."""
        return self.ranks.word

    @property
    def span(self) -> tuple[int, int]:
        """First and last offset of the tokens hidden with a centre.

        DNABERT's windows, which hide one base completely; of single bases the k-mer that starts at the centre.

        Raises:
            CmgemsError: for k without overlapping-k-mer spans.
        """
        if not self.overlap:
            return 0, self.word - 1
        if self.k not in SPANS:
            raise CmgemsError(
                f"no masking span for k = {self.k}", fix="use overlapping k-mers, k = 3, 4, 5 or 6"
            )
        return SPANS[self.k]

    @property
    def wide_span(self) -> tuple[int, int]:
        """First and last offset of the tokens that share a base with what is ranked at a position."""
        return (1 - self.k, self.k - 1) if self.overlap else (0, self.word - 1)

    def uniform(self, stream: int) -> np.ndarray:
        """float64 (B, S) draws in (0, 1); a pure function of (seed, sample, stream, position)."""
        return uniform(self.seed, self.samples_B, stream, self.ids_BS.shape[1])


class Strategy(Protocol):
    """Which positions of a batch to mask. Registered as a frozen dataclass.

    One that never reads ranks sets ``needs_ranks: ClassVar[bool] = False``, one that never reads ``batch.rate`` sets
    ``own_rate: ClassVar[bool] = True``, one for tokens that share no base ``side_by_side: ClassVar[bool] = True``.
    """

    def select(self, batch: TokenBatch) -> np.ndarray:
        """bool (B, S), True where a token is to be guessed; a pure function of the batch."""
        ...


STRATEGIES: Registry[Strategy] = Registry("masking strategy")

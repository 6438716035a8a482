"""Which bases a token stands for, and which token stands there if one of them changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.genome import BASES
from cmgems.tokenization import Tokenizer

Spans = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TokenMap:
    """The bases behind a tokenizer's ids.

    Attributes:
        tokenizer: Makes the ids.
    """

    tokenizer: Tokenizer

    @property
    def overlapping(self) -> bool:
        """Whether a base lies in several tokens."""
        return self.tokenizer.k > self.tokenizer.stride > 0

    @property
    def unit(self) -> int:
        """Bases from one token to the next (bp), 1 where tokens differ in length: the grid of the windows."""
        return max(self.tokenizer.stride, 1)

    @property
    def least_overlap(self) -> int:
        """What windows must share (bp), so that a token lies whole in the window that owns its middle base."""
        return self.tokenizer.k if self.overlapping else 0

    @property
    def least_bases(self) -> int:
        """The shortest stretch of A, C, G, T that makes a known token (bp)."""
        return self.tokenizer.k if self.overlapping else 1

    @cached_property
    def vocabulary(self) -> list[str]:
        """The token of each id."""
        return self.tokenizer.vocabulary()

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """int64 (V,), bases in each token (bp); 1 for specials: [UNK] and [MASK] stand for one letter each."""
        lengths = np.array([len(token) for token in self.vocabulary], np.int64)
        lengths[: self.tokenizer.special_count] = 1
        return lengths

    def known(self, ids_S: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """bool, True at the tokens whose bases are all known."""
        known_S: npt.NDArray[np.bool_] = (ids_S >= self.tokenizer.known_ids.start) & (
            ids_S < self.tokenizer.known_ids.stop
        )
        return known_S

    def body(self, ids_S: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Positions in the row of the tokens that stand for bases, [UNK] included."""
        around = (self.tokenizer.pad_id, self.tokenizer.cls_id, self.tokenizer.sep_id)
        return np.flatnonzero(~np.isin(ids_S, around))

    def spans(self, ids_T: npt.NDArray[np.int32]) -> Spans:
        """First base and one past the last of each token, int64 (T, 2), from the row's first base on (bp).

        Args:
            ids_T: The row without [CLS], [SEP] and padding.
        """
        if self.overlapping:
            starts = np.arange(len(ids_T)) * self.tokenizer.stride
            return np.stack([starts, starts + self.tokenizer.k], axis=1)
        ends = np.cumsum(self.lengths[ids_T])
        return np.stack([ends - self.lengths[ids_T], ends], axis=1)

    @cached_property
    def substitutions(self) -> npt.NDArray[np.int32]:
        """The id of each token with one of its bases replaced, -1 where there is no such token.

        int32 (V, k, 4): token, offset of the base in it (bp), the new base A, T, C or G.

        Raises:
            CmgemsError: if tokens are cut by their content: another base there is then another cutting, and not
                another token.
        """
        if self.tokenizer.k == 0:
            raise CmgemsError(
                "no probabilities of single bases",
                where="tokenizer",
                why="its tokens differ in length, and another base cuts its neighbourhood into other tokens",
                fix="use a model with k-mer tokens",
            )
        ids = {self.vocabulary[i]: i for i in self.tokenizer.known_ids}
        table = np.full((len(self.vocabulary), self.tokenizer.k, 4), -1, np.int32)
        for token, i in ids.items():
            for offset in range(len(token)):
                before, after = token[:offset], token[offset + 1 :]
                table[i, offset] = [ids[before + base + after] for base in BASES]
        return table

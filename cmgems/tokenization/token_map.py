"""Which bases a token covers, which token stands for a base, and what a token becomes if one of its bases changes.

Every token stands for some bases when they are labelled. An overlapping k-mer stands for its middle base, number
(k - 1) // 2 of it counted from 0, so the bases nearest to the ends of a sequence have no token of their own. A token
that lies side by side with its neighbours stands for all its bases.

Shape suffixes: L bases, S tokens of a row, T those of them that are made of bases, V token ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.genome import BASES
from cmgems.tokenization.base import Tokenizer, overlapping

Ids = npt.NDArray[np.int32]
Positions = npt.NDArray[np.int64]

IGNORE = -100  # the label of a token that has none, in PyTorch's losses too


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
        return overlapping(self.tokenizer)

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
    def lengths(self) -> Positions:
        """int64 (V,), bases in each token (bp); 1 for special tokens: [UNK] and [MASK] stand for one letter each."""
        lengths = np.array([len(token) for token in self.vocabulary], np.int64)
        lengths[: self.tokenizer.special_count] = 1
        return lengths

    def known(self, ids_S: Ids) -> npt.NDArray[np.bool_]:
        """bool (S,), True at the tokens whose bases are all known."""
        known_ids = self.tokenizer.known_ids
        known_S: npt.NDArray[np.bool_] = (ids_S >= known_ids.start) & (ids_S < known_ids.stop)
        return known_S

    def body(self, ids_S: Ids) -> Positions:
        """int64 (T,), positions in the row of the tokens made of bases, [UNK] included."""
        tokenizer = self.tokenizer
        # Several times faster than np.isin, for each of a million short sequences.
        is_body_S = (ids_S != tokenizer.pad_id) & (ids_S != tokenizer.cls_id) & (ids_S != tokenizer.sep_id)
        return np.flatnonzero(is_body_S)

    def spans(self, ids_T: Ids) -> Positions:
        """First base and one past the last of each token, int64 (T, 2), from the row's first base on (bp).

        Args:
            ids_T: The row without [CLS], [SEP] and padding.
        """
        if self.overlapping:
            starts = np.arange(len(ids_T)) * self.tokenizer.stride
            return np.stack([starts, starts + self.tokenizer.k], axis=1)
        ends = np.cumsum(self.lengths[ids_T])
        return np.stack([ends - self.lengths[ids_T], ends], axis=1)

    def token_of_base(self, ids_T: Ids) -> Positions:
        """The token that stands for each base, int64 (L,).

        Below 0 or at least T at the ends of a sequence, where an overlapping k-mer is missing.

        Args:
            ids_T: The row without [CLS], [SEP] and padding.
        """
        if self.overlapping:
            return np.arange(len(ids_T) + self.tokenizer.k - 1) - (self.tokenizer.k - 1) // 2
        return np.repeat(np.arange(len(ids_T)), self.lengths[ids_T])

    def labels(self, ids_S: Ids, classes_L: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
        """The class most frequent among the bases that each token stands for, int64 (S,).

        Of classes equally frequent the first. [CLS] and [SEP] get ``IGNORE``; [UNK], which stands for bases, has a
        label like any other token.

        Args:
            ids_S: The whole sequence, without padding.
            classes_L: The class of every base.
            classes: How many classes there are.
        """
        body_T = self.body(ids_S)
        token_L = self.token_of_base(ids_S[body_T])
        has_token_L = (token_L >= 0) & (token_L < len(body_T))
        cells = token_L[has_token_L] * classes + classes_L[has_token_L]
        counts_TC = np.bincount(cells, minlength=len(body_T) * classes).reshape(-1, classes)
        labels_S = np.full(len(ids_S), IGNORE, np.int64)
        labels_S[body_T] = counts_TC.argmax(1)
        return labels_S

    @cached_property
    def substitutions(self) -> Ids:
        """The id of each token with one of its bases replaced, -1 where there is no such token.

        int32 (V, k, 4): token, offset of the base in it (bp), the new base A, T, C or G.

        Raises:
            CmgemsError: if tokens differ in length: with another base the sequence is cut into other tokens.
        """
        if self.tokenizer.k == 0:
            raise CmgemsError(
                "no probabilities of single bases",
                where="tokenizer",
                why="its tokens differ in length, so another base changes the tokens around it as well",
                fix="use a model with k-mer tokens",
            )
        ids = {self.vocabulary[i]: i for i in self.tokenizer.known_ids}
        table = np.full((len(self.vocabulary), self.tokenizer.k, 4), -1, np.int32)
        for token, i in ids.items():
            for offset in range(len(token)):
                before, after = token[:offset], token[offset + 1 :]
                table[i, offset] = [ids[before + base + after] for base in BASES]
        return table

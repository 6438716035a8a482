"""Labels of bases as labels of tokens, and back.

Every token speaks for some bases. An overlapping k-mer speaks for its middle base, number (k - 1) // 2 of it counted
from 0, so the bases nearer to an end of the sequence have no token of their own. A token that lies side by side with
its neighbours speaks for all its bases.

Shape suffixes: L bases, S tokens of a row, T those of them that stand for bases.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cmgems.tokenization import Tokenizer

IGNORE = -100  # the label of a token that has none, in PyTorch's losses too


def tokens_of_bases(tokenizer: Tokenizer, lengths_T: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The token that speaks for each base, int64 (L,): below 0 or T and more where an overlapping k-mer is missing.

    Args:
        tokenizer: Made the tokens.
        lengths_T: Bases in each token (bp), used where tokens do not overlap.
    """
    tokens = len(lengths_T)
    if tokenizer.k > tokenizer.stride > 0:
        return np.arange(tokens + tokenizer.k - 1) - (tokenizer.k - 1) // 2
    return np.repeat(np.arange(tokens), lengths_T)


@dataclass(frozen=True)
class TokenLabels:
    """Makes labels of tokens.

    Attributes:
        tokenizer: Makes the tokens.
        classes: How many classes there are.
    """

    tokenizer: Tokenizer
    classes: int

    @cached_property
    def _lengths(self) -> npt.NDArray[np.int64]:
        """Bases in the token of each id (bp): [UNK] stands for one letter."""
        lengths = np.array([len(token) for token in self.tokenizer.vocabulary()], np.int64)
        lengths[: self.tokenizer.special_count] = 1
        return lengths

    def label(self, ids_S: npt.NDArray[np.int32], classes_L: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The class most frequent among the bases each token speaks for, int64 (S,).

        Of classes equally frequent the first in the order of the names. [CLS] and [SEP] get ``IGNORE``; [UNK], which
        stands for bases, has a label like any other token.

        Args:
            ids_S: The whole sequence, without padding.
            classes_L: The class of every base.
        """
        around = (self.tokenizer.pad_id, self.tokenizer.cls_id, self.tokenizer.sep_id)
        body_T = np.flatnonzero(~np.isin(ids_S, around))
        token_L = tokens_of_bases(self.tokenizer, self._lengths[ids_S[body_T]])
        spoken_L = (token_L >= 0) & (token_L < len(body_T))
        cells = token_L[spoken_L] * self.classes + classes_L[spoken_L]
        counts_TC = np.bincount(cells, minlength=len(body_T) * self.classes).reshape(-1, self.classes)
        labels_S = np.full(len(ids_S), IGNORE, np.int64)
        labels_S[body_T] = counts_TC.argmax(1)
        return labels_S

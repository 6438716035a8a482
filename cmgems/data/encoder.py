"""Labelled sequences as rows of tokens, on either strand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cmgems.data.labels import Labels
from cmgems.genome import alphabet
from cmgems.genome.alphabet import Codes
from cmgems.tokenization import Tokenizer, TokenMap, encode_rows

End = Literal["end", "start"]


@dataclass(frozen=True)
class RowEncoder:
    """Makes the ids of sequences, and of labels of bases those of tokens.

    Attributes:
        tokenizer: Makes the ids.
        tokens: Longer rows are cut.
        classes: How many classes there are.
    """

    tokenizer: Tokenizer
    tokens: int
    classes: int

    def encode(
        self, codes: Sequence[Codes], labels: Labels, cut: End
    ) -> tuple[list[np.ndarray], Labels, int]:
        """(ids, labels, how many rows were cut) of sequences, uint8 (L,) each, and of their labels."""
        whole = encode_rows(self.tokenizer, codes)
        ids = [self._cut(ids_S, ids_S, cut) for ids_S in whole]
        if isinstance(labels, list):
            token_map = TokenMap(self.tokenizer)
            labels = [
                self._cut(token_map.labels(ids_S, classes_L, self.classes), ids_S, cut)
                for ids_S, classes_L in zip(whole, labels, strict=True)
            ]
        return ids, labels, sum(len(ids_S) > self.tokens for ids_S in whole)

    def other_strand(
        self, codes: Sequence[Codes], labels: Labels, cut: End
    ) -> tuple[list[np.ndarray], Labels]:
        """(ids, labels) of the reverse complements, cut at the same bases.

        Labels of bases are turned before tokens get theirs, by the same rule on either strand.
        """
        if isinstance(labels, list):
            labels = [classes_L[::-1] for classes_L in labels]
        opposite: End = "start" if cut == "end" else "end"
        ids, labels, _ = self.encode(
            [alphabet.reverse_complement(codes_L) for codes_L in codes], labels, opposite
        )
        return ids, labels

    def _cut(self, row_S: np.ndarray, ids_S: np.ndarray, end: End) -> np.ndarray:
        """A row as long as ``ids_S``, cut behind [CLS] or in front of [SEP], where ``ids_S`` has them."""
        excess = len(ids_S) - self.tokens
        if excess <= 0:
            return row_S
        behind_last = len(ids_S) - int(ids_S[-1] == self.tokenizer.sep_id)
        first = int(ids_S[0] == self.tokenizer.cls_id) if end == "start" else behind_last - excess
        return np.delete(row_S, slice(first, first + excess))

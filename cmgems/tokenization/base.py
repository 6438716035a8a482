"""What a tokenizer is, and the registry of those known by name."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from cmgems.registry import Registry


class Tokenizer(Protocol):
    """Turns bases into token ids. Implementations are frozen dataclasses.

    Ids below ``special_count`` are special tokens; all others stand for bases. ``token_count`` and ``bases_for`` assume
    sequences without ambiguous bases, like training windows; where ambiguous bases make more tokens, ``encode_batch``
    cuts the row.
    """

    @property
    def k(self) -> int:
        """Bases in one token (bp); 0 if tokens differ in length."""

    @property
    def stride(self) -> int:
        """Bases from one token to the next (bp): 1 for overlapping k-mers, k for tokens side by side, 0 if k is 0."""

    @property
    def vocab_size(self) -> int:
        """Number of ids, special tokens included."""

    @property
    def special_count(self) -> int:
        """Number of special tokens; they hold the lowest ids."""

    @property
    def known_ids(self) -> range:
        """Ids of the tokens whose bases are all known: only these are masked, and replace masked ones at random."""

    @property
    def pad_id(self) -> int: ...

    @property
    def unk_id(self) -> int: ...

    @property
    def cls_id(self) -> int: ...

    @property
    def sep_id(self) -> int:
        """The id after the last token of a sequence; ``pad_id`` if none marks the end."""

    @property
    def mask_id(self) -> int: ...

    def token_count(self, bases: int) -> int:
        """The most tokens that a sequence of up to ``bases`` bp makes, [CLS] and [SEP] included."""

    def bases_for(self, tokens: int) -> int:
        """Length (bp) up to which every sequence fits ``tokens`` positions."""

    def encode_batch(
        self, codes_BL: npt.NDArray[np.uint8], lengths_B: npt.NDArray[np.int32], tokens: int
    ) -> npt.NDArray[np.int32]:
        """Ids of a batch of sequences, each row ``[CLS]`` tokens ``[SEP]`` ``[PAD]``...

        Args:
            codes_BL: uint8 base codes (A, T, C, G = 0..3, 255 = ambiguous); row b is read up to ``lengths_B[b]``.
            lengths_B: int32, bases in each row (bp).
            tokens: Width S of the result. A row that needs more, for its ambiguous bases, is cut; [SEP] stays last.

        Returns:
            int32 (B, S).

        Raises:
            ValueError: if a row is longer than ``codes_BL``.
        """

    def encode(self, sequence: str) -> npt.NDArray[np.int32]:
        """Ids of one sequence, upper or lower case, with [CLS] and [SEP], without padding, however many.

        Raises:
            DataError: if no token can be made of it, or it has a letter that is not an IUPAC nucleotide code.
        """

    def vocabulary(self) -> list[str]:
        """The token of each id."""

    def decode(self, ids: npt.ArrayLike) -> str:
        """The bases that ``ids`` stand for, N where unknown."""


def overlapping(tokenizer: Tokenizer) -> bool:
    """Whether neighbouring tokens share bases."""
    return 0 < tokenizer.stride < tokenizer.k


TOKENIZERS: Registry[Tokenizer] = Registry("tokenizer")

"""Single bases: a token for each letter, as in GPN (Benegas et al. 2023, doi 10.1073/pnas.2311219120)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from cmgems.genome import alphabet
from cmgems.tokenization.base import TOKENIZERS
from cmgems.tokenization.inputs import encode_alone, longest_that_fits, spell

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = len(alphabet.BASES)


@dataclass(frozen=True)
class BaseTokenizer:
    """One token a base between [CLS] and [SEP]: L bases are L + 2 tokens.

    The ids are the special tokens, then A, T, C, G, then N, which stands for every other letter. [UNK] is never made.
    """

    k: ClassVar[int] = 1
    stride: ClassVar[int] = 1
    special_count: ClassVar[int] = len(SPECIAL_TOKENS)
    vocab_size: ClassVar[int] = special_count + LETTERS + 1
    known_ids: ClassVar[range] = range(special_count, special_count + LETTERS)
    pad_id: ClassVar[int] = 0
    unk_id: ClassVar[int] = 1
    cls_id: ClassVar[int] = 2
    sep_id: ClassVar[int] = 3
    mask_id: ClassVar[int] = 4

    def token_count(self, bases: int) -> int:
        """Tokens of a sequence of ``bases`` bp, [CLS] and [SEP] included."""
        return bases + 2

    def bases_for(self, tokens: int) -> int:
        """Length (bp) of the longest sequence that fits ``tokens`` positions."""
        return tokens - 2

    def encode_batch(
        self, codes_BL: npt.NDArray[np.uint8], lengths_B: npt.NDArray[np.int32], tokens: int
    ) -> npt.NDArray[np.int32]:
        """As ``Tokenizer.encode_batch``.

        Raises:
            ValueError: if a row is longer than ``codes_BL`` or does not fit ``tokens`` positions.
        """
        longest = longest_that_fits(self, codes_BL, lengths_B, tokens)
        ids_BS = np.full((len(codes_BL), tokens), self.pad_id, np.int32)
        ids_BS[:, 0] = self.cls_id
        ids_BL = ids_BS[:, 1 : longest + 1]
        inside_BL = np.arange(longest) < lengths_B[:, None]
        ids_BL[inside_BL] = self.special_count + np.minimum(codes_BL[:, :longest][inside_BL], LETTERS)
        ids_BS[np.arange(len(ids_BS)), lengths_B + 1] = self.sep_id
        return ids_BS

    def encode(self, sequence: str) -> npt.NDArray[np.int32]:
        """As ``Tokenizer.encode``."""
        return encode_alone(self, sequence)

    def vocabulary(self) -> list[str]:
        """The token of each id."""
        return [*SPECIAL_TOKENS, *alphabet.BASES, "N"]

    def decode(self, ids: npt.ArrayLike) -> str:
        """The bases that ``ids`` stand for; N for each [MASK] and [UNK], nothing for the other special tokens."""
        return spell(self, ids)


TOKENIZERS.add("base", BaseTokenizer())

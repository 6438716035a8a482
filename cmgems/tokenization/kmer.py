"""Overlapping k-mers, stride 1, as in DNABERT (Ji et al. 2021, doi 10.1093/bioinformatics/btab083)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError, RecordError
from cmgems.genome import alphabet
from cmgems.genome.letters import checked_codes
from cmgems.tokenization import kernels
from cmgems.tokenization.base import TOKENIZERS
from cmgems.tokenization.inputs import longest_that_fits

ALLOWED_K = range(3, 7)
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class KmerTokenizer:
    """Overlapping k-mers: L bases give L-k+1 tokens between [CLS] and [SEP].

    The id of a k-mer is 5 plus its base-4 number, first base most significant, A, T, C, G = 0..3. A k-mer
    with any other letter is [UNK].

    Args:
        k: Bases in a token, 3 to 6.

    Raises:
        CmgemsError: if ``k`` is not 3, 4, 5 or 6.
    """

    k: int = 6

    stride: ClassVar[int] = 1
    special_count: ClassVar[int] = len(SPECIAL_TOKENS)
    pad_id: ClassVar[int] = 0
    unk_id: ClassVar[int] = 1
    cls_id: ClassVar[int] = 2
    sep_id: ClassVar[int] = 3
    mask_id: ClassVar[int] = 4

    def __post_init__(self) -> None:
        if self.k not in ALLOWED_K:
            raise CmgemsError(
                "k out of range", where="tokenizer", why=f"k is {self.k}", fix="use k = 3, 4, 5 or 6"
            )

    @property
    def vocab_size(self) -> int:
        """5 special tokens + 4^k k-mers."""
        return self.special_count + int(4**self.k)

    @property
    def known_ids(self) -> range:
        """Ids of the k-mers: all but the special tokens."""
        return range(self.special_count, self.vocab_size)

    def token_count(self, bases: int) -> int:
        """Tokens of a sequence of ``bases`` bp, [CLS] and [SEP] included."""
        return max(bases - self.k + 1, 0) + 2

    def bases_for(self, tokens: int) -> int:
        """Length (bp) of the longest sequence that fits ``tokens`` positions."""
        return tokens + self.k - 3

    def encode_batch(
        self, codes_BL: npt.NDArray[np.uint8], lengths_B: npt.NDArray[np.int32], tokens: int
    ) -> npt.NDArray[np.int32]:
        """As ``Tokenizer.encode_batch``; rows shorter than k are ``[CLS] [SEP]``.

        Raises:
            ValueError: if a row is longer than ``codes_BL`` or does not fit ``tokens`` positions.
        """
        longest_that_fits(self, codes_BL, lengths_B, tokens)
        ids_BS = np.empty((len(codes_BL), tokens), np.int32)
        kernels.kmer_ids(
            np.ascontiguousarray(codes_BL),
            np.ascontiguousarray(lengths_B, np.int32),
            self.k,
            self.special_count,
            self.pad_id,
            self.unk_id,
            self.cls_id,
            self.sep_id,
            ids_BS,
        )
        return ids_BS

    def encode(self, sequence: str) -> npt.NDArray[np.int32]:
        """As ``Tokenizer.encode``.

        Raises:
            RecordError: if it is shorter than k or has a letter that is not an IUPAC nucleotide code.
        """
        codes_1L = checked_codes(sequence, "sequence")[None, :]
        if len(sequence) < self.k:
            raise RecordError(
                "sequence shorter than k",
                why=f"{len(sequence)} bp, k is {self.k}",
                fix=f"give at least {self.k} bp",
            )
        lengths_1 = np.array([len(sequence)], np.int32)
        ids_1S = self.encode_batch(codes_1L, lengths_1, self.token_count(len(sequence)))
        return ids_1S.ravel()

    def vocabulary(self) -> list[str]:
        """The token of each id."""
        return [
            *SPECIAL_TOKENS,
            *("".join(kmer) for kmer in itertools.product(alphabet.BASES, repeat=self.k)),
        ]

    def decode(self, ids: npt.ArrayLike) -> str:
        """The bases that ``ids`` stand for: overlaps merged, N where no known k-mer covers the base.

        [PAD], [CLS] and [SEP] are dropped; where overlapping k-mers disagree the later one is taken.
        """
        ids_S = np.asarray(ids, np.int64).ravel()
        tokens = ids_S[(ids_S >= self.special_count) | (ids_S == self.unk_id) | (ids_S == self.mask_id)]
        if not len(tokens):
            return ""
        known = np.flatnonzero(tokens >= self.special_count)
        numbers = tokens[known] - self.special_count
        codes_L = np.full(len(tokens) + self.k - 1, alphabet.AMBIGUOUS, np.uint8)
        for offset in reversed(range(self.k)):
            codes_L[known + offset] = numbers >> 2 * (self.k - 1 - offset) & 3
        return alphabet.decode(codes_L)


TOKENIZERS.add("kmer", KmerTokenizer())
for _k in ALLOWED_K:
    TOKENIZERS.add(f"kmer{_k}", KmerTokenizer(_k))

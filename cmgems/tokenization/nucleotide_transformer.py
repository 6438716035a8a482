"""6-mers side by side, as in the Nucleotide Transformer (Dalla-Torre et al. 2025, doi 10.1038/s41592-024-02523-z)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.genome import alphabet
from cmgems.tokenization import kernels
from cmgems.tokenization.base import TOKENIZERS
from cmgems.tokenization.inputs import encode_alone, longest_row, spell

K = 6
SPECIAL_TOKENS = {
    1: ("<unk>", "<pad>", "<mask>", "<cls>"),
    2: ("<unk>", "<pad>", "<mask>", "<cls>", "<eos>", "<bos>"),
}


@dataclass(frozen=True)
class NucleotideTransformerTokenizer:
    """6-mers side by side behind <cls>; nothing marks the end of a sequence.

    Read from left to right: the next six bases are one token if all of them are A, C, G or T, else the next base is
    a token of its own. So the bases left over at the end and those less than six before an ambiguous one become tokens
    of one base, and the ambiguous base itself becomes N. The ids are the special tokens, the 6-mers as base-4 numbers
    (first base most significant, A, T, C, G = 0..3), then A, T, C, G and N.

    Args:
        version: 1 or 2. The vocabulary of 2 also has <eos> and <bos>, which are never used.

    Raises:
        CmgemsError: if ``version`` is neither.
    """

    version: Literal[1, 2] = 2

    k: ClassVar[int] = K
    stride: ClassVar[int] = K
    unk_id: ClassVar[int] = 0
    pad_id: ClassVar[int] = 1
    sep_id: ClassVar[int] = pad_id
    mask_id: ClassVar[int] = 2
    cls_id: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if self.version not in SPECIAL_TOKENS:
            raise CmgemsError(f"`version` must be 1 or 2, but is {self.version}", where="tokenizer")

    @property
    def special_count(self) -> int:
        """4 special tokens in version 1, 6 in version 2."""
        return len(SPECIAL_TOKENS[self.version])

    @property
    def vocab_size(self) -> int:
        """The special tokens, 4096 6-mers and 5 letters."""
        return self.special_count + int(4**K) + len(alphabet.BASES) + 1

    @property
    def known_ids(self) -> range:
        """Ids of the 6-mers and of A, T, C and G: all but the special tokens and N, which is the last."""
        return range(self.special_count, self.vocab_size - 1)

    def token_count(self, bases: int) -> int:
        """The most tokens that up to ``bases`` bp of A, C, G and T make, <cls> included.

        Not those of ``bases`` bp itself: 12 bp are two 6-mers, but 11 bp a 6-mer and five single bases.
        """
        whole, rest = divmod(bases, K)
        return 1 + whole + (max(rest, K - 2) if whole else rest)

    def bases_for(self, tokens: int) -> int:
        """Length (bp) up to which every sequence of A, C, G and T fits ``tokens`` positions."""
        # The worst end, five single bases, takes so many positions more than a 6-mer.
        body, over = tokens - 1, K - 2
        return K * (body - over) + over if body > over else body

    def encode_batch(
        self, codes_BL: npt.NDArray[np.uint8], lengths_B: npt.NDArray[np.int32], tokens: int
    ) -> npt.NDArray[np.int32]:
        """As ``Tokenizer.encode_batch``, without [SEP]."""
        longest_row(codes_BL, lengths_B)
        ids_BS = np.empty((len(codes_BL), tokens), np.int32)
        kernels.side_by_side_ids(
            np.ascontiguousarray(codes_BL),
            np.ascontiguousarray(lengths_B, np.int32),
            self.special_count,
            self.pad_id,
            self.cls_id,
            ids_BS,
        )
        return ids_BS

    def encode(self, sequence: str) -> npt.NDArray[np.int32]:
        """As ``Tokenizer.encode``, without [SEP]."""
        return encode_alone(self, sequence)

    def vocabulary(self) -> list[str]:
        """The token of each id."""
        kmers = ("".join(kmer) for kmer in itertools.product(alphabet.BASES, repeat=K))
        return [*SPECIAL_TOKENS[self.version], *kmers, *alphabet.BASES, "N"]

    def decode(self, ids: npt.ArrayLike) -> str:
        """The bases that ``ids`` stand for; one N for each <mask> and <unk>, nothing for the other special tokens."""
        return spell(self, ids)


TOKENIZERS.add("nt_v1", NucleotideTransformerTokenizer(1))
TOKENIZERS.add("nt_v2", NucleotideTransformerTokenizer(2))

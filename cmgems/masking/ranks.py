"""Which tokens of a batch may be masked, and how strongly NPMI binds them.

A PMI table ranks k-mers. A token has a rank by its own bases. Single bases have no PMI: there the k-mer of bases that
starts at a position is ranked in place of its token. It is the one that an overlapping k-mer at the same position would
be. What is ranked, a token or such a k-mer, is called a word here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.genome import BASES
from cmgems.masking import kernels
from cmgems.pmi import PMITable
from cmgems.tokenization import Tokenizer, TokenMap, overlapping

RankBy = Literal["token", "position"]
TENTHS = 10
# Bases of the k-mers that single bases spell where no table says how many: those of the papers.
USUAL_K = 6


@dataclass(frozen=True, eq=False)
class Ranks:
    """The NPMI ranks of a tokenizer's rows, 1 = most tightly bound; without a table all the same.

    Attributes:
        tokenizer: Of the rows.
        of_words: int32, the rank of each word: [V] by token id; for single bases [4^k + 1] by k-mer number, and last,
            as 4^k + 1, what is no k-mer.
        of_kmers: int32 [4^k + 1], the same for the k-mers of the table, whatever the tokens.
    """

    tokenizer: Tokenizer
    of_words: npt.NDArray[np.int32]
    of_kmers: npt.NDArray[np.int32]

    @classmethod
    def of(cls, table: PMITable | None, tokenizer: Tokenizer) -> Ranks:
        """The ranks of ``table``.

        Raises:
            DataError: if it ranks k-mers of another length than the tokens.
        """
        ranks = np.zeros(4**USUAL_K, np.int32) if table is None else table.rank
        of_kmers = np.append(ranks, np.int32(len(ranks) + 1))
        if tokenizer.k == 1:
            return cls(tokenizer, of_kmers, of_kmers)
        none = np.zeros(tokenizer.vocab_size, np.int32)
        return cls(tokenizer, none if table is None else table.token_ranks(tokenizer), of_kmers)

    @property
    def k(self) -> int:
        """Bases of the k-mers of the table."""
        return round(math.log(len(self.of_kmers) - 1, 4))

    @property
    def word(self) -> int:
        """Tokens of a word."""
        return self.k if self.tokenizer.k == 1 else 1

    @cached_property
    def worst(self) -> int:
        """The largest rank of a word that may be masked; 0 without a table."""
        known_ids = self.tokenizer.known_ids
        known = slice(-1) if self.tokenizer.k == 1 else slice(known_ids.start, known_ids.stop)
        return int(self.of_words[known].max(initial=0))

    def tenths(self, ranks: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """The tenth of the ranking, 0 = best, that each rank (1 to ``worst``) falls into; shape as ``ranks``."""
        return np.minimum((ranks.astype(np.int64) - 1) * TENTHS // self.worst, TENTHS - 1)

    def maskable(self, ids_BS: np.ndarray) -> npt.NDArray[np.bool_]:
        """Whether each token may be masked: not special ones, padding, and those with an ambiguous base."""
        return self.tokens.known(ids_BS)

    def words(self, ids_BS: np.ndarray) -> npt.NDArray[np.int32]:
        """The word at each position, int32 (B, S): where in ``of_words`` its rank is."""
        if self.tokenizer.k != 1:
            return ids_BS
        words_BS: npt.NDArray[np.int32] = kernels.kmers_from(ids_BS, self.codes[:, 0], self.k)
        return words_BS

    def look_up(self, ids_BS: np.ndarray, rank_by: RankBy = "token") -> npt.NDArray[np.int32]:
        """The rank of the word at each position, int32 (B, S).

        Args:
            ids_BS: int32 token ids.
            rank_by: "token" as in the papers. "position" reproduces the code released with them, which takes the
                position in the sequence for a token id: every sequence then gets the same ranks.
        """
        if rank_by == "position":
            columns = np.minimum(np.arange(ids_BS.shape[1]), len(self.of_words) - 1)
            return np.tile(self.of_words[columns], (len(ids_BS), 1))
        return self.of_words.take(self.words(ids_BS))

    @cached_property
    def tokens(self) -> TokenMap:
        """The bases behind the ids of the rows."""
        return TokenMap(self.tokenizer)

    @cached_property
    def codes(self) -> npt.NDArray[np.int8]:
        """Codes of the bases of each token id, int8 (V, L), below 0 where unknown or beyond its end."""
        codes_VL = np.full((len(self.tokens.lengths), self.tokens.lengths.max()), -1, np.int8)
        for token in range(self.tokenizer.special_count, len(codes_VL)):
            word = self.tokens.vocabulary[token]
            codes_VL[token, : len(word)] = [BASES.find(base) for base in word]
        return codes_VL


def check_rank_by(rank_by: RankBy, tokenizer: Tokenizer, where: str) -> None:
    """Raise a CmgemsError if tokens that share no base are to be ranked by position; ``where`` names the option."""
    if rank_by == "position" and not overlapping(tokenizer):
        raise CmgemsError(
            "tokens that share no base have no rank by position",
            where=where,
            why="the code released with the papers masks overlapping k-mers",
            fix="leave it out, or take k-mers",
        )

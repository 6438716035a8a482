"""Which tokens of a batch may be masked, and the NPMI rank of each.

A PMI table ranks tokens. Single bases have no PMI: there the k-mer of bases that starts at a position is ranked in
place of its token. It is the one that an overlapping k-mer at the same position would be.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.genome import BASES
from cmgems.masking import kernels
from cmgems.pmi import PMITable
from cmgems.tokenization import Tokenizer

RankBy = Literal["token", "position"]
TENTHS = 10
# Bases of the k-mers that single bases spell where no table says how many: those of the papers.
USUAL_K = 6


def rank_tenths(ranks: npt.NDArray[np.int32], worst: int) -> npt.NDArray[np.int64]:
    """The tenth of the ranking, 0 = best, that each rank (1 to ``worst``) falls into; shape as ``ranks``."""
    return np.minimum((ranks.astype(np.int64) - 1) * TENTHS // worst, TENTHS - 1)


def ranks_of(table: PMITable | None, tokenizer: Tokenizer) -> npt.NDArray[np.int32]:
    """The NPMI ranks that the other functions look up; without a table all the same.

    Returns:
        int32, by token id; for single bases [4^k + 1] by k-mer number, and last, as 4^k + 1, what is no k-mer.

    Raises:
        DataError: if the table ranks k-mers of another length than the tokens.
    """
    if tokenizer.k != 1:
        return np.zeros(tokenizer.vocab_size, np.int32) if table is None else table.token_ranks(tokenizer)
    rank = np.zeros(4**USUAL_K, np.int32) if table is None else table.rank
    return np.append(rank, np.int32(len(rank) + 1))


def check_rank_by(rank_by: RankBy, tokenizer: Tokenizer, where: str) -> None:
    """Raise a CmgemsError if single bases are to be ranked by position; ``where`` names the option."""
    if tokenizer.k == 1 and rank_by == "position":
        raise CmgemsError(
            "single bases have no rank by position",
            where=where,
            why="the code released with the papers masks k-mers",
            fix="leave it out, or take k-mers",
        )


def word_tokens(token_ranks_V: np.ndarray, tokenizer: Tokenizer) -> int:
    """Tokens of what is ranked: the k of the k-mers that single bases spell, else 1."""
    return round(math.log(len(token_ranks_V) - 1, 4)) if tokenizer.k == 1 else 1


def ranked_words(ids_BS: np.ndarray, token_ranks_V: np.ndarray, tokenizer: Tokenizer) -> np.ndarray:
    """Where in ``ranks_of`` each position is looked up, int32 (B, S): by its id, or the k-mer that starts there."""
    if tokenizer.k != 1:
        return ids_BS
    codes_V = np.array([BASES.find(token) if len(token) == 1 else -1 for token in tokenizer.vocabulary()])
    words_BS: np.ndarray = kernels.kmers_from(ids_BS, codes_V, word_tokens(token_ranks_V, tokenizer))
    return words_BS


def rank_tokens(
    token_ranks_V: np.ndarray, ids_BS: np.ndarray, tokenizer: Tokenizer, rank_by: RankBy = "token"
) -> tuple[np.ndarray, np.ndarray]:
    """Look a batch up in a PMI table.

    Args:
        token_ranks_V: As ``ranks_of`` gives them.
        ids_BS: int32 token ids.
        tokenizer: Of the ids.
        rank_by: "token" as in the papers. "position" reproduces the code released with them, which takes the position
            in the sequence for a token id: every sequence then gets the same ranks.

    Returns:
        maskable_BS, bool, whether a token may be masked; ranks_BS, int32, its rank.
    """
    known_ids = tokenizer.known_ids
    maskable_BS = (ids_BS >= known_ids.start) & (ids_BS < known_ids.stop)
    if rank_by == "position":
        columns = np.minimum(np.arange(ids_BS.shape[1]), len(token_ranks_V) - 1)
        return maskable_BS, np.tile(token_ranks_V[columns], (len(ids_BS), 1))
    return maskable_BS, token_ranks_V.take(ranked_words(ids_BS, token_ranks_V, tokenizer))


def worst_rank(token_ranks_V: np.ndarray, tokenizer: Tokenizer) -> int:
    """The largest rank of a token, or k-mer of single bases, that may be masked."""
    known = slice(-1) if tokenizer.k == 1 else slice(tokenizer.known_ids.start, tokenizer.known_ids.stop)
    return int(token_ranks_V[known].max(initial=0))

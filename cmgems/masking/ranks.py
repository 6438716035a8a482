"""Which tokens of a batch may be masked, and the NPMI rank of each."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

RankBy = Literal["token", "position"]
TENTHS = 10


def rank_tenths(ranks: npt.NDArray[np.int32], worst: int) -> npt.NDArray[np.int64]:
    """The tenth of the ranking, 0 = best, that each rank (1 to ``worst``) falls into; shape as ``ranks``."""
    return np.minimum((ranks.astype(np.int64) - 1) * TENTHS // worst, TENTHS - 1)


def rank_tokens(
    token_ranks_V: np.ndarray, ids_BS: np.ndarray, known_ids: range, rank_by: RankBy = "token"
) -> tuple[np.ndarray, np.ndarray]:
    """Look a batch up in a PMI table.

    Args:
        token_ranks_V: int32 rank by token id (PMITable.token_ranks).
        ids_BS: int32 token ids.
        known_ids: Ids of the tokens that may be masked (Tokenizer.known_ids).
        rank_by: "token" as in the papers. "position" reproduces the code released with them, which takes the position
            in the sequence for a token id: every sequence then gets the same ranks.

    Returns:
        maskable_BS, bool, whether a token may be masked; ranks_BS, int32, its rank.
    """
    maskable_BS = (ids_BS >= known_ids.start) & (ids_BS < known_ids.stop)
    if rank_by == "position":
        columns = np.minimum(np.arange(ids_BS.shape[1]), len(token_ranks_V) - 1)
        return maskable_BS, np.tile(token_ranks_V[columns], (len(ids_BS), 1))
    return maskable_BS, token_ranks_V.take(ids_BS)


def worst_rank(token_ranks_V: np.ndarray, known_ids: range) -> int:
    """The largest rank of a token that may be masked."""
    return int(token_ranks_V[known_ids.start : known_ids.stop].max(initial=0))

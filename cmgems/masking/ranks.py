"""Which tokens of a batch may be masked, and the NPMI rank of each."""

from __future__ import annotations

from typing import Literal

import numpy as np

from cmgems.masking import kernels

RankBy = Literal["token", "position"]


def rank_tokens(
    token_ranks_V: np.ndarray, ids_BS: np.ndarray, known_ids: range, rank_by: RankBy = "token"
) -> tuple[np.ndarray, np.ndarray]:
    """Look a batch up in a PMI table.

    Args:
        token_ranks_V: int32 rank by token id (PMITable.token_ranks).
        ids_BS: int32 token ids.
        known_ids: Ids of the tokens that may be masked (Tokenizer.known_ids).
        rank_by: "token" as the papers say. "position" reproduces the code released with them, which looks a rank
            up by the position in the sequence as though it were a token id: every sequence then gets the same
            ranks, whatever it says.

    Returns:
        bool (B, S), whether a token may be masked; int32 (B, S), its rank.
    """
    ranks_BS, maskable_BS = kernels.look_up(token_ranks_V, ids_BS, known_ids.start, len(known_ids))
    if rank_by == "position":
        columns = np.minimum(np.arange(ids_BS.shape[1]), len(token_ranks_V) - 1)
        ranks_BS = np.ascontiguousarray(np.broadcast_to(token_ranks_V[columns], ids_BS.shape))
    return maskable_BS, ranks_BS

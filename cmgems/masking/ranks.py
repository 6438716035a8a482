"""The NPMI rank of each token of a batch."""

from __future__ import annotations

from typing import Literal

import numpy as np

from cmgems.masking import kernels

RankBy = Literal["token", "position"]


def lookup_ranks(token_ranks_V: np.ndarray, ids_BS: np.ndarray, rank_by: RankBy = "token") -> np.ndarray:
    """Rank of each position's token.

    Args:
        token_ranks_V: int32 rank by token id (PMITable.token_ranks).
        ids_BS: int32 token ids.
        rank_by: "token" as the papers say. "position" reproduces the code released with them, which looks a rank
            up by the position in the sequence as though it were a token id: every sequence then gets the same
            ranks, whatever it says.

    Returns:
        int32 (B, S).
    """
    if rank_by == "token":
        ranks_BS: np.ndarray = kernels.lookup(token_ranks_V, ids_BS)
        return ranks_BS
    columns = np.minimum(np.arange(ids_BS.shape[1]), len(token_ranks_V) - 1)
    return np.ascontiguousarray(np.broadcast_to(token_ranks_V[columns], ids_BS.shape))

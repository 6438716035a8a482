"""A masking strategy: every other token, starting with the first or the second by the toss of a coin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cmgems.masking import STRATEGIES, TokenBatch

# Draws of different streams are independent; this strategy needs one.
COIN = 0


@STRATEGIES.register("every_other")
@dataclass(frozen=True)
class EveryOther:
    """Masks half of the tokens.

    Attributes:
        heads: Chance that a sequence starts with its first token.
    """

    # It never reads the ranks, so it can be used without a PMI table, nor the rate: half of the tokens it is.
    needs_ranks: ClassVar[bool] = False
    own_rate: ClassVar[bool] = True

    heads: float = 0.5

    def select(self, batch: TokenBatch) -> np.ndarray:
        """bool (B, S), True where a token is to be guessed."""
        first_B1 = (batch.uniform(COIN)[:, :1] < self.heads).astype(int)
        positions_S = np.arange(batch.maskable_BS.shape[1])
        mask_BS: np.ndarray = ((positions_S + first_B1) % 2 == 0) & batch.maskable_BS
        return mask_BS

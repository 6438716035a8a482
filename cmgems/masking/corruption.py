"""From chosen positions to a training batch: 80 % [MASK], 10 % a random token, 10 % unchanged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmgems.masking import kernels
from cmgems.masking.batch import TokenBatch

MASK_SHARE = 0.8
RANDOM_SHARE = 0.1


@dataclass(frozen=True)
class MaskedBatch:
    """A batch ready for the model.

    Attributes:
        ids_BS: int32 token ids, corrupted at the masked positions.
        attention_BS: bool, False on padding.
        positions_M: int64 flat indices into B * S of the tokens to guess.
        labels_M: int64 true ids there.
        strategy: Name of the strategy that chose them.
    """

    ids_BS: np.ndarray
    attention_BS: np.ndarray
    positions_M: np.ndarray
    labels_M: np.ndarray
    strategy: str


def corrupt(batch: TokenBatch, mask_BS: np.ndarray, strategy: str) -> MaskedBatch:
    """Hide the chosen tokens of ``batch``. Random replacements are tokens of known bases only.

    Args:
        batch: Unmasked tokens; not changed.
        mask_BS: bool, the positions a strategy chose.
        strategy: Name to log.
    """
    tokenizer = batch.ranks.tokenizer
    ids_BS, positions_M, labels_M = kernels.corrupt(
        batch.ids_BS,
        mask_BS,
        np.uint64(batch.seed),
        batch.samples_B,
        tokenizer.mask_id,
        tokenizer.known_ids.start,
        len(tokenizer.known_ids),
        MASK_SHARE,
        RANDOM_SHARE,
    )
    return MaskedBatch(ids_BS, batch.ids_BS != tokenizer.pad_id, positions_M, labels_M, strategy)

"""Class probabilities of many sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from cmgems.data.labelled import pad_rows
from cmgems.tokenization import Tokenizer
from cmgems.training.compute import Compute


@torch.no_grad()
def predict_probabilities(
    model: nn.Module,
    rows: Sequence[np.ndarray],
    tokenizer: Tokenizer,
    max_positions: int,
    compute: Compute,
    batch_size: int = 64,
    advance: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Probabilities float32 (N, C) in the order of ``rows``; similar lengths share a batch.

    Args:
        model: A classifier on ``compute.device``.
        rows: int32 token ids of each sequence.
        tokenizer: For padding.
        max_positions: Widest row the model takes.
        compute: Device and precision.
        batch_size: Sequences in a forward pass.
        advance: Told the number of sequences done.
    """
    model.eval()
    order = np.argsort([len(row) for row in rows], kind="stable")
    parts = []
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        ids_BS = pad_rows([rows[r] for r in chosen], tokenizer.pad_id, max_positions)
        with compute.autocast():
            logits_BC = model(*model_inputs(ids_BS, tokenizer.pad_id, compute))
        parts.append(logits_BC.float().softmax(-1).cpu().numpy())
        if advance is not None:
            advance(len(chosen))
    sorted_NC = np.concatenate(parts)
    probabilities_NC = np.empty_like(sorted_NC)
    probabilities_NC[order] = sorted_NC
    return probabilities_NC


def model_inputs(ids_BS: np.ndarray, pad_id: int, compute: Compute) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids int64, attention bool) on the device."""
    ids = torch.from_numpy(ids_BS).to(compute.device).long()
    return ids, ids != pad_id

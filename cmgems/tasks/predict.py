"""What a fine-tuned model answers for many sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from cmgems.data.labelled import pad_rows
from cmgems.errors import CmgemsError
from cmgems.models import Head
from cmgems.tokenization import Tokenizer
from cmgems.training.compute import Compute


@torch.no_grad()
def predict_logits(
    model: nn.Module,
    rows: Sequence[np.ndarray],
    tokenizer: Tokenizer,
    max_positions: int,
    compute: Compute,
    batch_size: int = 64,
    advance: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Logits float32 (N, C) in the order of ``rows``; similar lengths share a batch.

    Args:
        model: A fine-tuned model on ``compute.device``. From a classifier of tokens come those of all tokens of the
            first row, of the second and so on, [CLS] and [SEP] included.
        rows: int32 token ids of each sequence.
        tokenizer: For padding.
        max_positions: Widest row the model takes.
        compute: Device and precision.
        batch_size: Sequences in a forward pass.
        advance: Told the number of sequences done.

    Raises:
        CmgemsError: if an answer is not finite.
    """
    model.eval()
    order = np.argsort([len(row) for row in rows], kind="stable")
    found: list[np.ndarray] = [np.empty(0)] * len(rows)
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        ids_BS = pad_rows([rows[r] for r in chosen], tokenizer.pad_id, max_positions)
        with compute.autocast():
            logits = model(*model_inputs(ids_BS, tokenizer.pad_id, compute))
        for row, answer in zip(chosen, logits.float().cpu().numpy(), strict=True):
            found[row] = answer[None] if answer.ndim == 1 else answer[: len(rows[row])]
        if advance is not None:
            advance(len(chosen))
    logits_NC = np.concatenate(found)
    if not np.isfinite(logits_NC).all():
        raise CmgemsError(
            "the model's answers are not finite",
            why="training has diverged",
            fix="lower optim.lr or set compute.precision=fp32",
        )
    return logits_NC


def activate(logits_NC: np.ndarray, head: Head) -> np.ndarray:
    """What float32 logits mean: probabilities, of one class or of each label; quantities are what they are."""
    if head == "regression":
        return logits_NC
    logits = torch.from_numpy(logits_NC)
    return (logits.sigmoid() if head == "multi_label" else logits.softmax(-1)).numpy()


def model_inputs(
    ids_BS: np.ndarray, pad_id: int, compute: Compute
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """(ids int64, attention bool) on the device; no attention, the models' fast case, if no token is padding."""
    real_BS = ids_BS != pad_id
    return compute.move(ids_BS).long(), None if real_BS.all() else compute.move(real_BS)

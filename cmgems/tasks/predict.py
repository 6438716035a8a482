"""What a fine-tuned model answers for many sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from cmgems.errors import CmgemsError
from cmgems.models import Head
from cmgems.tasks.forward import TokenBudget, forward_passes
from cmgems.tokenization import Tokenizer
from cmgems.training.compute import Compute


def predict_logits(
    model: nn.Module,
    rows: Sequence[np.ndarray],
    tokenizer: Tokenizer,
    max_positions: int,
    compute: Compute,
    batch_tokens: int | None = None,
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
        batch_tokens: Tokens in a forward pass, to begin with; None for what suits the device.
        advance: Told the number of sequences done.

    Raises:
        CmgemsError: if an answer is not finite, or memory is too short for one row.
    """
    model.eval()
    found: list[np.ndarray] = [np.empty(0)] * len(rows)
    for chosen, answers in forward_passes(
        rows,
        lambda _, ids_BS, attention_BS: model(ids_BS, attention_BS).float(),
        tokenizer,
        max_positions,
        compute,
        TokenBudget(compute, batch_tokens),
    ):
        for row, answer in zip(chosen, answers, strict=True):
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

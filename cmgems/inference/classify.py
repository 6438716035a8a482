"""Class logits of sequences of any length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cmgems.inference.batches import Cutter, own_bases
from cmgems.inference.sequences import NamedSequence
from cmgems.inference.windows import merge_means
from cmgems.training.compute import Compute


@torch.no_grad()
def class_logits(
    model: nn.Module,
    sequences: Sequence[NamedSequence],
    cutter: Cutter,
    compute: Compute,
    batch_size: int,
    advance: Callable[[float], None],
) -> npt.NDArray[np.float32]:
    """Logits float32 (N, C) in the order of ``sequences``: of a long one the mean over its windows.

    Args:
        model: A classifier on ``compute.device``, in evaluation mode.
        sequences: Checked ones (``check_sequences``).
        cutter: Cuts them to what the model takes.
        compute: Device and precision.
        batch_size: Windows in a forward pass.
        advance: Told the number of bases done.
    """
    found: list[npt.NDArray[np.float32]] = []
    for chunk in cutter.chunks(sequences, batch_size):
        logits: list[npt.NDArray[np.float32]] = [np.empty(0, np.float32)] * len(chunk)
        for chosen, ids_BS, attention_BS in cutter.batches(chunk, batch_size, compute):
            with compute.autocast():
                logits_BC = model(ids_BS, attention_BS)
            for i, row_C in zip(chosen, logits_BC.float().cpu().numpy(), strict=True):
                logits[i] = row_C
            advance(own_bases([chunk[i] for i in chosen]))
        groups_W = np.array([piece.sequence - chunk[0].sequence for piece in chunk], np.int64)
        found.append(merge_means(np.stack(logits), groups_W, np.ones(len(chunk))))
    return np.concatenate(found)

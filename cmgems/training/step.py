"""The masked-LM training step and its validation.

The loss is the mean over every masked token of the step, whatever micro-batch or rank it came from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cmgems.distributed import World
from cmgems.errors import CmgemsError
from cmgems.masking import MaskedBatch
from cmgems.training.compute import Compute
from cmgems.training.optim import OptimConfig, apply_gradients

IGNORE = -100
# Under torch.compile masked positions are padded to multiples of this share of B * S, to keep shapes static.
CAPACITY_SHARE = 0.2


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step did.

    Attributes:
        loss: Mean cross-entropy (nats) of the masked tokens.
        masked: Tokens masked, all ranks.
        tokens: Real tokens seen, all ranks.
        gradient_norm: Before clipping.
    """

    loss: float
    masked: int
    tokens: int
    gradient_norm: float


def _static(positions_M: np.ndarray, labels_M: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    unit = max(1, round(CAPACITY_SHARE * cells))
    padding = -len(positions_M) % unit if len(positions_M) else unit
    return np.pad(positions_M, (0, padding)), np.pad(labels_M, (0, padding), constant_values=IGNORE)


def loss_sum(model: nn.Module, batch: MaskedBatch, compute: Compute, *, static: bool) -> torch.Tensor:
    """Summed cross-entropy (nats) over the masked tokens of one batch, a float32 scalar."""
    positions_M, labels_M = batch.positions_M, batch.labels_M
    attention_BS = None if batch.attention_BS.all() and not static else batch.attention_BS
    if static:
        positions_M, labels_M = _static(positions_M, labels_M, batch.ids_BS.size)

    def move(array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(array)
        if compute.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(compute.device, non_blocking=True)

    with compute.autocast():
        logits_MV = model(
            move(batch.ids_BS).long(), None if attention_BS is None else move(attention_BS), move(positions_M)
        )
    return F.cross_entropy(logits_MV.float(), move(labels_M), ignore_index=IGNORE, reduction="sum")


def train_step(
    model: nn.Module,
    called: nn.Module,
    batches: Sequence[MaskedBatch],
    optimizer: torch.optim.Optimizer,
    config: OptimConfig,
    lr: float,
    compute: Compute,
    world: World,
) -> StepResult:
    """One optimizer step over the micro-batches of ``batches``.

    Args:
        model: Holds the parameters.
        called: ``model``, or its compiled form.
        batches: This rank's rows of each micro-batch.
        optimizer: Updated in place.
        config: For clipping.
        lr: Learning rate of this step.
        compute: Device and precision.
        world: Sums over ranks.

    Raises:
        CmgemsError: if the loss is not finite; the parameters are then unchanged.
    """
    model.train()
    masked = int(world.sum(sum(len(b.labels_M) for b in batches), compute.device))
    tokens = int(world.sum(sum(int(b.attention_BS.sum()) for b in batches), compute.device))
    total = torch.zeros((), device=compute.device)
    for batch in batches:
        loss = loss_sum(called, batch, compute, static=compute.compiled) / max(masked, 1)
        loss.backward()
        total += loss.detach()
    world.sum_gradients(model)
    loss_value = world.sum(total.item(), compute.device)
    if not math.isfinite(loss_value):
        raise CmgemsError(
            "the loss is not finite",
            why=f"it is {loss_value}",
            fix="lower optim.lr or set compute.precision=fp32",
        )
    norm = apply_gradients(model, optimizer, config, lr)
    return StepResult(loss_value, masked, tokens, float(norm))


@torch.no_grad()
def validate(model: nn.Module, batches: Sequence[MaskedBatch], compute: Compute, world: World) -> float:
    """Mean cross-entropy (nats) of the fixed-masked validation tokens; ranks share the batches."""
    model.eval()
    mine = batches[world.rank :: world.size]
    total = sum(loss_sum(model, b, compute, static=False).double().item() for b in mine)
    masked = sum(len(b.labels_M) for b in batches)
    return world.sum(total, compute.device) / masked


def unigram_entropy(batches: Sequence[MaskedBatch]) -> float:
    """Entropy (nats) of the masked tokens' own distribution.

    A model that ignores the context cannot get below this, so a validation loss under it shows the context in use.
    """
    labels = np.concatenate([b.labels_M for b in batches])
    shares = np.bincount(labels)[np.unique(labels)] / len(labels)
    return float(-(shares * np.log(shares)).sum())

"""The masked-LM training step and its validation.

The loss is the mean over every masked token of the step, whatever micro-batch or rank it came from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from cmgems.distributed import World
from cmgems.masking import MaskedBatch, never_empty
from cmgems.masking.ranks import TENTHS
from cmgems.models.base import Layout
from cmgems.models.packing import Kernel
from cmgems.tokenization import IGNORE
from cmgems.training.compute import Compute, uncompiled
from cmgems.training.cuda_graphs import begin_pass
from cmgems.training.inputs import loss_inputs
from cmgems.training.late import LateCopy
from cmgems.training.memory import passes
from cmgems.training.optim import OptimConfig, apply_gradients
from cmgems.training.parallel import exchanging

# The tenth of a ranking that each masked token of a batch belongs to, int64 (M,).
TenthsOf = Callable[[MaskedBatch], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step did.

    Attributes:
        loss: Mean cross-entropy (nats) of the masked tokens.
        masked: Tokens masked, all ranks.
        tokens: Real tokens seen, all ranks.
        gradient_norm: Before clipping; NaN if the loss is not finite.
    """

    loss: float
    masked: int
    tokens: int
    gradient_norm: float


@dataclass(frozen=True, eq=False)
class StartedStep:
    """An optimizer step that a GPU may still be at.

    Attributes:
        masked: Tokens masked, all ranks.
        tokens: Real tokens seen, all ranks.
    """

    masked: int
    tokens: int
    _loss_and_norm: LateCopy

    def result(self) -> StepResult:
        """What it did; waits until it is done."""
        loss, norm = self._loss_and_norm.array().tolist()
        return StepResult(loss, self.masked, self.tokens, norm)


class MaskedLMLoss(nn.Module):
    """A masked language model and its loss: what is compiled as a whole.

    Args:
        model: Called with (ids, layout, positions), as ``cmgems.models.heads.MaskedLM``, or that in DDP.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        # A plugin's encoder may be no `Encoder`, and know padded rows only.
        encoder = getattr(model, "module", model).encoder
        self.packed_by: tuple[Kernel, ...] = getattr(encoder, "packed_by", ())

    def forward(
        self, ids_BS: torch.Tensor, layout: Layout, positions_M: torch.Tensor, labels_M: torch.Tensor
    ) -> torch.Tensor:
        """Summed cross-entropy (nats) of the tokens at ``positions_M``, a float32 scalar."""
        return self.of_logits(self.model(ids_BS, layout, positions_M), labels_M)

    def of_logits(self, logits_MV: torch.Tensor, labels_M: torch.Tensor) -> torch.Tensor:
        """The same of the model's answers."""
        return F.cross_entropy(logits_MV.float(), labels_M, ignore_index=IGNORE, reduction="sum")


def loss_sum(loss: nn.Module, batch: MaskedBatch, compute: Compute, *, training: bool) -> torch.Tensor:
    """Summed cross-entropy (nats) over the masked tokens of one batch, a float32 scalar.

    Args:
        loss: A ``MaskedLMLoss``, or its compiled form.
        batch: Rows of tokens.
        compute: Device and precision; in training also whether shapes are kept static and rows packed.
        training: False for a model that is not compiled.
    """
    with compute.autocast():
        packed_by = cast(tuple[Kernel, ...], loss.packed_by)
        static = training and compute.compiled
        total: torch.Tensor = loss(*loss_inputs(batch, compute, static=static, packed_by=packed_by))
    return total


def train_step(
    model: nn.Module,
    loss: nn.Module,
    batches: Sequence[MaskedBatch],
    optimizer: torch.optim.Optimizer,
    config: OptimConfig,
    lr: float,
    compute: Compute,
    world: World,
) -> StartedStep:
    """One optimizer step over the micro-batches of ``batches``.

    Args:
        model: Holds the parameters.
        loss: Its ``MaskedLMLoss``, or what ``prepare_model`` made of it.
        batches: This rank's rows, a part at a time.
        optimizer: Updated in place.
        config: For clipping.
        lr: Learning rate of this step.
        compute: Device and precision.
        world: Sums over ranks.

    The parameters stay as they are if the loss or the gradient's norm is not finite.

    Raises:
        TooManyRowsError: if a batch does not fit into memory; the same step may be taken with smaller ones.
    """
    loss.train()
    optimizer.zero_grad(set_to_none=True)  # what an attempt that ran out of memory left
    counts = np.array([[len(b.labels_M), b.attention_BS.sum()] for b in batches], np.int64).sum(0)
    world.sum_counts(counts)
    masked, tokens = counts.tolist()
    total = torch.zeros((), device=compute.device)
    with passes():
        for number, batch in enumerate(batches, 1):
            begin_pass(compute, model)
            with exchanging(loss, last=number == len(batches)):
                share = loss_sum(loss, never_empty(batch), compute, training=True) / max(masked, 1)
                share.backward()
            total += share.detach()
    mean = world.sum_tensor(total.double())
    norm = apply_gradients(model, optimizer, config, lr, mean)
    return StartedStep(masked, tokens, LateCopy(torch.stack([mean, norm.double()])))


@dataclass(frozen=True)
class Validation:
    """How well a model guesses the fixed-masked validation tokens.

    Attributes:
        loss: Mean cross-entropy (nats).
        accuracy: Share of them that are the model's first guess.
        tenth_losses: ``loss`` of the tokens of each tenth of a ranking, NaN if it has none; empty if not asked for.
    """

    loss: float
    accuracy: float
    tenth_losses: tuple[float, ...] = ()


@torch.no_grad()
def validate(
    model: nn.Module,
    batches: Sequence[MaskedBatch],
    compute: Compute,
    world: World,
    tenths: TenthsOf | None = None,
) -> Validation:
    """Measure a model under the fixed mask; ranks share the batches.

    Args:
        model: A masked language model.
        batches: Under the fixed mask.
        compute: Device and precision.
        world: Sums over ranks.
        tenths: Gives the tenth of a ranking of each masked token, to measure the loss of each too.
    """
    loss = MaskedLMLoss(model).eval()
    totals_T = torch.zeros(2 + TENTHS * (tenths is not None), dtype=torch.float64, device=compute.device)
    for first in range(0, len(batches), world.size):
        # Every rank computes in every round, even if the result is not used: a sharded model needs all ranks.
        mine = first + world.rank
        found_T = _nats_and_right(loss, batches[min(mine, len(batches) - 1)], compute, tenths)
        totals_T += found_T if mine < len(batches) else 0.0
    masked = sum(len(b.labels_M) for b in batches)
    nats, right, *tenth_nats = world.sum_tensor(totals_T).tolist()
    tenth_losses: tuple[float, ...] = ()
    if tenths is not None:
        counts = np.bincount(np.concatenate([tenths(b) for b in batches]), minlength=TENTHS)
        tenth_losses = tuple(
            nats / count if count else math.nan
            for nats, count in zip(tenth_nats, counts.tolist(), strict=True)
        )
    return Validation(nats / masked, right / masked, tenth_losses)


def _nats_and_right(
    loss: MaskedLMLoss, batch: MaskedBatch, compute: Compute, tenths: TenthsOf | None
) -> torch.Tensor:
    """Summed cross-entropy of the masked tokens of one batch, how many are the first guess, and the sum of each tenth:
    float64 (2,) or (2 + TENTHS,)."""
    with uncompiled(compute), compute.autocast():
        *inputs, labels_M = loss_inputs(batch, compute, static=False, packed_by=loss.packed_by)
        logits_MV = loss.model(*inputs)
        nats = loss.of_logits(logits_MV, labels_M)
    right = (logits_MV.argmax(-1) == labels_M).sum()
    found_2 = torch.stack([nats.double(), right.double()])
    if tenths is None:
        return found_2
    nats_M = F.cross_entropy(logits_MV.float(), labels_M, reduction="none")
    # A product, since a GPU adds up scattered numbers in any order.
    tenths_M1 = compute.move(tenths(batch))[:, None]
    tenths_MT = tenths_M1 == torch.arange(TENTHS, device=compute.device)
    return torch.cat([found_2, nats_M.double() @ tenths_MT.double()])


def unigram_entropy(batches: Sequence[MaskedBatch]) -> float:
    """Entropy (nats) of the masked tokens' own distribution.

    A model that ignores the context cannot get below this by more than what the tokens tell that masking leaves as they
    are (``cmgems.pretraining.baselines``), so a validation loss well under it shows the context in use.
    """
    labels = np.concatenate([b.labels_M for b in batches])
    shares = np.bincount(labels)[np.unique(labels)] / len(labels)
    return float(-(shares * np.log(shares)).sum())

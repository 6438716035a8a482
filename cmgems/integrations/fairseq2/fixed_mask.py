"""Validation under one mask that never changes: for the curriculum, and for fairseq2's own metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import AbstractContextManager
from typing import Self

import fairseq2.recipe  # noqa: F401 - first, or importing fairseq2.evaluator is a circle
import torch
from fairseq2.datasets import DataReader
from fairseq2.device import Device, SupportsDeviceTransfer
from fairseq2.evaluator import EvalUnit
from fairseq2.gang import Gangs, ReduceOperation
from fairseq2.metrics import Mean, MetricBag
from torch import nn

from cmgems.integrations.fairseq2.masked_genome import MaskedTokens
from cmgems.masking import MaskedBatch


class FixedMaskLoss:
    """The mean loss of the fixed-masked validation tokens, computed once for each step.

    Args:
        model: As it is trained, wrapped for several processes.
        batches: ``PretrainingData.validation_batches``; the processes share them.
        gangs: The processes.
        autocast: The precision that training has.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Sequence[MaskedBatch],
        gangs: Gangs,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._model, self._gangs, self._autocast = model, gangs, autocast
        self._batches = [MaskedTokens.of(batch, 0, first=False) for batch in batches]
        self._targets = sum(len(batch.labels_M) for batch in batches)
        self._known: tuple[int, float] = (-1, math.nan)

    def at(self, step: int) -> float:
        """Mean cross-entropy (nats) of the weights as they are now, after ``step`` steps."""
        if self._known[0] != step:
            training = self._model.training
            self._model.eval()
            self._known = step, self._mean()
            self._model.train(training)
        return self._known[1]

    @torch.no_grad()
    def _mean(self) -> float:
        dp = self._gangs.dp
        total = torch.zeros((), dtype=torch.float64, device=dp.device)
        for first in range(0, len(self._batches), dp.size):
            # Every process computes in every round, even if the result is not used: a sharded model needs all.
            mine = first + dp.rank
            batch = self._batches[min(mine, len(self._batches) - 1)]
            batch.to(dp.device)
            with self._autocast():
                nats = batch.loss_sum(self._model)
            if mine < len(self._batches):
                total += nats.double()
        dp.all_reduce(total, ReduceOperation.SUM)
        return total.item() / self._targets


class Once(SupportsDeviceTransfer):
    """Stands for all batches of a validation, which its unit knows."""

    def to(self, device: Device, *, non_blocking: bool = False) -> None:
        """Nothing to move."""


class OnceReader(DataReader[Once]):
    """One batch, which stands for the whole validation."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Give the batch again."""
        self._left = [Once()]

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[Once]:
        if not self._left:
            raise StopIteration
        return [self._left.pop()]

    def state_dict(self) -> dict[str, object]:
        """Nothing to keep."""
        return {}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Nothing to restore."""

    @property
    def num_accumulate(self) -> int:
        """One."""
        return 1


class FixedMaskUnit(EvalUnit[Once]):
    """Reports the loss and perplexity under the fixed mask as fairseq2's validation metrics.

    Args:
        loss: Shared with the curriculum, so that a step is validated once.
    """

    def __init__(self, loss: FixedMaskLoss) -> None:
        self._loss = loss
        self._step = 0

    def set_train_step_nr(self, step_nr: int) -> None:
        """Remember the step whose weights are validated."""
        self._step = step_nr

    def prepare_metric_bag(self, metric_bag: MetricBag) -> None:
        """Add the loss."""
        metric_bag.add("loss", Mean())

    def process_batch(self, batch: Once, metric_bag: MetricBag) -> None:
        """Validate."""
        metric_bag.get("loss", Mean).update(self._loss.at(self._step))

    def process_metric_values(self, values: MutableMapping[str, object]) -> None:
        """Add the perplexity."""
        values["perplexity"] = math.exp(float(values["loss"]))  # type: ignore[arg-type]

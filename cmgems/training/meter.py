"""The figures of a step: loss, speed, share of the GPU's peak, memory, waiting."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cmgems.masking import MaskedBatch
from cmgems.models import ModelConfig
from cmgems.training.compute import Compute
from cmgems.training.flops import peak_flops, training_flops
from cmgems.training.late import Clock, Moment, seconds_between
from cmgems.training.step import StepResult
from cmgems.training.watch import is_finite


@dataclass(frozen=True)
class Lap:
    """When a step began, had its data, and was over."""

    began: Moment
    data: Moment
    over: Moment


class Meter:
    """A stopwatch for steps that knows what a step costs. A step begins when the one before it is over.

    Args:
        model: A masked language model.
        config: Its config.
        compute: Where it runs.
    """

    def __init__(self, model: nn.Module, config: ModelConfig, compute: Compute) -> None:
        self._flops, self._peak, self._compute = training_flops(model, config), peak_flops(compute), compute
        self._clock = Clock(compute.device)
        self.restart()

    def restart(self) -> None:
        """The next step begins now: what came since the last one, such as a validation, is no part of it."""
        self._began = self._data = self._clock.now()

    def data_arrived(self) -> None:
        """The data of the step is there."""
        self._data = self._clock.now()

    def step_over(self) -> Lap:
        """The step is over, and the next one begins; on a GPU once it comes to this."""
        lap = Lap(self._began, self._data, self._clock.now())
        self._began = lap.over
        return lap

    def record(self, result: StepResult, batch: MaskedBatch, lr: float, lap: Lap) -> dict[str, Any]:
        """The step's figures; without loss and gradient if they are not finite.

        `mfu`, on GPUs whose peak is known: the model FLOPs of this rank's batch over what its GPU could have done.
        """
        seconds = seconds_between(lap.began, lap.over)
        learned = {"loss": result.loss, "gradient_norm": result.gradient_norm} if is_finite(result) else {}
        mfu = {"mfu": self._flops.of(batch) / seconds / self._peak} if self._peak else {}
        return {
            **learned,
            "strategy": batch.strategy,
            "masked_share": result.masked / result.tokens,
            "lr": lr,
            "seconds": seconds,
            "tokens_per_second": result.tokens / seconds,
            "wait_share": seconds_between(lap.began, lap.data) / seconds,
            "peak_memory_gb": peak_memory(self._compute.device) / 1e9,
            **mfu,
        }


def peak_memory(device: torch.device) -> int:
    """Bytes that this process has had at most: allocated on a GPU, resident on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # the one thing that getrusage does not agree on
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

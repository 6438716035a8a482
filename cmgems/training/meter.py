"""The figures of a step: loss, speed, share of the GPU's peak, memory, waiting."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch
from torch import nn

from cmgems.masking import MaskedBatch
from cmgems.models import ModelConfig
from cmgems.training.compute import Compute
from cmgems.training.flops import peak_flops, training_flops
from cmgems.training.step import StepResult
from cmgems.training.watch import is_finite


class Meter:
    """A stopwatch for steps that knows what a step costs.

    Args:
        model: A masked language model.
        config: Its config.
        compute: Where it runs.
    """

    def __init__(self, model: nn.Module, config: ModelConfig, compute: Compute) -> None:
        self._flops, self._peak, self._compute = training_flops(model, config), peak_flops(compute), compute
        self.start()

    def start(self) -> None:
        """A step begins: its data is asked for."""
        self._began = time.perf_counter()
        self._waited = 0.0

    def data_arrived(self) -> None:
        """The data is there."""
        self._waited = time.perf_counter() - self._began

    def record(self, result: StepResult, batch: MaskedBatch, lr: float) -> dict[str, Any]:
        """The step's figures, now that it is over; without loss and gradient if they are not finite.

        `mfu`, on GPUs whose peak is known: the model FLOPs of this rank's batch over what its GPU could have done.
        """
        seconds = max(time.perf_counter() - self._began, 1e-9)
        learned = {"loss": result.loss, "gradient_norm": result.gradient_norm} if is_finite(result) else {}
        mfu = {"mfu": self._flops.of(batch) / seconds / self._peak} if self._peak else {}
        return {
            **learned,
            "strategy": batch.strategy,
            "masked_share": result.masked / result.tokens,
            "lr": lr,
            "seconds": seconds,
            "tokens_per_second": result.tokens / seconds,
            "wait_share": self._waited / seconds,
            "peak_memory_gb": peak_memory(self._compute.device) / 1e9,
            **mfu,
        }


def peak_memory(device: torch.device) -> int:
    """Bytes that this process has had at most: allocated on a GPU, resident on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # the one thing that getrusage does not agree on
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

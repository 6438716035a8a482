"""One process or several: rank, world size, and sums over all ranks.

Under ``torchrun`` each rank takes its rows of every global batch. Losses are divided by the global masked-token
count before the backward pass, so gradients are summed over ranks, not averaged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True)
class World:
    """The processes of a run; ``rank`` 0 writes."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def sum(self, value: float, device: torch.device) -> float:
        """The sum of ``value`` over all ranks."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=device)
        dist.all_reduce(total)
        return total.item()

    def sum_gradients(self, model: nn.Module) -> None:
        """Sum every parameter's gradient over all ranks, in place."""
        if self.size == 1:
            return
        for parameter in model.parameters():
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)

    def wait(self) -> None:
        """Return once every rank has come here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def open_world() -> Iterator[World]:
    """The world torchrun describes in the environment, or a world of one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield World(int(os.environ["RANK"]), size, int(os.environ["LOCAL_RANK"]))
    finally:
        dist.destroy_process_group()

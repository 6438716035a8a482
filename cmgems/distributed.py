"""One process or several: rank, world size, and sums over all ranks.

Under ``torchrun`` each rank takes its share of the work. torch is imported only when there is more than one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
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
        import torch
        import torch.distributed as dist

        total = torch.tensor(value, dtype=torch.float64, device=device)
        dist.all_reduce(total)
        return total.item()

    def sum_counts(self, counts: npt.NDArray[np.int64]) -> None:
        """Sum an array over all ranks, in place."""
        if self.size > 1:
            import torch
            import torch.distributed as dist

            dist.all_reduce(torch.from_numpy(counts))

    def sum_gradients(self, model: nn.Module) -> None:
        """Sum every parameter's gradient over all ranks, in place.

        Losses are divided by the global masked-token count before the backward pass: summed, not averaged.
        """
        if self.size == 1:
            return
        import torch.distributed as dist

        for parameter in model.parameters():
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)

    def wait(self) -> None:
        """Return once every rank has come here."""
        if self.size > 1:
            import torch.distributed as dist

            dist.barrier()


ALONE = World()


@contextmanager
def open_world() -> Iterator[World]:
    """The world torchrun describes in the environment, or a world of one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    import torch
    import torch.distributed as dist

    # gloo sums what lies in main memory, such as counts, also where there is a GPU.
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield World(int(os.environ["RANK"]), size, int(os.environ["LOCAL_RANK"]))
    finally:
        dist.destroy_process_group()

"""One process or several: rank, world size, and what all ranks do together.

Under ``torchrun`` each rank takes its share of the work. torch is imported only when there is more than one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
    from torch import nn

# Gradients travel in pieces of about this many bytes: one call for each small parameter would mostly wait.
BUCKET_BYTES = 25 * 2**20


@dataclass(frozen=True)
class World:
    """The processes of a run; ``rank`` 0 writes."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def sum(self, value: float, device: torch.device | str = "cpu") -> float:
        """The sum of ``value`` over all ranks; through main memory, unless ``device`` says otherwise."""
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

        Losses are divided by the global masked-token count before the backward pass: summed, not averaged. The
        gradients of a sharded model (DTensors) are skipped: its backward pass has summed them.
        """
        if self.size == 1:
            return
        import torch
        import torch.distributed as dist
        from torch.distributed.tensor import DTensor

        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        for bucket in _buckets([g for g in gradients if not isinstance(g, DTensor)]):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            dist.all_reduce(flat)
            pieces = flat.split([gradient.numel() for gradient in bucket])
            torch._foreach_copy_(bucket, [p.view_as(g) for p, g in zip(pieces, bucket, strict=True)])

    def from_first(self, value: int) -> int:
        """Rank 0's ``value``, on every rank."""
        if self.size == 1:
            return value
        import torch
        import torch.distributed as dist

        told = torch.tensor(value)
        dist.broadcast(told, src=0)
        return int(told)

    def gather(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """Every rank's ``tensor``, by rank; in main memory and of the same shape and dtype on all."""
        if self.size == 1:
            return [tensor]
        import torch
        import torch.distributed as dist

        gathered = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(gathered, tensor)
        return gathered

    def wait(self) -> None:
        """Return once every rank has come here."""
        if self.size > 1:
            import torch.distributed as dist

            dist.barrier()


ALONE = World()


def _buckets(gradients: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Neighbours that together take about ``BUCKET_BYTES``; they keep their order, so all ranks agree."""
    bucket: list[torch.Tensor] = []
    size = 0
    for gradient in gradients:
        if bucket and size + gradient.nbytes > BUCKET_BYTES:
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.nbytes
    if bucket:
        yield bucket


@contextmanager
def open_world() -> Iterator[World]:
    """The world torchrun describes in the environment, or a world of one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    # A store may outlive a restart of the processes (torchrun --max-restarts): without keys of its own, the new
    # attempt would be told the addresses of the dead one.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store, rank, size = next(rendezvous("env://"))
    # gloo sums what lies in main memory, such as counts, also where there is a GPU.
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
        store=dist.PrefixStore(f"attempt_{attempt}", store),  # type: ignore[attr-defined]
        rank=rank,
        world_size=size,
    )
    try:
        yield World(rank, size, int(os.environ["LOCAL_RANK"]))
    finally:
        # After a failure the connections stay open until this process ends: closed here, the other ranks would fail
        # of that, and perhaps be heard before the one that knows the cause.
        if isinstance(sys.exception(), SystemExit | None):
            dist.destroy_process_group()

"""Several processes: what they do together through torch.distributed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.tensor import DTensor

from cmgems.distributed import World

# Gradients travel in pieces of about this many bytes: one call for each small parameter would mostly wait.
BUCKET_BYTES = 25 * 2**20

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks(World):
    """Several processes that torch.distributed connects."""

    def sum(self, value: float, device: torch.device | str = "cpu") -> float:
        total = torch.tensor(value, dtype=torch.float64, device=device)
        dist.all_reduce(total)
        return total.item()

    def sum_tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    def sum_counts(self, counts: npt.NDArray[np.int64]) -> None:
        dist.all_reduce(torch.from_numpy(counts))

    def sum_gradients(self, model: nn.Module) -> None:
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        for bucket in _buckets([g for g in gradients if not isinstance(g, DTensor)]):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            dist.all_reduce(flat)
            pieces = flat.split([gradient.numel() for gradient in bucket])
            torch._foreach_copy_(bucket, [p.view_as(g) for p, g in zip(pieces, bucket, strict=True)])

    def from_first(self, value: int) -> int:
        told = torch.tensor(value)
        dist.broadcast(told, src=0)
        return int(told)

    def gather(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        gathered = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(gathered, tensor)
        return gathered

    def collect(self, value: T) -> list[T]:
        found: list[T | None] | None = [None] * self.size if self.is_main else None
        # Packed by pickle, which is safe here: nobody but the processes of this run is connected.
        dist.gather_object(value, found, dst=0)
        return cast(list[T], found or [])

    def wait(self) -> None:
        dist.barrier()


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

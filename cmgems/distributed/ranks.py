"""Several processes: what they do together through torch.distributed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist

from cmgems.distributed import World

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks(World):
    """Several processes that torch.distributed connects."""

    def sum(self, value: float) -> float:
        return self.sum_tensor(torch.tensor(value, dtype=torch.float64)).item()

    def sum_tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    def sum_counts(self, counts: npt.NDArray[np.int64]) -> None:
        dist.all_reduce(torch.from_numpy(counts))

    def from_first(self, value: int) -> int:
        told = torch.tensor(value)
        dist.broadcast(told, src=0)
        return int(told)

    def gather(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        gathered = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(gathered, tensor)
        return gathered

    def gather_rows(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        counts = [int(count) for count in self.gather(torch.tensor(len(rows)))]
        padded = np.zeros((max(counts), *rows.shape[1:]), rows.dtype)
        padded[: len(rows)] = rows
        gathered = self.gather(torch.from_numpy(padded))
        return np.concatenate([each.numpy()[:count] for each, count in zip(gathered, counts, strict=True)])

    def collect(self, value: T) -> list[T]:
        found: list[T | None] | None = [None] * self.size if self.is_main else None
        # Packed by pickle, which is safe here: nobody but the processes of this run is connected.
        dist.gather_object(value, found, dst=0)
        return cast(list[T], found or [])

    def wait(self) -> None:
        dist.barrier()

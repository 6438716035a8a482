"""One process or several: rank, world size, and what all ranks do together.

Under ``torchrun`` each rank takes its share of the work. torch is imported only when there is more than one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.iteration import batched

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class World:
    """The processes of a run; this class is a process alone, ``cmgems.distributed.ranks.Ranks`` is several.

    Attributes:
        rank: This process, from 0; 0 writes the files.
        size: Processes on all machines.
        local_rank: This process among those of its machine, from 0.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def sum(self, value: float) -> float:
        """The sum of ``value`` over all ranks, through main memory."""
        return value

    def sum_tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of ``tensor`` over all ranks, on its device; nothing waits for a GPU."""
        return tensor

    def sum_counts(self, counts: npt.NDArray[np.int64]) -> None:
        """Sum an array over all ranks, in place."""

    def from_first(self, value: int) -> int:
        """Rank 0's ``value``, on every rank."""
        return value

    def gather(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """Every rank's ``tensor``, by rank; in main memory and of the same shape and dtype on all."""
        return [tensor]

    def gather_rows(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The rows of all ranks, one below the other by rank, on every rank; each may have another number of them."""
        return rows

    def collect(self, value: T) -> list[T]:
        """Every rank's ``value``, by rank, on rank 0; nothing on the others. Any object, not only arrays."""
        return [value]

    def wait(self) -> None:
        """Return once every rank has come here."""


ALONE = World()


def in_turns(world: World, items: Iterable[T], work: Callable[[T], R]) -> Iterator[tuple[T, R]]:
    """What ``work`` makes of each item, in order: rank 0 takes the first item, rank 1 the second, and so on in rounds.

    Every rank must go through it to its end; only on rank 0 something comes out. A round is held in memory.

    Args:
        world: The ranks.
        items: The same on every rank.
        work: What is done about one item, on one of the ranks.
    """
    for some in batched(items, world.size):
        mine = work(some[world.rank]) if world.rank < len(some) else None
        for item, found in zip(some, world.collect(mine), strict=False):
            yield item, cast(R, found)


def described_world() -> World:
    """Rank and size as the environment has them, by the variables of torchrun; nothing is connected.

    Raises:
        CmgemsError: if it describes several processes, but not wholly: variables that were left over, say.
    """
    size = _variable("WORLD_SIZE", 1, default=1)
    if size == 1:
        return ALONE
    missing = [
        name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)
    ]
    if missing:
        raise CmgemsError(
            "one process, or several",
            where="the environment",
            why=f"WORLD_SIZE is {size}, but there is no {', '.join(missing)}",
            fix="unset WORLD_SIZE for one process; start several with --nproc-per-node or torchrun",
        )
    _variable("MASTER_PORT", 0)
    return World(_variable("RANK", 0, below=size), size, _variable("LOCAL_RANK", 0, below=size))


def _variable(name: str, least: int, *, below: int | None = None, default: int | None = None) -> int:
    """An environment variable as a number."""
    text = os.environ.get(name, "").strip()
    if not text and default is not None:
        return default
    number = int(text) if text.isdecimal() else -1
    if number < least or (below is not None and number >= below):
        limit = "" if below is None else f" and less than WORLD_SIZE, {below}"
        raise CmgemsError(
            f"{name} is {text!r}",
            where="the environment",
            why=f"it must be {least} or more{limit}",
            fix="unset WORLD_SIZE for one process; start several with --nproc-per-node or torchrun",
        )
    return number


@contextmanager
def open_world() -> Iterator[World]:
    """The world torchrun describes in the environment, connected, or a world of one.

    Raises:
        CmgemsError: as ``described_world``; or if the processes cannot reach each other.
    """
    described = described_world()
    if described.size == 1:
        yield ALONE
        return
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    from cmgems.distributed.ranks import Ranks

    # A store may outlive a restart of the processes (torchrun --max-restarts): without separate keys the
    # new attempt would get the addresses of the dead one.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    try:
        store, rank, size = next(rendezvous("env://"))
    except (dist.DistError, ValueError) as error:
        raise CmgemsError(
            "the processes cannot reach each other",
            where=f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}",
            why=str(error),
            fix="check MASTER_ADDR and MASTER_PORT, or unset WORLD_SIZE for one process",
        ) from error
    # gloo sums what is in main memory, such as counts, also where there is a GPU.
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
        store=dist.PrefixStore(f"attempt_{attempt}", store),  # type: ignore[attr-defined]
        rank=rank,
        world_size=size,
    )
    try:
        yield Ranks(rank, size, described.local_rank)
    finally:
        # After a failure the connections stay open until this process ends: closed here, the other ranks would fail
        # because of that, and might report it before the rank that knows the cause.
        if isinstance(sys.exception(), SystemExit | None):
            dist.destroy_process_group()

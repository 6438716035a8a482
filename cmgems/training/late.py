"""What a GPU has computed, copied to main memory without keeping the GPU waiting."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import numpy.typing as npt
import torch
from torch import Tensor

T = TypeVar("T")


class LateCopy:
    """A tensor on its way to main memory: wait for it once more work is under way.

    On a GPU the copy goes into pinned memory, behind the work that computes it and ahead of what is started later.

    Args:
        tensor: Any shape and dtype that NumPy has; detached. On a CPU it is the tensor itself.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._values = tensor.detach()
        self._copied: torch.cuda.Event | None = None
        if tensor.is_cuda:
            pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._values = pinned.copy_(self._values, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()

    def array(self) -> npt.NDArray[Any]:
        """The values; waits until they are there."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._values.numpy()


class Later(Generic[T]):
    """What is looked at once ``behind`` more of it has come, in order.

    Args:
        look: Called with one after the other.
        behind: How many may wait; 0 to look at once.
    """

    def __init__(self, look: Callable[[T], None], behind: int) -> None:
        self._look, self._behind = look, behind
        self._waiting: deque[T] = deque()

    def add(self, item: T) -> None:
        """One more has come."""
        self._waiting.append(item)
        self._look_at_all_but(self._behind)

    def catch_up(self) -> None:
        """Look at all that wait."""
        self._look_at_all_but(0)

    def _look_at_all_but(self, last: int) -> None:
        while len(self._waiting) > last:
            self._look(self._waiting.popleft())


Moment = float | torch.cuda.Event
SHORTEST = 1e-9  # s: nothing is done in no time


class Clock:
    """Moments of the device's time: a GPU's are when it comes to them, not when the host does.

    Args:
        device: Whose time.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"

    def now(self) -> Moment:
        """This moment."""
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def seconds_between(first: Moment, last: Moment) -> float:
    """Seconds from one moment to a later one of the same clock; waits for a GPU to come to it."""
    if isinstance(first, torch.cuda.Event) and isinstance(last, torch.cuda.Event):
        last.synchronize()
        return max(float(first.elapsed_time(last)) / 1000, SHORTEST)
    return max(cast(float, last) - cast(float, first), SHORTEST)

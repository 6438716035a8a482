"""The pretraining pipeline as torchdata nodes; the only file that imports torchdata.

An element is a whole batch: window positions flow, one vectorised call gathers and tokenizes them, another masks.
Everything up to ``MaskNode`` is unmasked and may run ahead in a thread. The mask node is last and asks the
curriculum at the moment the training step asks for a batch, so a switch acts on exactly the next step.

``torchdata.nodes.Loader`` is not used: it looks one element ahead, past the mask node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torchdata.nodes import BaseNode, Mapper, ParallelMapper, Prefetcher

from cmgems.masking import MaskedBatch, Masker

# One epoch's windows in training order: starts int64[N] and lengths int32[N], both in bp.
EpochWindows = Callable[[int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class WindowBatch:
    """The positions of a batch in the genome store.

    Attributes:
        starts_B: int64 flat positions, bp.
        lengths_B: int32, bp.
        samples_B: uint64 global positions of the sequences in the training stream.
        tokens: Width S of the padded rows, the same on every rank; for tokens that do not overlap, its upper bound.
    """

    starts_B: np.ndarray
    lengths_B: np.ndarray
    samples_B: np.ndarray
    tokens: int


@dataclass(frozen=True)
class IdBatch:
    """Unmasked token ids, int32 (B, S), and the global positions of their sequences, uint64 (B,)."""

    ids_BS: np.ndarray
    samples_B: np.ndarray


@dataclass(frozen=True)
class Failure:
    """An error in place of a batch. torchdata hands an exception of a thread on as text; a value arrives whole."""

    error: Exception


class WindowNode(BaseNode[WindowBatch | Failure]):
    """Endless batches of windows, epoch after epoch, in an order that only the seed decides.

    Args:
        epoch_windows: Gives the windows of an epoch.
        batch_size: Sequences in a batch over all ranks.
        padded_tokens: Row width for the longest of a batch's lengths in bp.
        rank: This process' row of the batch: rows rank, rank + world, ...
        world: Number of processes.

    Attributes:
        begin: The state in which it starts without another.
    """

    def __init__(
        self,
        epoch_windows: EpochWindows,
        batch_size: int,
        padded_tokens: Callable[[int], int],
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._epoch_windows = epoch_windows
        self._batch_size = batch_size
        self._padded_tokens = padded_tokens
        self._rows = np.arange(rank, batch_size, world)
        self.begin = {"epoch": 0, "batch": 0, "sample": 0}

    def reset(self, initial_state: dict[str, Any] | None = None) -> None:
        super().reset(initial_state)
        state = initial_state or self.begin
        self._epoch, self._batch, self._sample = state["epoch"], state["batch"], state["sample"]
        self._starts_N, self._lengths_N = self._epoch_windows(self._epoch)

    def next(self) -> WindowBatch | Failure:
        try:
            return self._next_batch()
        except Exception as error:
            return Failure(error)

    def _next_batch(self) -> WindowBatch:
        if (self._batch + 1) * self._batch_size > len(self._starts_N):
            # Fewer than a batch left: they wait for another epoch's shuffle.
            self._epoch, self._batch = self._epoch + 1, 0
            self._starts_N, self._lengths_N = self._epoch_windows(self._epoch)
        first = self._batch * self._batch_size
        starts_B = self._starts_N[first : first + self._batch_size]
        lengths_B = self._lengths_N[first : first + self._batch_size]
        samples_B = np.arange(self._sample, self._sample + self._batch_size, dtype=np.uint64)
        self._batch += 1
        self._sample += self._batch_size
        return WindowBatch(
            starts_B[self._rows],
            lengths_B[self._rows],
            samples_B[self._rows],
            self._padded_tokens(int(lengths_B.max())),
        )

    def get_state(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "batch": self._batch, "sample": self._sample}


class MaskNode(BaseNode[MaskedBatch]):
    """Masks each batch by the curriculum's phase of that very moment.

    Args:
        source: Unmasked batches; a failure among them is raised here.
        windows: Where they come from. Only its state is kept, so that a run may go on with other threads.
        masker: Holds the curriculum and its state, which is part of this node's state.
        accumulation: Batches in one optimizer step.
    """

    def __init__(
        self,
        source: BaseNode[IdBatch | Failure],
        windows: WindowNode,
        masker: Masker,
        accumulation: int = 1,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._source, self._windows = source, windows
        self._masker = masker
        self._accumulation = accumulation

    def reset(self, initial_state: dict[str, Any] | None = None) -> None:
        super().reset(initial_state)
        self._taken = 0
        if initial_state is not None:
            self._taken = initial_state["taken"]
            self._masker.load_state_dict(initial_state["curriculum"])
            self._windows.begin = _innermost(initial_state["source"])
        self._source.reset()

    def next(self) -> MaskedBatch:
        batch = next(self._source)
        if isinstance(batch, Failure):
            raise batch.error
        step = self._taken // self._accumulation
        self._taken += 1
        return self._masker.mask(batch.ids_BS, batch.samples_B, step)

    def get_state(self) -> dict[str, Any]:
        return {
            "taken": self._taken,
            "curriculum": self._masker.state_dict(),
            "source": _innermost(self._source.state_dict()),
        }


def _innermost(state: dict[str, Any]) -> dict[str, Any]:
    """The state of the windows inside those of the nodes that run ahead, which snapshot it with every batch."""
    while "epoch" not in state:
        state = next(state[key] for key in ("it_state", "snapshot", "source") if key in state)
    return state


def masked_stream(
    windows: WindowNode,
    tokenize: Callable[[WindowBatch], IdBatch],
    masker: Masker,
    accumulation: int,
    prefetch: int,
    workers: int = 0,
) -> MaskNode:
    """Wire windows -> tokens -> (prefetch) -> mask.

    Args:
        windows: Source of positions.
        tokenize: Pure function from positions to ids.
        masker: The run's masking.
        accumulation: Batches in one optimizer step.
        prefetch: Unmasked batches kept ready by a thread; 0 for none.
        workers: Threads that call ``tokenize`` in parallel, in the order of the batches; 0 for none.
    """

    def careful(batch: WindowBatch | Failure) -> IdBatch | Failure:
        if isinstance(batch, Failure):
            return batch
        try:
            return tokenize(batch)
        except Exception as error:
            return Failure(error)

    source: BaseNode[IdBatch | Failure] = (
        ParallelMapper(windows, careful, workers, in_order=True, method="thread")
        if workers
        else Mapper(windows, careful)
    )
    if prefetch:
        source = Prefetcher(source, prefetch)
    return MaskNode(source, windows, masker, accumulation)

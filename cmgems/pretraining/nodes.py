"""The pretraining pipeline as torchdata nodes; the only file that imports torchdata.

An element is the batch of a whole step: window positions flow, one vectorised call gathers and tokenizes them, another
masks. Everything up to ``MaskNode`` is unmasked and may run ahead in a thread. The mask node is last and asks the
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
        turned_B: bool, the rows that are read on the other strand; None for none.
    """

    starts_B: np.ndarray
    lengths_B: np.ndarray
    samples_B: np.ndarray
    tokens: int
    turned_B: np.ndarray | None = None


@dataclass(frozen=True)
class IdBatch:
    """Unmasked tokens.

    Attributes:
        ids_BS: int32 token ids.
        samples_B: uint64 global positions of their sequences.
        soft_BS: bool, the tokens of soft-masked bases; None if nobody asks.
    """

    ids_BS: np.ndarray
    samples_B: np.ndarray
    soft_BS: np.ndarray | None = None


@dataclass(frozen=True)
class Failure:
    """An error in place of a batch. torchdata hands an exception of a thread on as text; a value arrives whole."""

    error: Exception


class WindowNode(BaseNode[WindowBatch | Failure]):
    """Endless batches of windows, epoch after epoch, in an order that only the seed decides.

    Args:
        epoch_windows: Gives the windows of an epoch.
        sequences: Sequences in a batch over all ranks.
        padded_tokens: Row width for the longest of a batch's lengths in bp.
        rank: This process' row of the batch: rows rank, rank + world, ...
        world: Number of processes.

    Attributes:
        begin: The state in which it starts without another.
    """

    def __init__(
        self,
        epoch_windows: EpochWindows,
        sequences: int,
        padded_tokens: Callable[[int], int],
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._epoch_windows = epoch_windows
        self._sequences = sequences
        self._padded_tokens = padded_tokens
        self._rows = np.arange(rank, sequences, world)
        self.begin = {"epoch": 0, "window": 0, "sample": 0}

    def reset(self, initial_state: dict[str, Any] | None = None) -> None:
        super().reset(initial_state)
        state = initial_state or self.begin
        self._epoch, self._window, self._sample = state["epoch"], state["window"], state["sample"]
        self._starts_N, self._lengths_N = self._epoch_windows(self._epoch)

    def next(self) -> WindowBatch | Failure:
        try:
            return self._next_batch()
        except Exception as error:
            return Failure(error)

    def _next_batch(self) -> WindowBatch:
        parts = [self._take(self._sequences)]
        while (missing := self._sequences - sum(len(starts_B) for starts_B, _ in parts)) > 0:
            self._epoch, self._window = self._epoch + 1, 0
            self._starts_N, self._lengths_N = self._epoch_windows(self._epoch)
            parts.append(self._take(missing))
        starts_B, lengths_B = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        samples_B = np.arange(self._sample, self._sample + self._sequences, dtype=np.uint64)
        self._sample += self._sequences
        return WindowBatch(
            starts_B[self._rows],
            lengths_B[self._rows],
            samples_B[self._rows],
            self._padded_tokens(int(lengths_B.max())),
        )

    def _take(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The next ``count`` windows of the epoch, or those that are left."""
        first, self._window = self._window, self._window + count
        return self._starts_N[first : self._window], self._lengths_N[first : self._window]

    def get_state(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "window": self._window, "sample": self._sample}


class MaskNode(BaseNode[MaskedBatch]):
    """Masks each batch by the curriculum's phase of that very moment.

    Args:
        source: Unmasked batches; a failure among them is raised here.
        windows: Where they come from. Only its state is kept, so that a run may go on with other threads.
        masker: Holds the curriculum and its state, which is part of this node's state.
    """

    def __init__(self, source: BaseNode[IdBatch | Failure], windows: WindowNode, masker: Masker) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._source, self._windows = source, windows
        self._masker = masker

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
        masked = self._masker.mask(batch.ids_BS, batch.samples_B, self._taken, batch.soft_BS)
        self._taken += 1
        return masked

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
    prefetch: int,
    workers: int = 0,
) -> MaskNode:
    """Wire windows -> tokens -> (prefetch) -> mask.

    Args:
        windows: Source of positions.
        tokenize: Pure function from positions to ids.
        masker: The run's masking.
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
    return MaskNode(source, windows, masker)

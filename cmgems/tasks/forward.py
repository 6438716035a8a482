"""Rows of tokens through a model, as many at a time as fit; their answers are read while the next are computed.

Shape suffixes: B rows of a batch, S tokens of a row.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmgems.data.labelled import pad_rows
from cmgems.errors import CmgemsError
from cmgems.tokenization import Tokenizer
from cmgems.training import Compute, LateCopy, passes
from cmgems.training.compute import ROW_MULTIPLE, uncompiled
from cmgems.training.memory import TooManyRowsError, halved
from cmgems.training.rows_at_once import CPU_TOKENS

T = TypeVar("T")
Ids = npt.NDArray[np.int32]
Answers = npt.NDArray[Any]
# Of the batch, its rows' numbers, ids int64 (B, S), and attention bool (B, S) or None if no token is padding.
Call = Callable[[list[int], Tensor, Tensor | None], Tensor]

# Enough to keep a GPU at work between two launches, and not more memory than the smaller ones have.
GPU_TOKENS = 65_536


class TokenBudget:
    """How many tokens go through a model at once, padding included: fewer after each time that memory was short.

    Args:
        compute: Its device decides how many to begin with.
        tokens: To begin with; None for 5,120 on a CPU and 65,536 on a GPU.

    Attributes:
        first: The number to begin with.
        tokens: The number now.
    """

    def __init__(self, compute: Compute, tokens: int | None = None) -> None:
        self.first = self.tokens = tokens or (CPU_TOKENS if compute.device.type == "cpu" else GPU_TOKENS)

    def rows(self, lengths: npt.NDArray[np.int64]) -> int:
        """How many rows of these lengths, shortest first, go together: one at least, however long."""
        lengths = lengths[: self.tokens]
        padded = lengths * np.arange(1, len(lengths) + 1)
        return max(1, int(np.searchsorted(padded, self.tokens, side="right")))

    def attempt(self, take: Callable[[], T], rows: int, width: int) -> T | None:
        """``take()``; None if memory was too short for so many rows, and there will be fewer.

        Raises:
            CmgemsError: if memory is too short for one row.
        """
        try:
            with passes():
                return take()
        except TooManyRowsError as error:
            if rows == 1:
                fix = "choose a smaller model, shorter sequences or bf16"
                where = f"one row of {width:,} tokens"
                raise CmgemsError("out of memory", where=where, why=str(error), fix=fix) from error
        # Not in the except clause: there the error still holds the tensors.
        self.tokens = halved(min(self.tokens, rows * width), "tokens")
        return None


@torch.no_grad()
def forward_passes(
    rows: Sequence[Ids],
    call: Call,
    tokenizer: Tokenizer,
    max_positions: int,
    compute: Compute,
    budget: TokenBudget,
    arithmetic: Callable[[], AbstractContextManager[object]] | None = None,
) -> Iterator[tuple[list[int], Answers]]:
    """(numbers of its rows, what ``call`` makes of them) of each batch, shortest rows first, in main memory.

    On a GPU the answers of a batch are read when the next one is under way, so that it never waits.

    Args:
        rows: int32 token ids, each without padding.
        call: The forward pass: a detached tensor of any shape.
        tokenizer: For padding.
        max_positions: Widest row the model takes.
        compute: Device and precision.
        budget: How many tokens go together.
        arithmetic: Entered around each pass; None for ``compute.autocast``.

    Raises:
        CmgemsError: if memory is too short for one row.
    """
    lengths = np.array([len(row) for row in rows], np.int64)
    order = np.argsort(lengths, kind="stable")
    waiting: deque[tuple[list[int], LateCopy]] = deque()
    first = 0
    while first < len(order):
        chosen = order[first : first + budget.rows(lengths[order[first:]])].tolist()

        def take(chosen: list[int] = chosen) -> LateCopy:
            inputs = padded([rows[i] for i in chosen], tokenizer.pad_id, max_positions, compute)
            with uncompiled(compute), (arithmetic or compute.autocast)():
                return LateCopy(call(chosen, *inputs))

        answer = budget.attempt(take, len(chosen), int(lengths[chosen[-1]]))
        if answer is None:
            continue
        first += len(chosen)
        waiting.append((chosen, answer))
        if len(waiting) > compute.steps_ahead:
            numbers, late = waiting.popleft()
            yield numbers, late.array()
    for numbers, late in waiting:
        yield numbers, late.array()


def padded(
    rows: Sequence[Ids], pad_id: int, max_positions: int, compute: Compute
) -> tuple[Tensor, Tensor | None]:
    """``model_inputs`` of rows of any lengths; rows of one length are not padded at all."""
    multiple = 1 if len({len(row) for row in rows}) == 1 else ROW_MULTIPLE
    return model_inputs(pad_rows(rows, pad_id, max_positions, multiple), pad_id, compute)


def model_inputs(ids_BS: Ids, pad_id: int, compute: Compute) -> tuple[Tensor, Tensor | None]:
    """(ids int64, attention bool) on the device; no attention, the models' fast case, if no token is padding."""
    real_BS = ids_BS != pad_id
    return compute.move(ids_BS).long(), None if real_BS.all() else compute.move(real_BS)

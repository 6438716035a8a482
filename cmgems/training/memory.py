"""Too little memory: one line that says what to lower."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from cmgems.errors import CmgemsError
from cmgems.masking import MaskedBatch


@contextmanager
def memory_advice(batches: Sequence[MaskedBatch], batch_size: int, accumulation: int) -> Iterator[None]:
    """Say in one line which batch did not fit into memory and what to lower.

    Args:
        batches: This rank's micro-batches.
        batch_size: The config's `data.batch_size`.
        accumulation: The config's `accumulation`.
    """
    rows, columns = max((batch.ids_BS.shape for batch in batches), key=math.prod)
    half, rest = divmod(batch_size, 2)
    advice = (
        f"set data.batch_size={half} and accumulation={2 * accumulation}, which keeps "
        f"{batch_size * accumulation} sequences a step"
        if half and not rest
        else "lower data.batch_size and raise accumulation to keep their product"
        if half
        else "set compute.recompute=true, shorten data.sampler.max_bp or choose a smaller model"
    )
    with out_of_memory(f"a batch of {rows} x {columns} tokens", advice):
        yield


@contextmanager
def out_of_memory(where: str, fix: str) -> Iterator[None]:
    """Say in one line that memory is short, and not PyTorch's page of it."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        why = (str(error).splitlines() or [""])[0]
        raise CmgemsError("out of memory", where=where, why=why, fix=fix) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or in main memory."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and ("DefaultCPUAllocator" in text or "not enough memory" in text)
    )

"""Too little memory: one line that says what to lower."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cmgems.errors import CmgemsError


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


class TooManyRowsError(Exception):
    """The forward and backward pass of some rows did not fit into memory. Nothing but gradients was changed."""


@contextmanager
def passes() -> Iterator[None]:
    """Around forward and backward passes: memory that is short becomes a ``TooManyRowsError``."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TooManyRowsError((str(error).splitlines() or [""])[0]) from error


def halved(number: int, unit: str) -> int:
    """Half of ``number``, rounded up, which a line on stderr says; what the failed attempt held is given back."""
    half = -(-number // 2)
    print(f"memory is short: {half:,} {unit} at a time from here on", file=sys.stderr)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return half


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or in main memory."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and ("DefaultCPUAllocator" in text or "not enough memory" in text)
    )

"""Too little memory: one line that says what to lower."""

from __future__ import annotations

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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or in main memory."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and ("DefaultCPUAllocator" in text or "not enough memory" in text)
    )

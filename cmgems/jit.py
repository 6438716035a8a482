"""numba's compiler as all kernels use it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache


def kernel(function: Callable[..., Any]) -> Any:
    """Compile ``function`` at its first call, to run without Python's lock; kept on disk for later processes.

    Where nothing can be kept (a read-only installation without a home, a full quota) each process compiles anew.
    """
    compiled: Any = njit(nogil=True)(function)
    with suppress(RuntimeError):  # numba found no folder to write to
        compiled._cache = _Cache(function)
    return compiled


class _Cache(FunctionCache):
    """A cache that may fail: all it saves is time."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with suppress(Exception):  # a file that was cut short, say
            return super().load_overload(sig, target_context)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(Exception):
            super().save_overload(sig, data)

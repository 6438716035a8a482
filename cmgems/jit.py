"""numba's compiler as all kernels use it."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher


def kernel(function: Callable[..., Any]) -> Any:
    """Compile ``function`` at its first call, to run without Python's lock; kept on disk for later processes.

    Where nothing can be kept (a read-only installation without a home, a full quota) each process compiles anew.
    """
    compiled: Any = njit(nogil=True)(function)
    with suppress(RuntimeError):  # numba found no folder to write to
        compiled._cache = _Cache(function)
    return compiled


class _Cache(FunctionCache):
    """A cache that may fail: all it saves is time. It knows the files of the functions that a kernel calls, where numba
    looks at the kernel's own alone."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        files = sorted({inspect.getfile(function) for function in _called(self._py_func, set())})
        digest = hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()
        return *super()._index_key(sig, codegen), digest

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with suppress(Exception):  # a file that was cut short, say
            return super().load_overload(sig, target_context)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(Exception):
            super().save_overload(sig, data)


def _called(function: Any, found: set[Any]) -> set[Any]:
    """``found``, with a function and the compiled ones that it calls, directly or not."""
    if function not in found:
        found.add(function)
        for name in function.__code__.co_names:
            if isinstance(called := function.__globals__.get(name), Dispatcher):
                _called(called.py_func, found)
    return found

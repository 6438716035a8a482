"""Libraries that only some users need."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from cmgems.errors import CmgemsError


def optional(module: str, *, extra: str, needed_for: str) -> Any:
    """Import an optional library.

    Args:
        module: Name of the module ("pyarrow.parquet").
        extra: The extra of this package that brings it.
        needed_for: What the user asked for ("Parquet files").

    Raises:
        CmgemsError: if it is not installed.
    """
    library = module.split(".")[0]
    try:
        found = import_module(module)
        if not _is_folder(found):
            return found
    except ImportError:
        pass
    raise CmgemsError(
        f"{needed_for} need {library}",
        why=namesake(library) or "it is not installed",
        fix=f"pip install 'cmgems[{extra}]'",
    )


def namesake(library: str) -> str:
    """What was imported in place of a library that is not installed, in words: a folder of its name; "" if nothing."""
    found: Any = sys.modules.get(library)
    return f"it is not installed, {found.__path__[0]} only has its name" if _is_folder(found) else ""


def _is_folder(module: Any) -> bool:
    """Whether ``import`` took a folder without code for a package."""
    return hasattr(module, "__path__") and getattr(module, "__file__", None) is None

"""Libraries that only some users need."""

from __future__ import annotations

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
    try:
        return import_module(module)
    except ImportError as error:
        library = module.split(".")[0]
        raise CmgemsError(
            f"{needed_for} need {library}", why="it is not installed", fix=f"pip install 'cmgems[{extra}]'"
        ) from error

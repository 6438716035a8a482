"""Recipes: Python files with a dataclass ``Config`` and a ``main(config, out)``, for users to copy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmgems import assets
from cmgems.errors import CmgemsError
from cmgems.plugins import import_file


@dataclass(frozen=True)
class Recipe:
    """A recipe file, imported.

    Attributes:
        name: The file's name without ``.py``.
        path: The file.
        config_schema: Its dataclass ``Config``.
        main: Its function ``main(config, out)``; ``out`` is the run folder.
        description: The first line of its docstring.
    """

    name: str
    path: Path
    config_schema: type[Any]
    main: Callable[[Any, Path], None]
    description: str


def load_recipe(path: Path) -> Recipe:
    """Import the recipe file ``path``. Load plugins first: a config may name what they add.

    Raises:
        CmgemsError: if the file is missing, fails to load, or lacks ``Config`` or ``main``.
    """
    module = import_file(path, "recipe")
    schema = getattr(module, "Config", None)
    if not isinstance(schema, type) or not dataclasses.is_dataclass(schema):
        raise CmgemsError("recipe has no dataclass `Config`", where=path, fix="add one")
    main = getattr(module, "main", None)
    if not callable(main):
        raise CmgemsError("recipe has no function `main(config, out)`", where=path, fix="add one")
    return Recipe(path.stem, path, schema, main, assets.describe(path))

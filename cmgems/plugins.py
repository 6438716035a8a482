"""Components from outside the package.

A plugin is a Python module that adds names to the registries when it is imported. It is found by the entry
point group ``cmgems.plugins`` of an installed package, or is a file named on the command line.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from cmgems.errors import CmgemsError

ENTRY_POINT_GROUP = "cmgems.plugins"

_loaded: set[str] = set()


def load_plugins(paths: Sequence[str | Path] = ()) -> None:
    """Load every installed plugin and the files ``paths``, each once in a process.

    An entry point that names a function has it called without arguments; one that names a module is imported.

    Raises:
        CmgemsError: if a plugin fails; the message names it.
    """
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        key = f"{entry.name} = {entry.value}"
        if key in _loaded:
            continue
        try:
            plugin = entry.load()
            if callable(plugin):
                plugin()
        except Exception as error:
            package = entry.dist.name if entry.dist else entry.value
            raise CmgemsError(
                f"plugin {entry.name!r} failed",
                where=f"package {package}",
                why=f"{type(error).__name__}: {error}",
                fix="update or uninstall that package",
            ) from error
        _loaded.add(key)
    for path in map(Path, paths):
        key = str(path.resolve())
        if key not in _loaded:
            import_file(path, "plugin")
            _loaded.add(key)


def import_file(path: Path, kind: str) -> ModuleType:
    """Import the Python file ``path`` under a module name of its own.

    Args:
        path: The file. It is executed: only import files whose author is trusted.
        kind: What the file is, for error messages ("recipe").

    Raises:
        CmgemsError: if it is missing or fails; the message gives the line in the file.
    """
    if not path.is_file():
        raise CmgemsError(f"{kind} not found", where=path, fix="check the path")
    resolved = path.resolve()
    digest = hashlib.sha256(str(resolved).encode()).hexdigest()[:8]
    name = f"cmgems_{kind}_{re.sub(r'[^0-9A-Za-z]', '_', path.stem)}_{digest}"
    spec = importlib.util.spec_from_file_location(name, resolved)
    if spec is None or spec.loader is None:
        raise CmgemsError(f"{kind} is not a Python file", where=path, fix="its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    # dataclasses and typing look up the module of a class here.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        why = error.msg if isinstance(error, SyntaxError) else f"{type(error).__name__}: {error}"
        where = f"{path}:{_line(resolved, error)}"
        raise CmgemsError(f"{kind} failed to load", where=where, why=why, fix="correct the file") from error
    return module


def _line(file: Path, error: Exception) -> int:
    """The last line of ``file`` that led to ``error``."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 1 for frame in reversed(frames) if frame.filename == str(file)), 1)

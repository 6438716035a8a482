"""Finds the recipes, configs and tokenizers that come with cmgems.

A wheel carries them inside the package; in a checkout they stand at its top.
"""

from __future__ import annotations

import ast
from pathlib import Path

from cmgems.errors import CmgemsError
from cmgems.registry import did_you_mean

_PACKAGE = Path(__file__).resolve().parent
_ROOTS = (_PACKAGE / "_assets", _PACKAGE.parent)


def _root() -> Path:
    for root in _ROOTS:
        if (root / "recipes").is_dir():
            return root
    raise CmgemsError("recipes not found", where=_PACKAGE, fix="install cmgems again")


def recipes() -> dict[str, Path]:
    """Recipe files by name ("pretrain")."""
    return {path.stem: path for path in sorted((_root() / "recipes").glob("*.py"))}


def configs() -> dict[str, Path]:
    """Config files by recipe and name ("pretrain/logo_cm_gems")."""
    paths = sorted((_root() / "recipes" / "configs").glob("*/*.yaml"))
    return {f"{path.parent.name}/{path.stem}": path for path in paths}


def tokenizers() -> dict[str, Path]:
    """Tokenizer folders by name."""
    files = sorted((_root() / "tokenizers").glob("*/tokenizer.json"))
    return {path.parent.name: path.parent for path in files}


def find_recipe(name_or_path: str) -> Path:
    """The file of a recipe given by its name or as a path ending in ``.py``.

    Raises:
        CmgemsError: if there is none; the message lists near misses.
    """
    if name_or_path.endswith(".py"):
        return _existing(Path(name_or_path), "recipe")
    known = recipes()
    if name_or_path not in known:
        raise CmgemsError(f"unknown recipe {name_or_path!r}", fix=did_you_mean(name_or_path, list(known)))
    return known[name_or_path]


def find_config(name_or_path: str, recipe: str | None = None) -> Path:
    """The file of a config given by its name, with or without its recipe, or as a path ending in ``.yaml``.

    Args:
        name_or_path: "pretrain/logo_cm_gems", "logo_cm_gems" or "my.yaml".
        recipe: The recipe among whose configs a bare name is looked up first.

    Raises:
        CmgemsError: if there is none, or several of that name; the message lists near misses.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        return _existing(Path(name_or_path), "config")
    known = configs()
    for key in (name_or_path, f"{recipe}/{name_or_path}"):
        if key in known:
            return known[key]
    same = [key for key in known if key.partition("/")[2] == name_or_path]
    if len(same) == 1:
        return known[same[0]]
    if same:
        raise CmgemsError(f"several configs are named {name_or_path!r}", fix="name one: " + ", ".join(same))
    candidates = list(known)
    if "/" not in name_or_path:
        near = [key for key in known if recipe is None or key.startswith(f"{recipe}/")]
        candidates = [key.partition("/")[2] for key in near]
    advice = did_you_mean(name_or_path, sorted(set(candidates)))
    raise CmgemsError(f"unknown config {name_or_path!r}", fix=f"{advice} (a file must end in .yaml)")


def describe(path: Path) -> str:
    """What a recipe (first line of its docstring) or a config (first comment) says it is, or ""."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        docstring = ast.get_docstring(ast.parse(text)) or ""
        return docstring.partition("\n")[0]
    return next((line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")), "")


def _existing(path: Path, kind: str) -> Path:
    if not path.is_file():
        raise CmgemsError(
            f"{kind} not found", where=path, fix="check the path, or take a name from `cmgems ls`"
        )
    return path

"""The recipes, configs and tokenizers that come with cmgems: found, described and loaded.

A recipe is a Python file with a dataclass ``Config`` and a function ``main(config, out)``, for users to copy. A wheel
carries the files inside the package; in a checkout they lie at its top.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmgems.errors import CmgemsError
from cmgems.files import sha256_of
from cmgems.plugins import import_file
from cmgems.registry import did_you_mean

_PACKAGE = Path(__file__).resolve().parent
_ROOTS = (_PACKAGE / "_assets", _PACKAGE.parent)


@dataclass(frozen=True)
class Recipe:
    """A recipe file, imported.

    Attributes:
        name: The file's name without ``.py``.
        path: The file.
        config_schema: Its dataclass ``Config``.
        main: Its function ``main(config, out)``; ``out`` is the run folder.
    """

    name: str
    path: Path
    config_schema: type[Any]
    main: Callable[[Any, Path], None]

    @property
    def content(self) -> str:
        """What tells one recipe from another: its name if it is a shipped one, else the file's sha256."""
        return self.name if self.path in shipped_recipes().values() else sha256_of(self.path)

    def check_label(self, label: str | None, config: Path) -> None:
        """Check that a shipped recipe's config is not used for another one; a copied recipe may have any name.

        Args:
            label: The recipe that the file ``config`` is written for.

        Raises:
            CmgemsError: if it is written for another shipped recipe.
        """
        shipped = shipped_recipes()
        if label in shipped and self.path in shipped.values() and label != self.name:
            raise CmgemsError(
                "config of another recipe",
                where=f"{config} (recipe)",
                why=f"it is written for {label!r}, not {self.name!r}",
                fix=f"run `cmgems run {label}`, or choose another config",
            )

    def check_parallel(self) -> None:
        """Check that the recipe is made for several processes: others would all write the same files.

        Raises:
            CmgemsError: if its ``Config`` has no section ``parallel``.
        """
        if "parallel" not in {field.name for field in dataclasses.fields(self.config_schema)}:
            raise CmgemsError(
                f"recipe {self.name!r} runs in one process",
                where=self.path,
                why="its Config has no section `parallel`",
                fix="leave out --nproc-per-node, or torchrun; unset WORLD_SIZE where it was left over",
            )


def _root() -> Path:
    for root in _ROOTS:
        if (root / "recipes").is_dir():
            return root
    raise CmgemsError("recipes not found", where=_PACKAGE, fix="install cmgems again")


def shipped_recipes() -> dict[str, Path]:
    """Recipe files by name ("pretrain")."""
    return {path.stem: path for path in sorted((_root() / "recipes").glob("*.py"))}


def shipped_configs() -> dict[str, Path]:
    """Config files by recipe and name ("pretrain/logo")."""
    paths = sorted((_root() / "recipes" / "configs").glob("*/*.yaml"))
    return {f"{path.parent.name}/{path.stem}": path for path in paths}


def fairseq2_files() -> dict[str, Path]:
    """The recipes and configs of our plugin for fairseq2 by name: "fairseq2_pretrain", "fairseq2/tiny"."""
    folder = _PACKAGE / "integrations" / "fairseq2"
    recipes = {f"fairseq2_{name}": folder / f"{name}.py" for name in ("finetune", "pretrain")}
    configs = sorted((folder / "configs").glob("*.yaml"))
    return recipes | {f"fairseq2/{path.stem}": path for path in configs}


def shipped_tokenizers() -> dict[str, Path]:
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
    known = shipped_recipes()
    if name_or_path not in known:
        raise CmgemsError(f"unknown recipe {name_or_path!r}", fix=did_you_mean(name_or_path, list(known)))
    return known[name_or_path]


def find_config(name_or_path: str, recipe: str | None = None) -> Path:
    """The file of a config given by its name, with or without its recipe, or as a path ending in ``.yaml``.

    Args:
        name_or_path: "pretrain/logo", "logo" or "my.yaml".
        recipe: The recipe among whose configs a bare name is looked up first.

    Raises:
        CmgemsError: if there is none, or several of that name; the message lists near misses.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        return _existing(Path(name_or_path), "config")
    known = shipped_configs()
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


def find_shipped(name: str) -> Path:
    """The file of a shipped recipe or config, by the name that `cmgems ls` shows.

    Raises:
        CmgemsError: if there is none, or several of that name; the message lists near misses.
    """
    recipes, configs = shipped_recipes() | fairseq2_files(), shipped_configs()
    if name in recipes:
        return recipes[name]
    if name in configs or any(key.endswith(f"/{name}") for key in configs):
        return find_config(name)
    raise CmgemsError(f"unknown recipe or config {name!r}", fix=did_you_mean(name, [*recipes, *configs]))


def describe(path: Path) -> str:
    """What a recipe (first line of its docstring) or a config (first comment) says it is, or ""."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        docstring = ast.get_docstring(ast.parse(text)) or ""
        return docstring.partition("\n")[0]
    return next((line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")), "")


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Import a recipe, given as ``find_recipe`` takes it. Load plugins first: a config may name what they add.

    Raises:
        CmgemsError: if there is none, or it fails to load, or lacks ``Config`` or ``main``.
    """
    path = find_recipe(str(name_or_path))
    module = import_file(path, "recipe")
    schema = getattr(module, "Config", None)
    if not isinstance(schema, type) or not dataclasses.is_dataclass(schema):
        raise CmgemsError("recipe has no dataclass `Config`", where=path, fix="add one")
    main = getattr(module, "main", None)
    if not callable(main):
        raise CmgemsError("recipe has no function `main(config, out)`", where=path, fix="add one")
    return Recipe(path.stem, path, schema, main)


def _existing(path: Path, kind: str) -> Path:
    if not path.is_file():
        raise CmgemsError(
            f"{kind} not found", where=path, fix="check the path, or take a name from `cmgems ls`"
        )
    return path

"""A config section that holds values for another recipe's config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from cmgems.config.source import Node, precedence
from cmgems.recipes import Recipe, find_config, load_recipe

Values = Mapping[str, Any]


@dataclass(frozen=True)
class RecipeName:
    """Attributes: recipe, config: As in ``RecipeSettings``."""

    recipe: str
    config: str | None = None


@dataclass(frozen=True)
class RecipeSettings(RecipeName):
    """A recipe and values for its config.

    In YAML they are one section, ``{recipe: my_finetune.py, epochs: 1, optim: {lr: 1e-4}}``: ``recipe`` and ``config``
    are read here, all other keys are those of the recipe's own ``Config``, which checks them.

    Attributes:
        recipe: Its name, or a .py file.
        config: What the values are laid over: the name of a config or a .yaml file; None for the recipe's defaults.
        values: Nested by section: ``{"epochs": 1, "optim": {"lr": "1e-4"}}``. What is not exactly a number, a boolean
            or null stays text.
    """

    values: Values = field(default_factory=dict)

    def load(self) -> Recipe:
        """The recipe, imported.

        Raises:
            CmgemsError: if there is none, or it cannot be imported.
        """
        return load_recipe(self.recipe)

    def config_path(self) -> Path | None:
        """The file of ``config``.

        Raises:
            CmgemsError: if there is none.
        """
        return None if self.config is None else find_config(self.config, Path(self.recipe).stem)

    def as_values(self) -> dict[str, Any]:
        """The section as nested values."""
        config = {} if self.config is None else {"config": self.config}
        return {"recipe": self.recipe, **config, **self.values}


def merge(layers: Sequence[Values]) -> dict[str, Any]:
    """One mapping of several, the later one wins; a new ``name`` drops what belonged to the old one."""
    return dict(reduce(_merge, layers, {}))


def _merge(below: Any, above: Any) -> Any:
    if not isinstance(above, Mapping):
        return above
    if not isinstance(below, Mapping):
        below = {} if below is None else {"name": below}  # a component without options
    if "name" in above and above["name"] != below.get("name"):
        below = {}
    return {**below, **{key: _merge(below.get(key), value) for key, value in above.items()}}


def nested(key: str, value: object) -> dict[str, Any]:
    """``a.b`` and its value as ``{"a": {"b": value}}``."""
    first, _, rest = key.partition(".")
    return {first: nested(rest, value) if rest else value}


def dotted_values(values: Mapping[str, object]) -> list[Values]:
    """Values by dotted key as ``load_config`` takes them, in the order in which they apply."""
    return [nested(key, values[key]) for key in sorted(values, key=lambda key: precedence(key.split(".")))]


def plain_value(node: Node) -> Any:
    """A node as Python values. A scalar becomes a number or a boolean only if that is written exactly so."""
    if isinstance(node.value, dict):
        return {key: plain_value(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain_value(item) for item in node.value]
    if node.is_null:
        return None
    if node.value in ("true", "false"):
        return node.value == "true"
    for kind in (int, float):
        try:
            if str(number := kind(node.value)) == node.value:
                return number
        except ValueError:
            pass
    return node.value


def node_of(value: Any, place: str = "") -> Node:
    """Python values as a node that reads as if they came from the command line."""
    if isinstance(value, Mapping):
        return Node({key: node_of(child, place) for key, child in value.items()}, place)
    if isinstance(value, list | tuple):
        return Node([node_of(item, place) for item in value], place)
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return Node(text, place, "override")


def unquoted(node: Node) -> Node:
    """The same node where quotes make no difference, as on the command line."""
    if isinstance(node.value, dict):
        return Node({key: unquoted(child) for key, child in node.value.items()}, node.place)
    if isinstance(node.value, list):
        return Node([unquoted(item) for item in node.value], node.place)
    return Node(node.value, node.place, "override")

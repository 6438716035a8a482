"""A config as plain values and as YAML that loads back to an equal config."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cmgems.config.component import Component
from cmgems.config.recipe_settings import RecipeSettings


class _Dumper(yaml.SafeDumper):
    """Block style with lists on one line, no aliases, and quotes around the text "none"."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("(none|null)$", re.IGNORECASE), ["n", "N"])


def config_dict(config: Any) -> dict[str, Any]:
    """``config``, a dataclass, as JSON-able values: sections as dicts, paths as text, tuples as lists.

    A component is its name, or a dict of its name and options.
    """
    return {
        field.name: config_value(getattr(config, field.name))
        for field in dataclasses.fields(config)
        if field.init
    }


def dump_config(config: Any, recipe: str | None = None) -> str:
    """``config`` as YAML; ``cmgems.config.load_config`` makes an equal config of it.

    Args:
        recipe: The recipe it is for, written as the label ``recipe``.
    """
    values = config_dict(config)
    if recipe is not None:
        values = {"recipe": recipe, **values}
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, width=math.inf)


def config_value(value: Any) -> Any:
    """One value of a config, as in ``config_dict``."""
    if isinstance(value, Component):
        options = config_value(value.options)
        return {"name": value.name, **options} if options else value.name
    if isinstance(value, RecipeSettings):
        return config_value(value.as_values())
    if dataclasses.is_dataclass(value):
        return config_dict(value)
    if isinstance(value, Mapping):
        return {name: config_value(child) for name, child in value.items()}
    if isinstance(value, tuple | list):
        return [config_value(item) for item in value]
    return str(value) if isinstance(value, Path) else value

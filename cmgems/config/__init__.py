"""Configs: frozen dataclasses filled from YAML and ``key=value`` overrides.

A recipe's ``Config`` is a dataclass whose fields are plain values, other dataclasses (sections),
``Component`` (something a config names, such as a masking strategy) or ``RecipeSettings`` (values for another
recipe). Precedence: the dataclass's defaults, then the YAML file, then the overrides. A config cannot name code to
import, except the file of another recipe.
"""

from cmgems.config.component import Component, component
from cmgems.config.decisive import (
    Content,
    changed_inputs,
    config_difference,
    contents,
    free,
    input_path,
)
from cmgems.config.dump import config_dict, config_value, dump_config
from cmgems.config.load import load_config
from cmgems.config.recipe_settings import RecipeSettings, dotted_values
from cmgems.config.source import recipe_label

__all__ = [
    "Component",
    "Content",
    "RecipeSettings",
    "changed_inputs",
    "component",
    "config_dict",
    "config_difference",
    "config_value",
    "contents",
    "dotted_values",
    "dump_config",
    "free",
    "input_path",
    "load_config",
    "recipe_label",
]

"""Configs: frozen dataclasses filled from YAML and ``key=value`` overrides.

A recipe's ``Config`` is a dataclass whose fields are plain values, other dataclasses (sections),
``Component`` (something a config names, such as a masking strategy) or ``RecipeSettings`` (values for another
recipe). Precedence: the dataclass's defaults, then the YAML file, then the overrides. A config cannot name code to
import, except the file of another recipe.
"""

from cmgems.config.component import Component, component
from cmgems.config.dump import config_dict, config_value, dump_config
from cmgems.config.load import load_config
from cmgems.config.recipe_settings import RecipeSettings
from cmgems.config.source import recipe_label

__all__ = [
    "Component",
    "RecipeSettings",
    "component",
    "config_dict",
    "config_value",
    "dump_config",
    "load_config",
    "recipe_label",
]

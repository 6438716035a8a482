"""Config fields that name a registered component."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from cmgems.registry import Registry

T = TypeVar("T")

REGISTRY_KEY = "cmgems.registry"


@dataclass(frozen=True)
class Component:
    """The name of a registered component and the fields of its prototype to replace.

    In YAML ``curriculum: cm_gems`` or ``curriculum: {name: cm_gems, threshold: 0.5}``. A new name drops the
    options given for the old one.
    """

    name: str
    options: Mapping[str, object]

    def build(self, registry: Registry[T]) -> T:
        """The component itself.

        Raises:
            CmgemsError: if ``registry`` has no such component, or the component refuses an option's value.
        """
        return registry.build(self.name, **self.options)


def component(registry: Registry[Any], default: str, **options: object) -> Component:
    """A dataclass field that holds a :class:`Component` of ``registry``.

    Args:
        registry: Where names are looked up when a config is loaded; plugins may add to it until then.
        default: The component used if the config names none.
        options: Fields of its prototype to replace.
    """
    field: Component = dataclasses.field(
        default=Component(default, options), metadata={REGISTRY_KEY: registry}
    )
    return field

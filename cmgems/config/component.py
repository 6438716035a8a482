"""Config fields that name a registered component."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cmgems.registry import Registry

T = TypeVar("T")

# Keys of the metadata of a field: of a component's, and what the input holds that it names (``input_path``).
REGISTRY_KEY, FOLDER_KEY, OWNER_KEY = "cmgems.registry", "cmgems.or_folder", "cmgems.owner"
CONTENT_KEY = "cmgems.content"


@dataclass(frozen=True)
class Component:
    """The name of a registered component and the fields of its prototype to replace.

    In YAML ``curriculum: cm_gems`` or ``curriculum: {name: cm_gems, threshold: 0.5}``. A new name drops the
    options given for the old one. A name with a slash is a folder that takes the place of a component
    (``component``).
    """

    name: str
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def folder(self) -> Path | None:
        """The folder that is named in place of a component; None if a component is."""
        return Path(self.name) if "/" in self.name else None

    def build(self, registry: Registry[T]) -> T:
        """The component itself.

        Raises:
            CmgemsError: if ``registry`` has no such component, or the component refuses an option's value.
        """
        return registry.build(self.name, **self.options)


def component(
    registry: Registry[Any],
    default: str,
    *,
    or_folder: bool = False,
    content: Callable[[Path], Any] | None = None,
    owner: str | None = None,
    **options: object,
) -> Component:
    """A dataclass field that holds a ``Component`` of ``registry``.

    Args:
        registry: Where names are looked up when a config is loaded; plugins may add to it until then.
        default: The component used if the config names none.
        or_folder: Whether a config may name a folder instead, which then has no options. A registered name wins over
            a folder of the same name.
        content: What such a folder holds, as for ``cmgems.config.input_path``.
        owner: An earlier field of the section which brings this component where it names a folder. This one is then
            None, unless it is given beside the folder or over it; the field's type must allow that.
        options: Fields of its prototype to replace.
    """
    metadata = {REGISTRY_KEY: registry, FOLDER_KEY: or_folder, OWNER_KEY: owner, CONTENT_KEY: content}
    field: Component = dataclasses.field(default=Component(default, options), metadata=metadata)
    return field

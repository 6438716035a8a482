"""What decides a run: its settings but those that change nothing computed, and what the inputs it names hold.

A run goes on only with the settings and inputs it began with. Fields of a config say what they are: ``free`` ones may
change on the way, as may all of a section whose class says ``free: ClassVar[bool] = True``; ``input_path`` ones name an
input, which may lie elsewhere but must hold the same.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cmgems.config.component import CONTENT_KEY, OWNER_KEY, REGISTRY_KEY, Component
from cmgems.config.dump import config_value
from cmgems.config.load import dotted_keys
from cmgems.config.recipe_settings import RecipeSettings
from cmgems.errors import CmgemsError

T = TypeVar("T")
# What an input holds: a sha256, or those of its files by their names.
Content = str | Mapping[str, str]

FREE_KEY = "cmgems.free"
_ABSENT: Any = object()


def free(default: T) -> T:
    """A dataclass field for a setting that changes nothing computed, or to rounding only."""
    return dataclasses.field(default=default, metadata={FREE_KEY: True})


def input_path(content: Callable[[Path], Content], default: Any = dataclasses.MISSING, **options: Any) -> Any:
    """A dataclass field for the path of an input.

    Args:
        content: What a path holds, cheap to find; it may raise OSError or CmgemsError for one that cannot be read.
        default: Of the field; without one the key is required.
        options: Of ``dataclasses.field``.
    """
    return dataclasses.field(default=default, metadata={CONTENT_KEY: content}, **options)


def contents(config: Any) -> dict[str, Content]:
    """What the inputs that ``config`` names hold, by dotted key; without those that cannot be read.

    Whoever goes on to use such an input says what is wrong with it.
    """
    found: dict[str, Content] = {}
    for setting in _settings(config):
        if setting.content is not None and setting.path is not None:
            try:
                found[setting.key] = setting.content(setting.path)
            except (OSError, CmgemsError):
                continue
    return found


def changed_inputs(before: Mapping[str, Content], now: Mapping[str, Content]) -> list[str]:
    """The inputs in both whose contents differ: "data.store", "data.dir (train.csv)"."""
    changed = []
    for key in sorted(before.keys() & now.keys()):
        old, new = before[key], now[key]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            files = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
            changed += [f"{key} ({', '.join(files)})"] if files else []
        elif old != new:
            changed.append(key)
    return changed


def config_difference(config: Any, there: Mapping[str, Any], besides: Container[str] = ()) -> str:
    """The first decisive setting in which ``config`` differs from the config of a run; "" if there is none.

    Args:
        config: A dataclass.
        there: The run's, as ``config_dict``. A key that it lacks had its default.
        besides: Keys of inputs that are compared by content.
    """
    for setting in _settings(config):
        if setting.key not in besides and (old := setting.find(there)) != setting.value:
            return f"`{setting.key}` is {_shown(old)} there, {_shown(setting.value)} here"
    for key in _unknown(there, set(dotted_keys(type(config)))):
        return f"`{key}` is set there, and unknown here"
    return ""


@dataclass(frozen=True)
class _Setting:
    """A decisive setting: its dotted key, its value and default as plain values, and what it says about an input."""

    key: str
    value: Any
    default: Any
    content: Callable[[Path], Content] | None = None
    path: Path | None = None

    def find(self, values: Any) -> Any:
        """Its value in nested ones; a section that is null is null in all its keys."""
        for part in self.key.split("."):
            if not isinstance(values, Mapping):
                # Options of a component given by its name alone; or a section that is null.
                return None if values is None else self.default
            if part not in values:
                return self.default
            values = values[part]
        return values["name"] if isinstance(values, Mapping) and "name" in values else values


def _settings(section: Any, base: Any = _ABSENT, path: str = "") -> Iterator[_Setting]:
    """The decisive settings of a section; ``base`` is the section by default, None if there is none by default."""
    for field in dataclasses.fields(section):
        owner = field.metadata.get(OWNER_KEY)
        brought = owner is not None and getattr(section, owner).folder is not None
        if not field.init or FREE_KEY in field.metadata or brought:
            continue
        value, default = getattr(section, field.name), None if base is None else _default(field, base)
        key = f"{path}.{field.name}" if path else field.name
        if isinstance(value, Component):
            yield from _component_settings(value, default, field, key)
        elif dataclasses.is_dataclass(value) and not isinstance(value, RecipeSettings):
            if not getattr(value, "free", False):
                yield from _settings(value, default, key)
        else:
            yield _setting(field, key, value, default)


def _component_settings(
    value: Component, default: Any, field: dataclasses.Field[Any], key: str
) -> Iterator[_Setting]:
    usual = default.name if isinstance(default, Component) else default
    yield _Setting(key, value.name, usual, field.metadata.get(CONTENT_KEY), value.folder)
    if value.folder is None:
        prototype = field.metadata[REGISTRY_KEY].get(value.name)
        for option in dataclasses.fields(prototype):
            if option.init and FREE_KEY not in option.metadata:
                usual = getattr(prototype, option.name)
                given = value.options.get(option.name, usual)
                yield _setting(option, f"{key}.{option.name}", given, usual)


def _setting(field: dataclasses.Field[Any], key: str, value: Any, default: Any) -> _Setting:
    path = value if isinstance(value, Path) else None
    return _Setting(key, config_value(value), config_value(default), field.metadata.get(CONTENT_KEY), path)


def _default(field: dataclasses.Field[Any], base: Any) -> Any:
    """A field's value in ``base``, or else its own default; ``_ABSENT`` if it has none."""
    if base is not _ABSENT:
        return getattr(base, field.name)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return _ABSENT if field.default is dataclasses.MISSING else field.default


def _unknown(values: Mapping[str, Any], known: Collection[str], path: str = "") -> Iterator[str]:
    """Dotted keys of nested values that are none of ``known``."""
    for name, value in values.items():
        key = f"{path}.{name}" if path else name
        if key not in known:
            yield key
        elif isinstance(value, Mapping) and any(other.startswith(f"{key}.") for other in known):
            yield from _unknown(value, known, key)


def _shown(value: Any) -> str:
    """A value as YAML writes it."""
    return "not set" if value is _ABSENT else json.dumps(value) if not isinstance(value, str) else value

"""Fill a config dataclass from YAML and overrides, reporting everything that is wrong at once."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

from cmgems.config.component import FOLDER_KEY, OWNER_KEY, REGISTRY_KEY, Component
from cmgems.config.recipe_settings import RecipeName, RecipeSettings, merge, node_of, plain_value, unquoted
from cmgems.config.source import COMMAND_LINE, Node, parse_overrides, read_yaml
from cmgems.config.values import WrongType, optional, read_value
from cmgems.errors import CmgemsError, ConfigError
from cmgems.registry import Registry, did_you_mean

C = TypeVar("C")

# Stands for a value that could not be read; its problem is recorded.
_INVALID: Any = object()


def load_config(
    schema: type[C],
    source: Path | None,
    overrides: Sequence[str] = (),
    values: Sequence[Mapping[str, Any]] = (),
) -> C:
    """A ``schema`` with its defaults, the values in the YAML file ``source``, other values and the overrides.

    Args:
        schema: A frozen dataclass. Its fields are bool, int, float, str, Path, Literal, tuple, other
            dataclasses, ``Component``, ``RecipeSettings``, or one of these or None.
        source: A YAML file, or None. Its top-level key ``recipe`` is a label and not part of ``schema``.
        overrides: ``section.key=value`` each; the later one wins.
        values: Mappings nested as in YAML, which win over ``source``; the later one wins.

    Raises:
        ConfigError: with all problems; each says the file and line, or "command line", and the key.
    """
    problems: list[CmgemsError] = []
    layers: list[Node] = []
    if source is not None:
        try:
            root, problems = _read_file(source, schema)
        except CmgemsError as error:
            raise ConfigError([error]) from error
        layers.append(root)
    layers += [node_of(mapping) for mapping in values]
    override_layers, override_problems = parse_overrides(overrides)
    reader = _Reader(schema, str(source or ""))
    config = reader.section(schema, None, layers + override_layers, "")
    problems += override_problems + reader.problems
    if problems:
        raise ConfigError(problems)
    return cast(C, config)


def _read_file(source: Path, schema: Any) -> tuple[Node, list[CmgemsError]]:
    """The values in a YAML file, without the label ``recipe``, and the problems with it."""
    root, problems = read_yaml(source)
    if "recipe" not in [field.name for field in _fields(schema)]:
        root.children.pop("recipe", None)
    return root, problems


def _fields(schema: Any) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(schema) if field.init]


def _default(field: dataclasses.Field[Any], base: Any) -> Any:
    if base is not None:
        return getattr(base, field.name)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def dotted_keys(schema: Any, path: str = "") -> Iterator[str]:
    """The keys of a config and of its sections."""
    kinds = get_type_hints(schema)
    for field in _fields(schema):
        kind, _ = optional(kinds[field.name])
        yield _join(path, field.name)
        if _is_section(kind):
            yield from dotted_keys(kind, _join(path, field.name))


class _Reader:
    """Reads sections recursively; ``problems`` collects what is wrong.

    Everywhere ``layers`` are the nodes given for one key, lowest precedence first, and ``path`` is its dotted
    name. With ``partial`` required keys may be missing.
    """

    def __init__(self, schema: Any, source: str, *, partial: bool = False) -> None:
        self.schema, self.source, self.partial = schema, source, partial
        self.problems: list[CmgemsError] = []

    def section(self, schema: Any, base: Any, layers: Sequence[Node], path: str) -> Any:
        """A ``schema`` dataclass; what no layer gives comes from ``base``, or else its defaults."""
        children = self._children(schema, layers, path)
        kinds = get_type_hints(schema)
        values: dict[str, Any] = {}
        defaults: dict[str, Any] = {}
        for field in _fields(schema):
            name = field.name
            default = defaults[name] = _default(field, base)
            owner = field.metadata.get(OWNER_KEY)
            if owner is not None and _is_folder(values[owner]):
                default, children[name] = None, _given_with(owner, name, layers)
            if default is dataclasses.MISSING and not children[name] and not _is_section(kinds[name]):
                values[name] = self._missing(name, layers, path)
            else:
                values[name] = self._value(field, kinds[name], default, children[name], _join(path, name))
        # Defaults stand in for what could not be read, so that the section's checks of other keys still run.
        invalid = {name for name, value in values.items() if value is _INVALID}
        if any(defaults[name] is dataclasses.MISSING for name in invalid):
            return _INVALID
        try:
            section = schema(**{**values, **{name: defaults[name] for name in invalid}})
        except (CmgemsError, ValueError) as error:
            named = set(_named(error))
            if not invalid or (named and not named & invalid):
                self._refused(error, children, layers, path)
            return _INVALID
        return _INVALID if invalid else section

    def component(
        self,
        registry: Registry[Any],
        default: Any,
        layers: Sequence[Node],
        path: str,
        *,
        or_folder: bool = False,
    ) -> Any:
        """A ``Component`` whose name is registered and whose options fit its prototype, or that is a folder."""
        chosen = default if isinstance(default, Component) else Component("", {})
        given: list[Node] = []
        named = None
        for layer in layers:
            node = layer.value.get("name") if isinstance(layer.value, dict) else layer
            if node is not None:
                if not isinstance(node.value, str) or node.is_null:
                    return self._problem(f"`{path}` must be a {registry.kind}, but is {node}", node, path)
                if node.value != chosen.name:
                    chosen, given = Component(node.value, {}), []
                named = node
            if isinstance(layer.value, dict):
                given.append(layer)
        if or_folder and chosen.name not in registry.names() and (folder := _folder(chosen.name)):
            return self._folder_component(folder, given, path)
        try:
            base = chosen.build(registry)
        except CmgemsError as error:
            why = f"it is neither a registered {registry.kind} nor a folder" if or_folder else ""
            return self._problem(error.what, named, path, why=why, fix=error.fix)
        children = self._children(base, given, path, ignore="name")
        kinds = get_type_hints(type(base))
        options = {}
        for field in _fields(base):
            if layers_of_field := children[field.name]:
                name, default = field.name, getattr(base, field.name)
                options[name] = self._value(field, kinds[name], default, layers_of_field, _join(path, name))
        if _INVALID in options.values():
            return _INVALID
        result = Component(chosen.name, {**chosen.options, **options})
        try:
            result.build(registry)
        except (CmgemsError, ValueError) as error:
            return self._refused(error, children, layers, path)
        return result

    def _folder_component(self, folder: str, given: Sequence[Node], path: str) -> Any:
        options = [(key, node) for layer in given for key, node in layer.children.items() if key != "name"]
        for key, node in options:
            self._problem(
                f"unknown key {key!r}",
                node,
                _join(path, key),
                why=f"the folder {folder} has its own settings",
                fix="leave it out",
            )
        return _INVALID if options else Component(folder)

    def recipe_settings(self, default: Any, layers: Sequence[Node], path: str) -> Any:
        """A ``RecipeSettings`` whose values fit the ``Config`` of the recipe it names."""
        named, rest = [], []
        for layer in layers:
            if not isinstance(layer.value, dict):
                return self._problem(f"`{path}` must be a section of keys, but is {layer}", layer, path)
            keys = unquoted(layer).children
            named.append(
                Node({key: keys.pop(key) for key in ("recipe", "config") if key in keys}, layer.place)
            )
            rest.append(Node(keys, layer.place))
        which = self.section(RecipeName, default, named, path)
        if which is _INVALID:
            return _INVALID
        settings = RecipeSettings(
            which.recipe, which.config, merge([default.values, *map(plain_value, rest)])
        )
        below = [node_of(default.values)]
        key = "recipe"
        try:
            schema = settings.load().config_schema
            key = "config"
            if (base := settings.config_path()) is not None:
                below.insert(0, _read_file(base, schema)[0])
        except CmgemsError as error:
            given = [layer.children[key] for layer in named if key in layer.children]
            node = given[-1] if given else None
            return self._problem(error.what, node, _join(path, key), why=error.why, fix=error.fix)
        reader = _Reader(schema, self.source, partial=True)
        reader.section(schema, None, [*below, *rest], path)
        self.problems += reader.problems
        return _INVALID if reader.problems else settings

    def _children(
        self, schema: Any, layers: Sequence[Node], path: str, ignore: str = ""
    ) -> dict[str, list[Node]]:
        """The layers of each field of ``schema``."""
        children: dict[str, list[Node]] = {field.name: [] for field in _fields(schema)}
        for layer in layers:
            if not isinstance(layer.value, dict) and not layer.is_null:
                self._problem(f"`{path}` must be a section of keys, but is {layer}", layer, path)
            for name, child in layer.children.items():
                if name in children:
                    children[name].append(child)
                elif name != ignore:
                    fix = self._advice(name, list(children))
                    self._problem(f"unknown key {name!r}", child, _join(path, name), fix=fix)
        return children

    def _value(
        self, field: dataclasses.Field[Any], kind: Any, default: Any, layers: Sequence[Node], path: str
    ) -> Any:
        """The value of one field, which has a default, layers or sub-fields that may have them."""
        inner, may_be_none = optional(kind)
        if may_be_none and (layers[-1].is_null if layers else default is None):
            return None
        if inner is Component:
            or_folder = field.metadata.get(FOLDER_KEY, False)
            return self.component(field.metadata[REGISTRY_KEY], default, layers, path, or_folder=or_folder)
        if inner is RecipeSettings:
            return self.recipe_settings(default, layers, path)
        if dataclasses.is_dataclass(inner):
            base = default if isinstance(default, cast(type, inner)) else None
            return self.section(inner, base, layers, path)
        if not layers:
            return default
        try:
            return read_value(kind, layers[-1])
        except WrongType as error:
            what = f"`{field.name}` must be {error.expected}, but is {error.node}"
            return self._problem(what, error.node, path)

    def _missing(self, name: str, layers: Sequence[Node], path: str) -> Any:
        if self.partial:
            return _INVALID
        written = [layer for layer in layers if layer.place != COMMAND_LINE]
        key = _join(path, name)
        return self._problem(
            f"missing key `{name}`",
            written[-1] if written and path else None,
            key,
            fix=f"add it to the config or give {key}=... on the command line",
        )

    def _refused(
        self,
        error: CmgemsError | ValueError,
        children: Mapping[str, Sequence[Node]],
        layers: Sequence[Node],
        path: str,
    ) -> Any:
        """A section's own check failed: point at the key it names in backticks, or else at the section."""
        node = layers[-1] if layers else None
        named = [name for name in _named(error) if name in children]
        if named:
            name = next((name for name in named if children[name]), named[0])
            path, node = _join(path, name), children[name][-1] if children[name] else node
        if isinstance(error, CmgemsError):
            what = f"{error.what} in {error.where}" if error.where else error.what
            return self._problem(what, node, path, why=error.why, fix=error.fix)
        return self._problem(str(error), node, path)

    def _advice(self, name: str, names: list[str]) -> str:
        elsewhere = [key for key in dotted_keys(self.schema) if key.endswith(f".{name}")]
        if elsewhere:
            return f"did you mean {' or '.join(map(repr, elsewhere))}?"
        return did_you_mean(name, names)

    def _problem(self, what: str, node: Node | None, path: str, why: str = "", fix: str = "") -> Any:
        place = node.place if node is not None else self.source
        where = f"{place} ({path})" if place and path else place or path
        self.problems.append(CmgemsError(what, where=where, why=why, fix=fix))
        return _INVALID


def _folder(name: str) -> str:
    """``name`` written with a slash, which marks a folder; "" if it is not a folder."""
    if "/" in name:
        return str(Path(name).expanduser()) if name.startswith("~/") else name
    return f"./{name}" if name and Path(name).is_dir() else ""


def _is_folder(value: Any) -> bool:
    return isinstance(value, Component) and value.folder is not None


def _given_with(owner: str, name: str, layers: Sequence[Node]) -> list[Node]:
    """The layers of ``name`` but those below the file, mapping or command line that gives ``owner`` its last value."""
    places = [layer.place for layer in layers if owner in layer.children]
    first = next((i for i, layer in enumerate(layers) if places and layer.place == places[-1]), 0)
    return [layer.children[name] for layer in layers[first:] if name in layer.children]


def _is_section(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind) and kind not in (Component, RecipeSettings)


def _named(error: Exception) -> list[str]:
    """The keys that an error message names in backticks."""
    return re.findall(r"`(\w+)`", str(error))

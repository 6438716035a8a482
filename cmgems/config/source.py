"""Where config values come from: YAML files and ``key=value`` overrides, as trees of located nodes.

Scalars stay text here. What ``no``, ``1e-4`` or ``1:30`` mean is decided by the type of the field they are
for, so YAML 1.1's guesses (False, text, 90) never come into play.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from cmgems.errors import CmgemsError, ConfigError

MAX_BYTES = 1_000_000
COMMAND_LINE = "command line"


@dataclass(frozen=True)
class Node:
    """A value of a config and its place in the file.

    Attributes:
        value: The text of a scalar, the children of a mapping, or the items of a list.
        place: ``file:line``, or "command line".
        style: How a scalar was written; only plain ones can be numbers, booleans or null.
    """

    value: str | dict[str, Node] | list[Node]
    place: str
    style: Literal["plain", "quoted", "override"] = "plain"

    @property
    def is_null(self) -> bool:
        """Whether this says "no value": null, none, ~ or, in YAML, nothing at all."""
        if not isinstance(self.value, str) or self.style == "quoted":
            return False
        return self.value.lower() in ("null", "none", "~") or (self.style == "plain" and not self.value)

    @property
    def children(self) -> dict[str, Node]:
        """The values of a mapping by key; nothing for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    def __str__(self) -> str:
        """The value as an error message shows it."""
        if isinstance(self.value, dict):
            return "a section"
        if isinstance(self.value, list):
            return "a list"
        if self.is_null:
            return "null"
        return repr(self.value if len(self.value) <= 60 else self.value[:57] + "...")


class _StrictLoader(yaml.SafeLoader):
    """YAML without anchors (a small file could expand to gigabytes) and without tags."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refused("anchors and aliases are not allowed", event)
        if getattr(event, "tag", None) is not None:
            raise _refused(f"tags such as {event.tag} are not allowed", event)
        return super().compose_node(parent, index)


def _refused(problem: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=cast(Any, event.start_mark))


def read_yaml(path: Path) -> tuple[Node, list[CmgemsError]]:
    """The mapping in a YAML file and the problems that do not keep the rest from being checked.

    Raises:
        CmgemsError: if the file is missing, is not YAML or does not hold a mapping.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CmgemsError("config too large", where=path, why=f"more than {MAX_BYTES} bytes")
        data = path.read_bytes()
        text = data.decode()
    except UnicodeDecodeError as error:
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        why = "it is UTF-16" if utf16 else f"byte 0x{data[error.start]:02X} at position {error.start + 1}"
        fix = "save the file as UTF-8"
        raise CmgemsError("config is not UTF-8 text", where=path, why=why, fix=fix) from error
    except OSError as error:
        raise CmgemsError("cannot read config", where=path, why=error.strerror or str(error)) from error
    problems: list[CmgemsError] = []
    try:
        tree = yaml.compose(text, Loader=_StrictLoader)
        root = Node({}, f"{path}:1") if tree is None else _convert(tree, path, problems)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise CmgemsError("invalid YAML", where=where, why=error.problem or str(error)) from error
    except yaml.YAMLError as error:
        raise CmgemsError("invalid YAML", where=path, why=str(error)) from error
    except RecursionError as error:
        raise CmgemsError("invalid YAML", where=path, why="nested too deeply") from error
    if not isinstance(root.value, dict) and not root.is_null:
        raise CmgemsError("invalid config", where=path, why=f"it must hold `key: value` lines, but is {root}")
    return root, problems


def _convert(node: yaml.Node, path: Path, problems: list[CmgemsError]) -> Node:
    place = f"{path}:{node.start_mark.line + 1}"
    if isinstance(node, yaml.ScalarNode):
        return Node(node.value, place, "quoted" if node.style else "plain")
    if isinstance(node, yaml.SequenceNode):
        return Node([_convert(item, path, problems) for item in node.value], place)
    children: dict[str, Node] = {}
    for key, value in node.value:
        where = f"{path}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            problems.append(CmgemsError("invalid key", where=where, why="keys must be plain words"))
        elif key.value in children:
            first = children[key.value].place.rpartition(":")[2]
            problems.append(
                CmgemsError(f"duplicate key {key.value!r}", where=where, why=f"first in line {first}")
            )
        else:
            # Users look for an error at its key, not where a long value begins.
            child = _convert(value, path, problems)
            children[key.value] = Node(child.value, where, child.style)
    return Node(children, place)


def recipe_label(path: Path) -> str | None:
    """The recipe a config says it is written for (its top-level key ``recipe``), or None.

    Raises:
        ConfigError: if the file cannot be read as YAML.
    """
    try:
        root, _ = read_yaml(path)
    except CmgemsError as error:
        raise ConfigError([error]) from error
    label = root.children.get("recipe")
    return label.value if label is not None and isinstance(label.value, str) else None


def precedence(keys: Sequence[str]) -> int:
    """Orders values by their dotted keys: a component's name before its options, since a new name drops old options."""
    return len(keys) - (keys[-1] == "name")


def parse_overrides(overrides: Sequence[str]) -> tuple[list[Node], list[CmgemsError]]:
    """``a.b=value`` as one nested mapping each, in the order in which they apply, and what is wrong."""
    parsed: list[tuple[list[str], str]] = []
    problems: list[CmgemsError] = []
    for override in overrides:
        key, equals, text = override.partition("=")
        keys = key.strip().split(".")
        if not equals or not all(keys):
            problems.append(
                CmgemsError(f"bad override {override!r}", where=COMMAND_LINE, fix="write it as key=value")
            )
        else:
            parsed.append((keys, text))
    parsed.sort(key=lambda item: precedence(item[0]))
    nodes = []
    for keys, text in parsed:
        node = Node(text, COMMAND_LINE, "override")
        for key in reversed(keys):
            node = Node({key: node}, COMMAND_LINE)
        nodes.append(node)
    return nodes, problems

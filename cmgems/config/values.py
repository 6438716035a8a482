"""One value of a config, read as the type of its field."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from cmgems.config.source import Node

_DIGITS = r"\d+(?:_\d+)*"
_INT = re.compile(rf"(?=.{{1,32}}$)[-+]?{_DIGITS}")
_FLOAT = re.compile(rf"[-+]?({_DIGITS}(\.({_DIGITS})?)?|\.{_DIGITS})([eE][-+]?\d{{1,9}})?")
_INFINITE = re.compile(r"([-+]?)\.?inf", re.IGNORECASE)


class WrongType(Exception):  # noqa: N818 - never leaves the config package
    """``expected`` says what the value must be; ``node`` is the offending one."""

    def __init__(self, expected: str, node: Node) -> None:
        super().__init__(expected)
        self.expected, self.node = expected, node


def optional(kind: Any) -> tuple[Any, bool]:
    """``X | None`` -> (X, True); anything else -> (itself, False). X may be a union of its own."""
    if _is_union(kind) and NoneType in get_args(kind):
        return Union[tuple(k for k in get_args(kind) if k is not NoneType)], True  # noqa: UP007 - of any number
    return kind, False


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def read_value(kind: Any, node: Node) -> Any:
    """``node`` as a ``kind``: bool, int, float, str, Path, Literal, tuple, or a union of these, of None too.

    Of a union the first kind that takes it.

    Raises:
        WrongType: if it is something else.
        TypeError: if ``kind`` is none of the above, a mistake in the dataclass.
    """
    kind, may_be_none = optional(kind)
    if may_be_none and node.is_null:
        return None
    if _is_union(kind):
        return _read_either(get_args(kind), node)
    if get_origin(kind) is tuple:
        return _read_tuple(get_args(kind), node)
    if get_origin(kind) is Literal:
        return _read_literal(get_args(kind), node)
    if kind not in _READERS:
        raise TypeError(f"a config field cannot be of type {kind}")
    expected, reader = _READERS[kind]
    if not isinstance(node.value, str) or (node.is_null and node.style == "plain"):
        raise WrongType(expected, node)
    if node.style == "quoted" and kind not in (str, Path):
        raise WrongType(expected + " without quotes", node)
    value = reader(node.value if kind in (str, Path) else node.value.strip())
    if value is None:
        raise WrongType(expected, node)
    return value


def _read_either(kinds: tuple[Any, ...], node: Node) -> Any:
    expected = []
    for kind in kinds:
        try:
            return read_value(kind, node)
        except WrongType as error:
            if error.node.value != node.value:  # an item of a list
                raise
            expected.append("a list" if get_origin(kind) is tuple else error.expected)
    raise WrongType(" or ".join(expected), node)


def _read_tuple(kinds: tuple[Any, ...], node: Node) -> tuple[Any, ...]:
    items = node.value
    if isinstance(items, str) and node.style == "override":
        inner = items.strip().removeprefix("[").removesuffix("]")
        items = [Node(part.strip(), node.place, "override") for part in inner.split(",") if part.strip()]
    if not isinstance(items, list):
        raise WrongType("a list", node)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(items)
    if len(items) != len(kinds):
        raise WrongType(f"a list of {len(kinds)}", node)
    return tuple(read_value(kind, item) for kind, item in zip(kinds, items, strict=True))


def _read_literal(options: tuple[Any, ...], node: Node) -> Any:
    for option in options:
        text = str(option).lower() if isinstance(option, bool) else str(option)
        if node.value == text and (isinstance(option, str) or node.style != "quoted"):
            return option
    raise WrongType("one of " + ", ".join(map(str, options)), node)


def _read_bool(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _read_int(text: str) -> int | None:
    return int(text) if _INT.fullmatch(text) else None


def _read_float(text: str) -> float | None:
    if match := _INFINITE.fullmatch(text):
        return -math.inf if match[1] == "-" else math.inf
    number = float(text.replace("_", "")) if _FLOAT.fullmatch(text) else math.inf
    return number if math.isfinite(number) else None


def _read_path(text: str) -> Path | None:
    if not text or "\0" in text:
        return None
    return Path.home() / text[2:] if text.startswith("~/") else Path(text)


_READERS: dict[Any, tuple[str, Callable[[str], Any]]] = {
    bool: ("true or false", _read_bool),
    int: ("a whole number", _read_int),
    float: ("a number", _read_float),
    str: ("text", str),
    Path: ("a path", _read_path),
}

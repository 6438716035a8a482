"""Named components.

One rule for every kind: a registered component is a frozen dataclass instance, the *prototype*. A config
names it and may override its fields (``{name: cm_gems, threshold: 0.5}``), so options are typed, checked and
listed the same way for models, tokenizers, strategies, curricula and tasks, shipped or from a plugin.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

from cmgems.errors import CmgemsError, few

T = TypeVar("T")
C = TypeVar("C", bound=type)

SHOWN = 40  # more than there are components of a kind
COMPARED = 500  # a draft genome has a hundred thousand contigs, and difflib is slow


def _folded(name: str) -> str:
    """Alike for names that mean the same: letter case aside, and chr7 is 7."""
    return name.lower().removeprefix("chr")


def near_misses(name: str, known: Sequence[str], count: int = 3) -> list[str]:
    """Known names that a mistyped ``name`` may mean, best first.

    Names that differ in letter case or a leading ``chr`` alone are looked for among all, and if there are any no others
    are given; names that are similar are looked for among the first 500. difflib alone does not find ``lr`` for
    ``lr_rate``, so names with a common prefix count as near too.
    """
    lower = name.lower()
    if alike := [k for k in known if _folded(k) == _folded(name)]:
        return sorted(alike, key=lambda k: k.lower() != lower)[:count]
    lowered = {k.lower(): k for k in known[:COMPARED]}
    close = [lowered[c] for c in difflib.get_close_matches(lower, list(lowered), n=count, cutoff=0.6)]
    prefixed = [k for low, k in lowered.items() if low.startswith(lower) or lower.startswith(low)]
    return list(dict.fromkeys(close + prefixed))[:count]


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The advice half of an "unknown name" error."""
    close = near_misses(name, known)
    if close:
        return "did you mean " + " or ".join(repr(c) for c in close) + "?"
    return "known: " + few(list(known), SHOWN) if known else "none are known"


class Registry(Generic[T]):
    """Prototypes of one kind of component, by name.

    Args:
        kind: What the entries are, for error messages ("masking strategy").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._prototypes: dict[str, T] = {}

    def add(self, name: str, prototype: T) -> None:
        """Register ``prototype``, a frozen dataclass instance.

        Raises:
            ValueError: if the name is taken or the prototype is not a dataclass instance.
        """
        if not dataclasses.is_dataclass(prototype) or isinstance(prototype, type):
            raise ValueError(f"{self.kind} {name!r} must be a dataclass instance, not {prototype!r}")
        if name in self._prototypes:
            raise ValueError(f"{self.kind} {name!r} is registered already; choose another name")
        self._prototypes[name] = cast(T, prototype)

    def register(self, name: str) -> Callable[[C], C]:
        """Class decorator: register the dataclass with its field defaults."""

        def decorate(cls: C) -> C:
            self.add(name, cls())
            return cls

        return decorate

    def get(self, name: str, where: str = "") -> T:
        """The prototype called ``name``.

        Raises:
            CmgemsError: if there is none; the message lists the near misses.
        """
        if name not in self._prototypes:
            raise CmgemsError(
                f"unknown {self.kind} {name!r}", where=where, fix=did_you_mean(name, self.names())
            )
        return self._prototypes[name]

    def build(self, name: str, **options: Any) -> T:
        """The prototype called ``name`` with some of its fields replaced."""
        return cast(T, dataclasses.replace(cast(Any, self.get(name)), **options))

    def summary(self, name: str) -> str:
        """What the component called ``name`` is: the first line of its docstring.

        Raises:
            CmgemsError: as for ``get``.
        """
        return (inspect.getdoc(type(self.get(name))) or "").partition("\n")[0]

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._prototypes)

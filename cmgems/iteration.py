"""Going through what comes: some at a time, or one ahead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """``size`` items at a time; the last may be fewer."""
    coming = iter(items)
    while some := list(islice(coming, size)):
        yield some


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, each of them made in a thread while the one before is used."""
    coming = batched(items, 1)
    with ThreadPoolExecutor(1, "one-ahead") as thread:
        following = thread.submit(next, coming, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, coming, None)
            yield item[0]

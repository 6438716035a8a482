"""Turns that ranks take, with threads for processes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from cmgems.distributed import ALONE, World, in_turns


@dataclass(frozen=True)
class Together(World):
    """Ranks that are threads of this process: each puts its value in its place, and rank 0 looks at all."""

    values: list[object] = field(default_factory=list)
    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    def collect(self, value):
        self.values[self.rank] = value
        self.barrier.wait()
        found = list(self.values)
        self.barrier.wait()
        return found if self.is_main else []


def of_ranks(size, items, work):
    """What comes out on each rank."""
    values, barrier = [None] * size, threading.Barrier(size, timeout=20)
    found = [None] * size

    def rank(number):
        found[number] = list(
            in_turns(Together(number, size, values=values, barrier=barrier), iter(items), work)
        )

    threads = [threading.Thread(target=rank, args=(number,)) for number in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_any_number_of_ranks_gives_what_one_does(size, count):
    first, *others = of_ranks(size, range(count), lambda item: item * item)
    assert first == list(in_turns(ALONE, range(count), lambda item: item * item))
    assert first == [(i, i * i) for i in range(count)]
    assert others == [[]] * (size - 1)


def test_each_rank_does_every_nth_item():
    done = []
    of_ranks(2, range(5), lambda item: done.append((threading.get_ident(), item)))
    shares = {thread: {item for other, item in done if other == thread} for thread, _ in done}
    assert sorted(map(sorted, shares.values())) == [[0, 2, 4], [1, 3]]


def test_items_are_read_a_round_at_a_time():
    read = []
    coming = in_turns(ALONE, (read.append(i) or i for i in range(9)), str)
    assert read == []
    assert next(coming) == (0, "0")
    assert read == [0]

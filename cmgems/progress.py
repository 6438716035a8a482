"""Progress of long work: a rich bar in a terminal, a plain line every few seconds anywhere else.

It goes to stderr, so that stdout has only results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

PLAIN_INTERVAL_SECONDS = 10.0

console = Console(stderr=True)


def can_redraw() -> bool:
    """Whether stderr is a terminal whose cursor can go back: not a file, whatever FORCE_COLOR says, nor TERM=dumb."""
    return console.is_interactive and console.file.isatty()


def human(count: float) -> str:
    """A count with an SI prefix: 1234567 -> '1.23 M'."""
    for prefix in ("", "k", "M", "G", "T"):
        if abs(count) < 1000 or prefix == "T":
            return f"{count:.0f}" if prefix == "" else f"{count:.3g} {prefix}"
        count /= 1000
    raise AssertionError("unreachable")


class _RateColumn(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{human(speed)} {self.unit}/s" if speed else "")


@contextmanager
def progress(label: str, total: float | None, unit: str) -> Iterator[Callable[[float], None]]:
    """Show the progress of ``label``; yields ``advance(amount)``.

    Args:
        label: What is being done ("counting").
        total: Amount of work, or None if unknown.
        unit: What is counted ("bp", "sequences").
    """
    if can_redraw():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            _RateColumn(unit),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda amount: bar.advance(task, amount)
        return

    start = last = time.monotonic()
    done = 0.0

    def advance(amount: float) -> None:
        nonlocal done, last
        done += amount
        now = time.monotonic()
        if now - last < PLAIN_INTERVAL_SECONDS:
            return
        last = now
        rate = done / (now - start)
        share = f"{100 * done / total:.0f} %" if total else human(done)
        if total and rate > 0:
            share += f", {(total - done) / rate:.0f} s left"
        print(f"{label}: {share}, {human(rate)} {unit}/s", file=sys.stderr, flush=True)

    yield advance

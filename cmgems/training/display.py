"""What a training run shows: a rich bar in a terminal, a plain line every so many steps anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cmgems.errors import CmgemsError
from cmgems.progress import console, human


@dataclass(frozen=True)
class LogConfig:
    """What is shown and recorded.

    Attributes:
        every: Steps between records of the metrics log and between plain lines.
        tensorboard: Also write TensorBoard events.
    """

    every: int = 10
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if self.every < 1:
            raise CmgemsError(f"`every` must be 1 or more, but is {self.every}")


class Display:
    """Shows the steps of a run; made by :func:`show_steps`."""

    def __init__(self, label: str, start: int, total: int, every: int, bar: Progress | None) -> None:
        self._label, self._start, self._total, self._every, self._bar = label, start, total, every, bar
        self._task = None if bar is None else bar.add_task(label, total=total, completed=start, text="")
        self._began = time.monotonic()

    def step(self, done: int, text: str) -> None:
        """``done`` steps are finished; ``text`` says how they went."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, text=text)
        elif self._every and (done % self._every == 0 or done == self._total):
            left = (time.monotonic() - self._began) / (done - self._start) * (self._total - done)
            print(
                f"{self._label} {done}/{self._total}  {text}  {left:.0f} s left", file=sys.stderr, flush=True
            )

    def note(self, text: str) -> None:
        """Say something that stays on the screen."""
        if self._bar is not None:
            self._bar.console.print(text)
        elif self._every:
            print(text, file=sys.stderr, flush=True)


@contextmanager
def show_steps(label: str, start: int, total: int, every: int, visible: bool = True) -> Iterator[Display]:
    """Show steps ``start``..``total`` of a run."""
    if not visible or not console.is_terminal:
        yield Display(label, start, total, every if visible else 0, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        yield Display(label, start, total, every, bar)


def rate_text(tokens: float, seconds: float) -> str:
    """'12.3 k tokens/s'."""
    return f"{human(tokens / max(seconds, 1e-9))} tokens/s"

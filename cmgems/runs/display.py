"""What a training run shows: a live panel in a terminal, a plain line every so many steps anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.console import RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table

from cmgems.errors import CmgemsError
from cmgems.process import write_now
from cmgems.progress import can_redraw, console, human
from cmgems.runs.metric_log import perplexity


@dataclass(frozen=True)
class LogConfig:
    """What is shown and recorded.

    Attributes:
        every: Steps between records of the metrics log and between plain lines.
        tensorboard: Also write TensorBoard events.
        wandb: Also log to Weights & Biases; offline unless `WANDB_API_KEY` or `WANDB_MODE` is set.
        profile: Steps to profile, once the first ones have warmed everything up; none by default.
    """

    free: ClassVar[bool] = True  # a run may go on with others

    every: int = 10
    tensorboard: bool = False
    wandb: bool = False
    profile: int | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise CmgemsError(f"`every` must be 1 or more, but is {self.every}")
        if self.profile is not None and self.profile < 1:
            raise CmgemsError(f"`profile` must be 1 or more, but is {self.profile}")


def _nats(loss: float) -> str:
    return f"{loss:.4f} (ppl {perplexity(loss):.4g})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


# What the panel shows of a run's records, in this order: key -> label and how to write the value.
FIGURES: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "loss": ("loss", _nats),
    "validation_loss": ("validation", _nats),
    "validation_accuracy": ("guessed right", _percent),
    "strategy": ("masking", str),
    "masked_share": ("masked", _percent),
    "lr": ("learning rate", "{:.3g}".format),
    "gradient_norm": ("gradient norm", "{:.3g}".format),
    "tokens_per_second": ("speed", lambda rate: f"{human(rate)} tokens/s"),
    "peak_memory_gb": ("peak memory", "{:.2f} GB".format),
    "wait_share": ("data wait", _percent),
    "mfu": ("MFU", _percent),
    "skipped": ("steps skipped", str),
    "spikes": ("loss spikes", str),
    "switch": ("switched to", str),
}


class Display:
    """Shows the steps of a run; made by ``show_steps``.

    Args:
        label: What is running ("pretrain").
        start: Steps done before.
        total: Steps of the whole run.
        every: Steps between plain lines; 0 shows nothing.
    """

    def __init__(self, label: str, start: int, total: int, every: int) -> None:
        self._label, self._start, self._total, self._every = label, start, total, every
        self._done, self._text, self._notice = start, "", ""
        self._figures: dict[str, Any] = {}
        self._began = time.monotonic()
        self._live: Live | None = None

    def step(self, done: int, text: str, record: Mapping[str, Any] | None = None) -> None:
        """``done`` steps are finished; ``text`` says how they went, ``record`` holds the figures for the panel."""
        self._done, self._text = done, text
        self._figures.update(record or {})
        if self._live is None and self._every and (done % self._every == 0 or done == self._total):
            print(f"{self._label} {done}/{self._total}  {text}  {self._left()}", file=sys.stderr, flush=True)

    def note(self, text: str, record: Mapping[str, Any] | None = None) -> None:
        """Say something that stays on the screen; ``record`` as for ``step``."""
        self._figures.update(record or {})
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False)
        elif self._every:
            print(text, file=sys.stderr, flush=True)

    def announce(self, text: str) -> None:
        """Say something from inside a signal handler, which must not enter a buffered write a second time."""
        self._notice = text
        if self._live is None and self._every:
            write_now(text)

    def _left(self) -> str:
        done = self._done - self._start
        if not done:
            return ""
        return f"{duration((time.monotonic() - self._began) / done * (self._total - self._done))} left"

    def panel(self) -> RenderableType:
        """The latest of every figure, two to a line, over the bar."""
        shown = [
            (label, write(self._figures[key]))
            for key, (label, write) in FIGURES.items()
            if key in self._figures
        ]
        figures = Table.grid(padding=(0, 2), expand=True)
        for _ in range(2):
            figures.add_column(style="dim", no_wrap=True)
            figures.add_column(ratio=1, no_wrap=True)
        for pair in zip(shown[::2], [*shown[1::2], ("", "")], strict=False):
            figures.add_row(*(cell for item in pair for cell in item))
        if not shown:
            figures.add_row(self._text)
        share = 100 * self._done / self._total
        bar = Table.grid(padding=(0, 2), expand=True)
        bar.add_column(ratio=1)
        bar.add_row(
            ProgressBar(total=self._total, completed=self._done),
            f"{self._done}/{self._total}  {share:.0f} %  {self._left()}",
        )
        body = Table.grid(expand=True)
        body.add_row(figures)
        body.add_row(bar)
        return Panel(body, title=self._label, title_align="left", subtitle=self._notice or None)


@contextmanager
def show_steps(label: str, start: int, total: int, every: int, visible: bool = True) -> Iterator[Display]:
    """Show steps ``start``..``total`` of a run."""
    display = Display(label, start, total, every if visible else 0)
    if not visible or not can_redraw():
        yield display
        return
    with Live(get_renderable=display.panel, console=console, refresh_per_second=4) as live:
        display._live = live
        try:
            yield display
        finally:
            display._notice = ""  # the last panel stays on the screen


def step_text(record: Mapping[str, Any]) -> str:
    """A step's record in short: 'loss 8.3158  genemask  12.3 k tokens/s'."""
    loss = f"loss {record['loss']:.4f}" if "loss" in record else "skipped"
    mfu = f"  {100 * record['mfu']:.0f} % of peak" if "mfu" in record else ""
    return f"{loss}  {record['strategy']}  {human(record['tokens_per_second'])} tokens/s{mfu}"


def rate_text(tokens: float, seconds: float) -> str:
    """'12.3 k tokens/s'."""
    return f"{human(tokens / max(seconds, 1e-9))} tokens/s"


def duration(seconds: float) -> str:
    """A time in its two largest units: '42 s', '12 min', '5 h 20 min', '2 d 3 h'."""
    minutes = round(seconds / 60)
    hours, days = minutes // 60, minutes // 1440
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if days < 1 else f"{days} d {hours % 24} h"

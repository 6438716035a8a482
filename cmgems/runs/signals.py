"""Stopping a run: a signal finishes the current step and saves; a second Ctrl-C or SIGTERM exits at once.

Batch systems send a signal of their user's choice some minutes before they take a machine away, then SIGTERM; a
terminal that is closed sends SIGHUP, torchrun SIGTERM when another rank has failed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from cmgems.distributed import ALONE, World
from cmgems.process import STOP_SIGNALS, write_now
from cmgems.progress import can_redraw

SIGNALS = (signal.SIGINT, *STOP_SIGNALS)
# These may be meant: leave at once. The others are warnings, some of them sent every second.
DEMANDS = (signal.SIGINT, signal.SIGTERM)
# A launcher passes on a signal that the batch system has sent to every process: within this time it is the same one.
SAME_SIGNAL_SECONDS = 1.0
SHOW_CURSOR = "\x1b[?25h"


class Stop:
    """Whether a signal has asked this process to stop; made by ``stop_signals``.

    Attributes:
        number: The signal, or 0.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self.number = 0
        self._announce = announce
        self._demanded: float | None = None

    def __bool__(self) -> bool:
        return self.number != 0

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        """The handler: remember the first signal; exit at the second demand."""
        now, demand = time.monotonic(), number in DEMANDS
        if demand and self._demanded is not None and now - self._demanded > SAME_SIGNAL_SECONDS:
            if can_redraw():
                write_now(SHOW_CURSOR)  # the live panel hides it
            os._exit(128 + number)  # every file is written whole or not at all, so nothing needs to be tidied
        if not self:
            self.number = number
            again = "; send it again to exit at once" if demand else ""
            self._announce(f"{self.name}: stopping after this step{again}")
        if demand and self._demanded is None:
            self._demanded = now

    @property
    def name(self) -> str:
        """'SIGTERM'."""
        return signal.Signals(self.number).name

    def agreed(self, world: World) -> bool:
        """Whether any rank was asked to stop: the same answer on all of them, so all must ask after the same step.

        The sum goes through main memory, so it does not wait for the GPU.
        """
        if world.sum(float(bool(self))) == 0:
            return False  # also where a signal arrived meanwhile: the other ranks learn of it after the next step
        self.number = self.number or signal.SIGTERM
        return True

    def leave(self, text: str, world: World = ALONE) -> NoReturn:
        """Say what is safe and how to go on, and exit with 128 + n: 130 for SIGINT, 143 for SIGTERM."""
        if world.is_main:
            print(f"stopped by {self.name}: {text}; the same command continues", file=sys.stderr, flush=True)
        raise SystemExit(128 + self.number)


@contextmanager
def stop_signals(announce: Callable[[str], None] = write_now) -> Iterator[Stop]:
    """Turn ``SIGNALS`` into a ``Stop`` to ask after each step; the old handlers come back at the end.

    Those that are ignored, as under nohup, stay ignored. Python allows handlers in the main thread only; in another
    thread the stop never comes.

    Args:
        announce: Tells the user that the signal has arrived; called inside the handler.
    """
    stop = Stop(announce)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for number in heard:
        signal.signal(number, stop.receive)
    try:
        yield stop
    finally:
        for number in heard:
            signal.signal(number, before[number])

"""Stopping a run: Ctrl-C and SIGTERM finish the current step and save; a second signal exits at once.

Batch systems send SIGTERM some seconds before they take a machine away, torchrun when another rank has failed.
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

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A launcher passes on a signal that the batch system has sent to every process: within this time it is the same one.
SAME_SIGNAL_SECONDS = 1.0
SHOW_CURSOR = b"\x1b[?25h"


class Stop:
    """Whether a signal has asked this process to stop; made by ``stop_signals``.

    Attributes:
        number: The signal, or 0.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self.number = 0
        self._announce = announce
        self._since: float | None = None

    def __bool__(self) -> bool:
        return self.number != 0

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        """The handler: remember the first signal, exit at the second."""
        now = time.monotonic()
        if self._since is None:
            self.number, self._since = number, now
            self._announce(f"{self.name}: stopping after this step; send it again to exit at once")
        elif now - self._since > SAME_SIGNAL_SECONDS:
            if sys.stderr.isatty():
                os.write(sys.stderr.fileno(), SHOW_CURSOR)  # the live panel hides it
            os._exit(128 + number)  # every file is written whole or not at all, so nothing needs to be tidied

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
        """Say what is safe and how to go on, and exit with 130 (SIGINT) or 143 (SIGTERM)."""
        if world.is_main:
            print(f"stopped by {self.name}: {text}; the same command continues", file=sys.stderr, flush=True)
        raise SystemExit(128 + self.number)


def say(text: str) -> None:
    """Write a line to stderr past Python's buffers: a signal handler may have interrupted a write to them."""
    os.write(2, f"{text}\n".encode())


@contextmanager
def stop_signals(announce: Callable[[str], None] = say) -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a ``Stop`` to ask after each step; the old handlers come back at the end.

    Python allows handlers in the main thread only; in another thread the stop never comes.

    Args:
        announce: Tells the user that the signal has arrived; called inside the handler.
    """
    stop = Stop(announce)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.receive) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

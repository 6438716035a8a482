"""Fixtures shared by the tests of recipes."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time

import pytest

from cmgems import training
from cmgems.models import attention


@pytest.fixture
def at_step(monkeypatch):
    """``at_step(8, act)``: ``act()`` is called in the 8th step of all fine-tuning runs after this."""

    def install(number, act):
        real, calls = training.apply_gradients, itertools.count(1)

        def apply(*arguments, **options):
            if next(calls) == number:
                act()
            return real(*arguments, **options)

        monkeypatch.setattr(training, "apply_gradients", apply)

    return install


@pytest.fixture
def count_recomputed(monkeypatch):
    """A list that grows with every layer that is to be recomputed in the backward pass."""
    real, layers = attention.checkpoint, []

    def checkpoint(layer, *arguments, **options):
        layers.append(layer)
        return real(layer, *arguments, **options)

    monkeypatch.setattr(attention, "checkpoint", checkpoint)
    return layers


@pytest.fixture
def kill_after():
    """``kill_after(8, arguments, out)``: run the command in a process, and SIGKILL it when 8 losses are logged."""

    def start_and_kill(losses, arguments, out):
        process = subprocess.Popen(
            [sys.executable, "-m", "cmgems", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        log = out / "metrics.jsonl"
        while process.poll() is None and (not log.is_file() or log.read_text().count('"loss"') < losses):
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL

    return start_and_kill

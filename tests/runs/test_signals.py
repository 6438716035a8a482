from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from cmgems.distributed import World
from cmgems.runs import signals as signals_module
from cmgems.runs import stop_signals


@pytest.mark.parametrize(
    ("number", "code", "again"),
    [
        (signal.SIGINT, 130, "; send it again to exit at once"),
        (signal.SIGTERM, 143, "; send it again to exit at once"),
        (signal.SIGHUP, 129, ""),
        (signal.SIGUSR1, 138, ""),
        (signal.SIGUSR2, 140, ""),
        (signal.SIGXCPU, 152, ""),
    ],
)
def test_the_first_signal_is_remembered_and_handlers_come_back(number, code, again, capsys):
    before = [signal.getsignal(n) for n in signals_module.SIGNALS]
    said = []
    with stop_signals(said.append) as stop:
        assert not stop
        signal.raise_signal(number)
        assert stop
        assert stop.number == number
        with pytest.raises(SystemExit) as left:
            stop.leave("step 3 is saved")
    assert left.value.code == code
    assert [signal.getsignal(n) for n in signals_module.SIGNALS] == before
    assert said == [f"{number.name}: stopping after this step{again}"]
    assert (
        capsys.readouterr().err == f"stopped by {number.name}: step 3 is saved; the same command continues\n"
    )


SCRIPT = """
import time
from cmgems.runs import signals
signals.SAME_SIGNAL_SECONDS = {same}
with signals.stop_signals() as stop:
    print("ready", flush=True)
    time.sleep(30)
"""


def started(same, first=signal.SIGTERM):
    paths = [os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(same=same)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    process.send_signal(first)
    assert process.stderr.readline().startswith(f"{first.name}: stopping")
    return process


def test_a_second_signal_exits_at_once():
    process = started(same=0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130


def test_warnings_may_come_again_and_a_demand_after_them_is_the_first(monkeypatch):
    monkeypatch.setattr(signals_module, "SAME_SIGNAL_SECONDS", -1)
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    with stop_signals(lambda text: None) as stop:
        for number in (signal.SIGUSR1, signal.SIGXCPU, signal.SIGXCPU, signal.SIGUSR1, signal.SIGTERM):
            signal.raise_signal(number)
        assert (stop.number, left) == (signal.SIGUSR1, [])
        signal.raise_signal(signal.SIGTERM)
    assert left == [143]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_what_is_ignored_stays_ignored(number):
    """As under nohup, or SIGINT of what a script starts with &."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with stop_signals() as stop:
            signal.raise_signal(number)
            assert not stop
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_passed_on_twice_counts_once():
    process = started(same=20)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None
    process.kill()
    process.wait()


def test_outside_the_main_thread_nothing_is_caught():
    seen = []

    def work():
        with stop_signals() as stop:
            seen.append(bool(stop))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_rank_that_got_no_signal_stops_with_the_others(monkeypatch):
    monkeypatch.setattr(World, "sum", lambda self, value: value + 1.0)
    with stop_signals() as stop:
        assert stop.agreed(World(rank=1, size=2))
    assert stop.number == signal.SIGTERM


def test_a_signal_while_the_ranks_agree_waits_for_the_next_step(monkeypatch):
    def interrupted(self, value):
        signal.raise_signal(signal.SIGTERM)
        return value

    with stop_signals(lambda text: None) as stop:
        monkeypatch.setattr(World, "sum", interrupted)
        assert not stop.agreed(World(rank=1, size=2))  # the other rank has summed 0 too
        monkeypatch.undo()
        assert stop.agreed(World())


def test_only_rank_0_says_so(capsys):
    with stop_signals(lambda text: None) as stop:
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        stop.leave("saved", World(rank=1, size=2))
    assert capsys.readouterr().err == ""

"""Streams that are closed, full or left by their readers; signals outside a training loop."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cmgems import process

TOP = Path(__file__).resolve().parents[1]
START = "import os, sys, time\nfrom cmgems import process\nprocess.outlive_readers()\n"


def start(code: str, **how: object) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(TOP), **how.pop("env", {})}  # type: ignore[dict-item]
    return subprocess.Popen([sys.executable, "-c", START + code], env=environment, **how)  # type: ignore[call-overload, no-any-return]


def lost_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


TALK = """
for stream in (sys.stdout, sys.stderr):
    for _ in range(3):
        print("x" * 100_000, file=stream, flush=True)
process.write_now("from a handler")
open("done", "w").close()
"""


@pytest.mark.parametrize("lost", [("stdout",), ("stderr",), ("stdout", "stderr")])
def test_a_reader_that_goes_away_changes_nothing(tmp_path: Path, lost: tuple[str, ...]) -> None:
    pipe = lost_pipe()
    streams = {name: pipe if name in lost else subprocess.DEVNULL for name in ("stdout", "stderr")}
    assert start(TALK, cwd=tmp_path, **streams).wait() == 0
    os.close(pipe)
    assert (tmp_path / "done").exists()


def test_a_terminal_that_is_closed(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    started = start("time.sleep(0.5)\n" + TALK, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    time.sleep(0.2)
    os.close(ours)
    assert started.wait() == 0
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_not_taken_by_the_next_file(tmp_path: Path, closed: str) -> None:
    code = f"{START}with open('result', 'w') as file:\n    file.write('result')\n    file.flush()\n"
    code += "    print('said'); print('said', file=sys.stderr); process.write_now('said'); os.system('echo said')\n"
    shell = f'exec "$0" -c "$1" {closed}'
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable, code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(TOP)}
    )
    assert done.returncode == 0
    assert (tmp_path / "result").read_text() == "result"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_results_is_told_once_and_under_the_log_not_at_all() -> None:
    with open("/dev/full", "w") as full:
        results = subprocess.run(
            [sys.executable, "cli.py", "ls"], cwd=TOP, stdout=full, stderr=subprocess.PIPE, text=True
        )
        log = subprocess.run([sys.executable, "cli.py", "nope"], cwd=TOP, stderr=full)
    assert results.returncode == 1
    assert (
        results.stderr
        == "error: no space left in standard output; free some space and run the same command again\n"
    )
    assert log.returncode == 2


def test_a_stream_that_was_made_non_blocking() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    started = start("print('x' * 1_000_000)", stdout=writer)
    os.close(writer)
    time.sleep(0.3)
    with open(reader, "rb") as pipe:
        assert len(pipe.read()) == 1_000_001
    assert started.wait() == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_names_that_the_encoding_lacks(encoding: str) -> None:
    code = "for s in (sys.stdout, sys.stderr): print('染色体', os.fsdecode(b'caf\\xe9'), file=s)"
    started = start(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PYTHONIOENCODING": encoding})
    assert started.communicate() == (b"\\u67d3\\u8272\\u4f53 caf\\udce9\n",) * 2
    assert started.returncode == 0


def test_streams_of_python_itself_stay(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    process.outlive_readers()
    assert (sys.stdout, sys.stderr) == before


WAIT = """
process.tidy_before_leaving()
try:
    print("ready", flush=True)
    time.sleep(20)
finally:
    open("tidied", "w").close()
"""


@pytest.mark.parametrize("number", process.STOP_SIGNALS)
def test_a_signal_leaves_time_to_tidy(tmp_path: Path, number: signal.Signals) -> None:
    started = start(WAIT, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert started.stdout is not None
    started.stdout.readline()
    started.send_signal(number)
    assert started.communicate() == (b"", f"stopped by {number.name}\n".encode())
    assert started.returncode == 128 + number
    assert (tmp_path / "tidied").exists()


def test_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    others = {number: signal.getsignal(number) for number in process.STOP_SIGNALS}
    try:
        process.tidy_before_leaving()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        for number, handler in others.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGHUP, before)


def test_cores_where_the_system_cannot_say_which(monkeypatch: pytest.MonkeyPatch) -> None:
    assert process.available_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS
    assert process.available_cores() == os.cpu_count()

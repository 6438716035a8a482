"""One of the runs on a GPU, within a deadline: parts one after the other, each killed when its time is over.

    python benchmarks/gpu/run.py 1 --out OUT            README.md says what must be there before

Every result is a JSON line in OUT/results.jsonl as soon as it is known; what the parts print is in OUT/log.txt. A part
that fails, hangs or exceeds its time costs its own later results, nobody else's.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bare import install, unpack
from plan import RUNS, Part
from results import RESULTS, append, read

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SITE, TRITON = "site", "triton"  # folders of the work folder: packages, Triton's cache
GRACE = 3.0  # seconds between asking a part to stop and killing it
TAIL = 12  # lines shown of a part that went wrong


@dataclass(frozen=True)
class Ended:
    """How a part ended: `ok`, `failed`, `killed` (its time was over) or `skipped` (no time was left)."""

    name: str
    state: str
    seconds: float
    results: int


class Clock:
    """Seconds since the start, and how many are left.

    Args:
        deadline: Seconds after now.
    """

    def __init__(self, deadline: float) -> None:
        self.began, self.deadline = time.monotonic(), deadline

    @property
    def now(self) -> float:
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        return self.deadline - self.now


class Runner:
    """Runs parts and writes down what became of them.

    Args:
        out: Gets the results and the log.
        run: Its number, in every result.
        clock: The deadline of the whole.
        stretch: Every part's time is multiplied by it, for slower machines.
        options: Words that every part takes.
        environment: Of the parts.
    """

    def __init__(
        self,
        out: Path,
        run: int,
        clock: Clock,
        stretch: float,
        options: Sequence[str],
        environment: Mapping[str, str],
    ) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.run, self.clock, self.stretch = out, run, clock, stretch
        self.options, self.environment = list(options), dict(environment)
        self.ended: list[Ended] = []
        self._beside: list[tuple[Part, subprocess.Popen[bytes], float]] = []

    def go(self, parts: Sequence[Part]) -> None:
        """All parts, in their order; the log is whole after each of them."""
        try:
            with open(self.out / "log.txt", "ab") as log:
                for part in parts:
                    self._start(part, log)
                    self._collect()
        finally:
            self._collect(all_of_them=True)

    def _collect(self, all_of_them: bool = False) -> None:
        """Note those parts beside the others that have ended, or end them."""
        for running in list(self._beside):
            part, process, began = running
            if all_of_them or process.poll() is not None:
                self._beside.remove(running)
                state = _state(process.poll())
                stop(process)
                self._note(part, state, self.clock.now - began)

    def _start(self, part: Part, log: IO[bytes]) -> None:
        if self.clock.left < part.seconds * self.stretch:
            self._note(part, "skipped", 0.0)
            return
        words = [word.format(part=HERE / "parts") for word in part.command]
        words += self.options
        log.write(f"\n== {part.name}: {' '.join(words)} ({self.clock.now:.0f} s)\n".encode())
        log.flush()
        where, began = log.tell(), self.clock.now
        process = subprocess.Popen(
            [sys.executable, *words],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env=self.environment | {"PART": part.name, "RUN": str(self.run)},
            process_group=0,  # so that what it starts can be killed with it
        )
        if part.beside:
            self._beside.append((part, process, began))
            return
        state = "killed"  # also if this process is asked to end
        try:
            state = _state(process.wait(min(part.most * self.stretch, self.clock.left - GRACE)))
        except subprocess.TimeoutExpired:
            pass
        finally:
            stop(process)
            self._note(part, state, self.clock.now - began)
        if state != "ok":
            self._show_tail(where)

    def _note(self, part: Part, state: str, seconds: float) -> None:
        path = self.out / RESULTS
        found = sum(line.get("part") == part.name for line in read([path])) if path.is_file() else 0
        self.ended.append(Ended(part.name, state, seconds, found))
        append(path, {"run": self.run, "part": part.name, "what": "part", "state": state, "seconds": seconds})
        print(f"[{self.clock.now:4.0f} s] {part.name}: {state}, {seconds:.0f} s, {found} results", flush=True)

    def _show_tail(self, where: int) -> None:
        """The last lines of the log from ``where`` on."""
        with open(self.out / "log.txt", "rb") as log:
            log.seek(where)
            lines = log.read().decode(errors="replace").splitlines()
        print("".join(f"    {line[:200]}\n" for line in lines[-TAIL:]), end="", flush=True)

    def table(self) -> str:
        """What ran, in columns."""
        rows = [f"{e.name:<14}{e.state:<9}{e.seconds:>6.0f} s{e.results:>5} results" for e in self.ended]
        return "\n".join([f"run {self.run}, {self.clock.now:.0f} of {self.clock.deadline:.0f} s", *rows])


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a part and whatever it has started: first asked to, then killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _state(code: int | None) -> str:
    return "killed" if code is None else "failed" if code else "ok"


def environment(out: Path, work: Path) -> dict[str, str]:
    """Of the parts: this checkout and the wheels are found, and every cache lies in ``work``."""
    paths = [work / SITE, ROOT, ROOT / "benchmarks", HERE, *filter(None, [os.environ.get("PYTHONPATH")])]
    caches = {
        "TRITON_CACHE_DIR": work / TRITON,
        "TORCHINDUCTOR_CACHE_DIR": work / "inductor",
        "NUMBA_CACHE_DIR": work / "numba",
    }
    return {
        **{name: str(path) for name, path in caches.items()},
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONUNBUFFERED": "1",
        "RESULTS": str(out / RESULTS),
    }


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=int, choices=list(RUNS))
    parser.add_argument("--out", type=Path, required=True, help="folder of results.jsonl and log.txt")
    parser.add_argument("--prepared", type=Path, default=HERE / "prepared", help="what prepare.py made")
    parser.add_argument("--work", type=Path, help="folder for runs and caches (a temporary one)")
    parser.add_argument("--deadline", type=float, default=540, help="seconds for the whole (540)")
    parser.add_argument("--stretch", type=float, default=1, help="times the seconds of every part (1)")
    parser.add_argument("--only", nargs="+", metavar="PART", help="these parts alone")
    parser.add_argument("--quick", action="store_true", help="few steps: only to see that it runs")
    options = parser.parse_args(words)
    clock = Clock(options.deadline)
    parts = [part for part in RUNS[options.run] if not options.only or part.name in options.only]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        work, out = (options.work or Path(folder)).resolve(), options.out.resolve()
        shared = ["--work", str(work), "--prepared", str(options.prepared.resolve())]
        shared += ["--quick"] * options.quick
        work.mkdir(parents=True, exist_ok=True)
        wheels = install(options.prepared / "wheels", work / SITE)
        unpack(options.prepared / "triton.tar", work / TRITON)
        print(f"[{clock.now:4.0f} s] installed: {', '.join(wheels) or 'nothing was missing'}", flush=True)
        runner = Runner(out, options.run, clock, options.stretch, shared, environment(out, work))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the part under way is stopped too
        runner.go(parts)
        print(f"\n{runner.table()}", flush=True)  # before a large folder is cleared away


if __name__ == "__main__":
    main()

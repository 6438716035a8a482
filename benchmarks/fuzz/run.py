"""Give the readers of files ten million inputs, and look for one that is not read and not refused in words.

python benchmarks/fuzz/run.py --inputs 10_000_000 --seed 0
python benchmarks/fuzz/run.py --inputs 20_000 --only FASTA --only BED

A reader may return the records of a file, as many as an independent count finds, or raise a CmgemsError. Any other
exception, a hang, a crash, or another count is a finding: the input and what is wrong with it go to the folder
`--findings`. Input number i of a seed is always the same. One part of the inputs comes from a generator (files as users
have them, and the same ones damaged); the other, where atheris is installed, from libFuzzer, which begins with some of
those and keeps what reaches new code.

`FINDINGS/done.jsonl` has a line for every piece of the work that is done: the same command again goes on.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
LEAST = 200_000  # inputs of the slowest readers, of ten million
GUIDED = 0.3  # share of the inputs that atheris makes
PIECE = 200_000  # inputs of one process
STALLED = 120  # seconds without a new input, after which a process is ended
MEMORY = 8 << 30
ENGINES = ("generated", "guided")


@dataclass
class Task:
    """Inputs of one reader for one process.

    Attributes:
        reader: Name of the reader.
        engine: Who makes the inputs.
        first: Number of the first input.
        count: How many.
        counters: Shared with the process: inputs done, accepted, findings.
        seconds: How long it took, once it is done.
        process: The process at work.
        seen: Inputs done when last looked at, and when that was.
    """

    reader: str
    engine: str
    first: int
    count: int
    counters: Any = field(default_factory=lambda: multiprocessing.RawArray("q", 3))
    seconds: float = 0.0
    process: Any = None
    seen: tuple[int, float] = (-1, 0.0)

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What tells it from all others of a seed."""
        return self.reader, self.engine, self.first, self.count


def tasks(readers: Sequence[Any], inputs: int, guided: float) -> list[Task]:
    """The work on all readers, in pieces; the shares of the readers add up to ``inputs``."""
    least = LEAST * inputs // 10_000_000
    total = sum(reader.share for reader in readers)
    found = []
    for reader in readers:
        share = max(least, round(inputs * reader.share / total))
        by_engine = {"guided": round(share * guided) if reader.code else 0}
        by_engine["generated"] = share - by_engine["guided"]
        for engine, number in by_engine.items():
            found += [
                Task(reader.name, engine, first, min(PIECE, number - first))
                for first in range(0, number, PIECE)
            ]
    return found


def take_up(waiting: list[Task], path: Path, seed: int) -> list[Task]:
    """Take the tasks out of ``waiting`` that ``path`` says are done."""
    lines = path.read_text().splitlines() if path.is_file() else []
    known = {tuple(line["task"]): line for line in map(json.loads, lines) if line["seed"] == seed}
    done = [task for task in waiting if task.key in known]
    for task in done:
        waiting.remove(task)
        task.counters[:], task.seconds = known[task.key]["counters"], known[task.key]["seconds"]
    return done


def put_down(task: Task, path: Path, seed: int) -> None:
    """Add a line to ``path``: the task is done."""
    line = {"seed": seed, "task": task.key, "counters": list(task.counters), "seconds": task.seconds}
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def work(task: Task, seed: int, folder: Path, findings: Path) -> None:
    """The process: all inputs of a task, from where the last process stopped."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.path.insert(0, str(HERE))
    from readers import READERS

    reader = READERS[task.reader]
    if task.engine == "guided":
        os.dup2(os.open(folder / "log", os.O_CREAT | os.O_WRONLY), 2)  # it says much
        import atheris

        with atheris.instrument_imports(include=list(reader.code)):
            for module in reader.code:
                importlib.import_module(module)
    from trial import judge, keep

    path = folder / f"input{reader.suffix}"
    judge(reader, reader.make(Random(0))[0], path, seconds=120)  # imports and compiles

    def one(data: bytes, records: int | None = None) -> None:
        verdict = judge(reader, data, path, records)
        task.counters[1] += verdict.accepted and not verdict.finding
        if verdict.finding:
            task.counters[2] += 1
            keep(findings, reader, data, verdict.finding, verdict.detail)
        task.counters[0] += 1

    start = task.counters[0]
    if task.engine == "generated":
        for number in range(task.first + start, task.first + task.count):
            one(*reader.input(Random((seed << 40) + number)))
        return
    begin = folder / "begin"
    begin.mkdir(exist_ok=True)
    for number in range(200):
        (begin / str(number)).write_bytes(reader.input(Random((seed << 40) + task.first + number))[0])
    words = ["".join(rf"\x{byte:02x}" for byte in word) for word in reader.words]
    (folder / "words").write_text("".join(f'"{word}"\n' for word in words))
    options = [
        f"-runs={task.count - start}",
        f"-seed={seed + task.first + start + 1}",
        "-max_len=4096",
        "-timeout=600",
    ]
    options += ["-rss_limit_mb=0", "-verbosity=0", f"-dict={folder / 'words'}", str(begin)]
    atheris.Setup(["fuzz", *options], one)
    atheris.Fuzz()  # leaves the process


def look_after(task: Task, seed: int, folder: Path, findings: Path) -> bool:
    """Whether the task is done; starts its process, and starts it again behind an input that ended it."""
    process, done = task.process, task.counters[0]
    if process is not None and process.is_alive():
        if done != task.seen[0]:
            task.seen = (done, time.monotonic())
        elif time.monotonic() - task.seen[1] > STALLED:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        return False
    if process is not None:
        # libFuzzer runs one or two inputs of its own more or fewer.
        if done >= task.count - 2 or process.exitcode == 0:
            return True
        if process.exitcode == 1:  # a mistake here, not in a reader
            log = folder / "log"
            sys.exit(f"{task.reader}, {task.engine}: {log.read_text() if log.is_file() else 'see above'}")
        _ended(task, folder, findings)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    task.seen = (-1, time.monotonic())
    task.process = None  # a process cannot be sent to another
    process = multiprocessing.get_context("spawn").Process(target=work, args=(task, seed, folder, findings))
    process.start()
    task.process = process
    return False


def _ended(task: Task, folder: Path, findings: Path) -> None:
    """Keep the input at which a process hung or crashed."""
    from readers import READERS
    from trial import keep

    reader = READERS[task.reader]
    code = task.process.exitcode
    what = "hang" if code == -signal.SIGKILL else f"process ended with {code}"
    path = folder / f"input{reader.suffix}"
    data = path.read_bytes() if path.is_file() else b""
    keep(findings, reader, data, what, f"{task.engine}, input {task.counters[0]}")
    task.counters[0] += 1
    task.counters[2] += 1


def page(work_done: Sequence[Task], command: str) -> str:
    """The table of all readers."""
    from readers import READERS
    from side_by_side import processor, table

    rows = []
    for name in READERS:
        mine = [task for task in work_done if task.reader == name]
        if not mine:
            continue
        seconds = sum(task.seconds for task in mine)
        by_engine = [sum(task.counters[0] for task in mine if task.engine == engine) for engine in ENGINES]
        accepted, found = (sum(task.counters[i] for task in mine) for i in (1, 2))
        inputs = sum(by_engine)
        numbers = [inputs, by_engine[1], accepted, inputs - accepted - found, found, round(seconds)]
        rows.append([name, *(f"{number:,}" for number in numbers)])
    header = ["reader", "inputs", "of them guided", "accepted", "refused in words", "findings", "seconds"]
    return f"Command: `{command}`\n\n{processor()}.\n\n{table(header, rows)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=10_000_000, help="of all readers together (10_000_000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="a reader, may be repeated")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time (1)")
    parser.add_argument("--findings", type=Path, default=Path("fuzz_findings"), help="folder (fuzz_findings)")
    options = parser.parse_args()
    sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]
    from readers import READERS

    chosen = [READERS[name] for name in options.only or READERS]
    guided = GUIDED if importlib.util.find_spec("atheris") else 0.0
    waiting = tasks(chosen, options.inputs, guided)
    options.findings.mkdir(parents=True, exist_ok=True)
    log = options.findings / "done.jsonl"
    done = take_up(waiting, log, options.seed)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        running: list[tuple[Task, Path, float]] = []
        while waiting or running:
            while waiting and len(running) < options.jobs:
                running.append((waiting.pop(0), Path(folder) / str(len(waiting)), time.monotonic()))
            time.sleep(0.2)
            for item in list(running):
                task, place, start = item
                if look_after(task, options.seed, place, options.findings):
                    running.remove(item)
                    done.append(task)
                    shutil.rmtree(place)
                    task.seconds = time.monotonic() - start
                    put_down(task, log, options.seed)
                    print(f"{task.reader}, {task.engine}: {task.counters[0]:,} inputs, {task.counters[2]:,} findings, "
                          f"{task.seconds:.0f} s", flush=True)  # fmt: skip
    print(page(done, " ".join(["python benchmarks/fuzz/run.py", *sys.argv[1:]])))
    sys.exit(any(task.counters[2] for task in done))


if __name__ == "__main__":
    main()

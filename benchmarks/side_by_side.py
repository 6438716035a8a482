"""Timing several ways to do one thing in one process, and writing the table.

The candidates take turns, in a new random order each round, so that a machine that slows down slows all of them;
ratios are taken within a round, and their median is what counts.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from cmgems.files import write_text
from cmgems.progress import progress

Seconds = dict[str, list[float]]
ROUNDS = 11
ROOT = Path(__file__).resolve().parents[1]


def arguments(description: str, page: str) -> argparse.ArgumentParser:
    """The options that the benchmarks share.

    Args:
        description: Of the script.
        page: Name of its page in docs/results.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds ({ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only to see that it runs")
    parser.add_argument("--output", type=Path, help=f"page to write [docs/results/{page}; none if --quick]")
    parser.set_defaults(page=page)
    return parser


def write_page(options: argparse.Namespace, text: str) -> None:
    """Print a page and write it to where ``arguments`` says."""
    path = options.output or (None if options.quick else ROOT / "docs" / "results" / options.page)
    if path is not None:
        write_text(path, text)
    print(text)


def environment() -> dict[str, str]:
    """Of processes that are to find this checkout first."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def measure(
    candidates: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    seconds: float = 0.1,
    before: Callable[[str], object] = lambda name: None,
) -> Seconds:
    """Seconds a call of each candidate, one figure a round.

    Args:
        candidates: Each is called without arguments; twice before the rounds, to compile and warm up.
        rounds: How often each has its turn.
        seconds: Length of a turn; a candidate is called as often as fits, at least once.
        before: Called with a candidate's name before its turn, untimed.
    """
    calls = {}
    for name, call in candidates.items():
        call()
        start = time.perf_counter()
        call()
        calls[name] = max(1, round(seconds / max(time.perf_counter() - start, 1e-9)))
    found: Seconds = {name: [] for name in candidates}
    order = list(candidates)
    shuffle = random.Random(0).shuffle
    with progress("measuring", rounds * len(order), "turns") as advance:
        for _ in range(rounds):
            shuffle(order)
            for name in order:
                call, count = candidates[name], calls[name]
                before(name)
                start = time.perf_counter()
                for _ in range(count):
                    call()
                found[name].append((time.perf_counter() - start) / count)
                advance(1)
    return found


def measured_elsewhere(candidates: Mapping[str, Callable[[], float]], rounds: int) -> Seconds:
    """Seconds that each candidate, called once a round in a new random order, says it has measured."""
    found: Seconds = {name: [] for name in candidates}
    order = list(candidates)
    shuffle = random.Random(0).shuffle
    with progress("measuring", rounds * len(order), "turns") as advance:
        for _ in range(rounds):
            shuffle(order)
            for name in order:
                found[name].append(candidates[name]())
                advance(1)
    return found


def ratio(found: Seconds, slow: str, fast: str) -> float:
    """How many times as fast as ``slow`` ``fast`` is: the median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(found[slow], found[fast], strict=True))


def milliseconds(found: Seconds, name: str) -> float:
    """Median time of a call."""
    return 1000 * statistics.median(found[name])


def table(header: list[str], rows: list[list[str]]) -> str:
    """A markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def processor() -> str:
    """The CPU's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    names = [
        line.split(":", 1)[1].strip()
        for line in (info.read_text().splitlines() if info.is_file() else [])
        if line.startswith("model name")
    ]
    return f"{names[0]}, {len(names)} virtual cores" if names else platform.processor() or "unknown CPU"


def report(
    options: argparse.Namespace, title: str, script: str, rounds: int, packages: list[str], *parts: str
) -> None:
    """Write and print a page: title, command, machine, and the parts."""
    given = "" if options.rounds == ROUNDS else f" --rounds {options.rounds}"
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    how = (
        f"Command: `python benchmarks/{script}{given}`\n\n"
        f"{processor()}; Python {platform.python_version()}, {versions}. One thread "
        f"(`torch.set_num_threads(1)`), {rounds} rounds in random order; ratios are medians of the rounds' ratios."
    )
    write_page(options, "\n\n".join([f"# {title}", how, *parts]) + "\n")

"""What the GPU benchmarks share: the device, waiting for it, and a page that is whole after every row.

A GPU works behind the program's back: whoever stops a clock waits for it first. And it is often lent for minutes only:
a page is written anew whenever rows are added, so that a run cut short keeps what it has measured.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from side_by_side import processor, table
from torch._dynamo.utils import counters

from cmgems.files import write_text
from cmgems.training import Compute, ComputeConfig, start_compute


def start(quick: bool) -> Compute:
    """The GPU, bf16 and compiled, set up as a run of ours is; with ``quick`` a CPU will do.

    Exits if there is no GPU.
    """
    on_gpu = torch.cuda.is_available()
    if not on_gpu and not quick:
        sys.exit("error: no GPU: PyTorch sees no CUDA device; run it where there is one, or with --quick")
    return start_compute(ComputeConfig(precision="bf16" if on_gpu else "fp32"), seed=0)


def wait(compute: Compute) -> None:
    """Return when the GPU has done all it was told to do."""
    if compute.device.type == "cuda":
        torch.cuda.synchronize(compute.device)


def compiled_graphs() -> int:
    """Graphs that torch.compile has made in this process."""
    return int(counters["stats"]["unique_graphs"])


def _installed(package: str) -> str:
    """'torch 2.13.0', or nothing."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""


@dataclass
class Page:
    """A page of results with one table.

    Attributes:
        path: Where it is written.
        title: Its heading.
        script: File name of the benchmark.
        compute: Where it runs.
        rounds: Rounds of the measurement, 0 if it has none.
        header: Of the table.
        notes: Sentences above the table.
        rows: Of the table so far.
        failures: What went wrong; the page says so.
    """

    path: Path
    title: str
    script: str
    compute: Compute
    rounds: int
    header: list[str]
    notes: list[str]
    rows: list[list[str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.perf_counter)

    def add(self, rows: list[list[str]]) -> None:
        """Append rows, print them, and write the page."""
        self.rows += rows
        for row in rows:
            print(f"[{time.perf_counter() - self._began:.0f} s]", " | ".join(row), flush=True)
        self._write("**Not finished: rows are missing.**")

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """What fails in here is noted: it costs its own row, not those of the others."""
        try:
            yield
        except Exception as error:  # a compiler's, a kernel's, or the memory's end
            reason = (str(error).strip() or "no message").splitlines()[0][:200]
            self.fail(f"{what}: {type(error).__name__}: {reason}")

    def fail(self, what: str) -> None:
        """Note what went wrong."""
        self.failures.append(what)
        print(f"failed: {what}", file=sys.stderr, flush=True)

    def finish(self) -> None:
        """Write and print the page; exits with 1 if something went wrong."""
        print(self._write(""))
        sys.exit(1 if self.failures else 0)

    def _write(self, state: str) -> str:
        versions = ", ".join(filter(None, map(_installed, ("torch", "transformers"))))
        machine = f"{self.compute.describe()}; {processor()}; Python {platform.python_version()}, {versions}"
        failed = "".join(f"\n- **failed:** {what}" for what in self.failures)
        rounds = f" {self.rounds} rounds in random order; ratios are medians of the rounds' ratios."
        parts = [
            f"# {self.title}",
            f"Command: `python benchmarks/{self.script}`",
            f"{machine}, CUDA {torch.version.cuda or 'none'}." + rounds * bool(self.rounds),
            *self.notes,
            failed.strip(),
            state,
            table(self.header, self.rows),
        ]
        text = "\n\n".join(part for part in parts if part) + "\n"
        write_text(self.path, text)
        return text

"""What the parts share: their options, the GPU, and where results go."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from results import append

from cmgems.training import Compute, ComputeConfig, start_compute

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Setting:
    """Where a part runs.

    Attributes:
        options: As given on its command line.
        compute: The GPU, bf16 and compiled, as a run of ours has it.
    """

    options: argparse.Namespace
    compute: Compute

    def pick(self, full: T, quick: T) -> T:
        """``full``, or ``quick`` where a run is only to be seen to work."""
        return quick if self.options.quick else full

    @property
    def store(self) -> Path:
        return Path(self.options.prepared / "store")

    @property
    def data(self) -> list[str]:
        """Overrides that point a pretraining run at the prepared genome."""
        return [f"data.store={self.store}", f"masking.table={self.options.prepared / 'pmi.safetensors'}"]

    @property
    def work(self) -> Path:
        """Folder for runs."""
        return Path(self.options.work)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that every part takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--prepared", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    return parser


def start(parser: argparse.ArgumentParser) -> Setting:
    """The part's options and the GPU, set up as a run of ours does it; exits if there is none."""
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("error: no GPU: PyTorch sees no CUDA device")
    return Setting(options, start_compute(ComputeConfig(precision="bf16", packing="off"), seed=0))


def say(what: str, **fields: Any) -> None:
    """Print a result and append it to the results."""
    line = {"run": int(os.environ.get("RUN", 0)), "part": os.environ.get("PART", ""), "what": what, **fields}
    print(line, flush=True)
    if "RESULTS" in os.environ:
        append(Path(os.environ["RESULTS"]), line)


def cmgems(*words: str | Path) -> list[str]:
    """The command line of this checkout's `cmgems`."""
    return [sys.executable, str(ROOT / "cli.py"), *map(str, words)]


def cached_files() -> int:
    """Files in Triton's cache: as many after compiling as before mean that everything was found there."""
    return sum(path.is_file() for path in Path(os.environ["TRITON_CACHE_DIR"]).rglob("*"))

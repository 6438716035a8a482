"""What ten steady steps of a pretraining run ask of a GPU: kernels, copies, waits, and how many graphs were compiled.

python benchmarks/gpu/asked.py [logo dnabert ...] [--set KEY=VALUE ...]

It needs `prepared`, and a machine where CUDA is counted: stubs of its libraries, whose module `counts` is on the path.
There is no GPU then, so it shows neither numbers nor speed. The steps that compile come before the ten, and no
validation or checkpoint lies among them; how many graphs there are is asked after the last validation.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from counts import Counts, counted
from torch._dynamo.utils import counters

import cmgems
from cmgems import training

sys.path.insert(0, str(Path(__file__).parents[1]))
from side_by_side import table

PREPARED = Path(__file__).parent / "prepared"
WARM_UP, STEPS = 8, 10
CONFIGS = ("logo", "dnabert", "dnabert2", "nt_v2_50m")
COLUMNS: dict[str, Callable[[Counts], int]] = {
    "kernels": lambda asked: sum(asked[kind] for kind in ("launches", "triton", "gemms", "cudnn")),
    "CUDA graphs": lambda asked: asked["graphs"],
    "copies in, pinned": lambda asked: asked["h2d_pinned"],
    "copies in, pageable": lambda asked: asked["h2d_pageable"],
    "copies out": lambda asked: asked["d2h"],
    "bytes out": lambda asked: asked["d2h_bytes"],
    "waits for all work": lambda asked: asked["stream_syncs"] + asked["device_syncs"],
    "waits for the step before": lambda asked: asked["event_syncs"],
}


def ten_steps(config: str, overrides: dict[str, object], folder: Path) -> Counts:
    """Run ``config`` in ``folder`` and count from the start of a step to that of the tenth after it."""
    real, taken, counting = training.train_step, 0, ExitStack()
    found: list[Counts] = []

    def train_step(*arguments: Any) -> Any:
        nonlocal taken
        if taken == WARM_UP:
            found.append(counting.enter_context(counted()))
        elif taken == WARM_UP + STEPS:
            counting.close()
        taken += 1
        return real(*arguments)

    training.train_step = train_step  # the recipe takes it from there
    try:
        cmgems.run("pretrain", config, out=folder, overrides=overrides)
    finally:
        training.train_step = real
    return found[0]


def settings(config: str) -> dict[str, object]:
    """Where the data is, and the masking: that of the config for 6-mers, spans for other tokens."""
    named: dict[str, object] = {
        "data.store": str(PREPARED / "store"),
        "steps": WARM_UP + STEPS + 1,
        "log.every": 5,
        "validation.sequences": 250,
    }
    if config in ("logo", "dnabert"):
        return named | {"masking.table": str(PREPARED / "pmi.safetensors")}
    if config == "dnabert2":
        named["tokenizer.file"] = str(PREPARED / "tokenizer.json")
    return named | {"masking.curriculum": "random_span"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="*", help="of pretrain; logo dnabert dnabert2 nt_v2_50m if left out")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    overrides: dict[str, object] = dict(word.split("=", 1) for word in options.set)
    rows = []
    for config in options.configs or CONFIGS:
        torch.compiler.reset()
        counters.clear()
        with tempfile.TemporaryDirectory() as folder:
            asked = ten_steps(config, settings(config) | overrides, Path(folder) / "run")
        graphs, breaks = counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())
        rows.append([config, str(graphs), str(breaks), *(str(count(asked)) for count in COLUMNS.values())])
    print(table(["config", "graphs", "breaks", *COLUMNS], rows))


if __name__ == "__main__":
    main()

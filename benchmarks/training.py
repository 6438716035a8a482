"""Training steps of our models against Hugging Face's: same weights, same batches, same dropout, full step with AdamW.

    python benchmarks/training.py

Every turn of a side is a process of its own, so that each runs as its users run it: ours with its settings of the
C library's memory, Hugging Face's without. A turn builds the model, takes a step to warm up and times the next ones.
"reference lengths" are windows as DNABERT and GeneMask cut them, half of 510 bp and half uniform from 5 bp.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from side_by_side import Seconds, arguments, measured_elsewhere, milliseconds, ratio, report, table

from cmgems.distributed import ALONE
from cmgems.masking import MaskedBatch
from cmgems.models import MODELS, BertConfig
from cmgems.training import Compute, ComputeConfig, OptimConfig, build_optimizer, start_compute, train_step
from cmgems.training.step import MaskedLMLoss

# Preset, layers, sequences in a step, timed steps of a turn.
SIZES = {"logo": (2, 10, 3), "dnabert": (12, 10, 1)}
LENGTHS = ("512 tokens", "reference lengths")
SIDES = ("cmgems, eager", "Hugging Face, eager", "Hugging Face, compiled")
MASKED_SHARE = 0.15
OPTIM = OptimConfig(lr=1e-4, warmup=0)


def batches(rows: int, lengths: str, count: int) -> list[MaskedBatch]:
    """Random k-mers with 15 % of them masked, padded to 512, the same on every side."""
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        bases = np.where(rng.random(rows) < 0.5, 510, rng.integers(5, 510, rows))
        sizes = np.full(rows, 512) if lengths == LENGTHS[0] else np.maximum(bases - 5, 1) + 2
        attention_BS = np.arange(512) < sizes[:, None]
        ids_BS = np.where(attention_BS, rng.integers(5, 4101, attention_BS.shape), 0).astype(np.int32)
        real = np.flatnonzero(attention_BS)
        positions_M = np.sort(rng.choice(real, round(MASKED_SHARE * len(real)), replace=False))
        labels_M = rng.integers(5, 4101, len(positions_M))
        made.append(MaskedBatch(ids_BS, attention_BS, positions_M, labels_M, "uniform"))
    return made


def our_step(config: BertConfig, compute: Compute) -> Callable[[MaskedBatch], object]:
    """A training step of ours."""
    model = config.masked_lm().to(compute.device)
    loss, optimizer = compute.compile(MaskedLMLoss(model)), build_optimizer(model, OPTIM)
    return lambda batch: train_step(model, loss, [batch], optimizer, OPTIM, OPTIM.lr, compute, ALONE)


def their_step(config: BertConfig, compute: Compute) -> Callable[[MaskedBatch], torch.Tensor]:
    """A training step of Hugging Face's model from the same weights; returns the loss, which nobody waited for."""
    from transformers import BertConfig as TheirConfig
    from transformers import BertForMaskedLM

    ours, info = config.masked_lm(), TheirConfig(**config.huggingface_config("masked_lm"))
    model = BertForMaskedLM._from_config(info, attn_implementation="sdpa")
    model.load_state_dict(config.to_huggingface(ours.state_dict()), strict=False)
    model.to(compute.device).train()
    called: Any = torch.compile(model, dynamic=False) if compute.compiled else model
    optimizer = torch.optim.AdamW(
        model.parameters(), OPTIM.lr, (OPTIM.beta1, OPTIM.beta2), OPTIM.eps, fused=True
    )

    def step(batch: MaskedBatch) -> torch.Tensor:
        labels_BS = np.full(batch.ids_BS.shape, -100)
        labels_BS.reshape(-1)[batch.positions_M] = batch.labels_M
        ids_BS = compute.move(batch.ids_BS).long()
        # Without padding no mask, as ours: compiled it cannot see for itself that a mask hides nothing.
        full = batch.attention_BS.all()
        attention_BS = None if full else compute.move(batch.attention_BS).long()
        with compute.autocast():
            loss = called(ids_BS, attention_mask=attention_BS, labels=compute.move(labels_BS)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), OPTIM.clip)
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return step


def turn(name: str, layers: int, rows: int, steps: int, lengths: str, side: str) -> None:
    """Print the seconds of a step: what a process of its own does."""
    config = MODELS.get(name)
    assert isinstance(config, BertConfig)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = replace(config, layers=layers)
    if side.startswith("cmgems"):
        settings = ComputeConfig(device="cpu", precision="fp32", compile="off", threads=1)
        step = our_step(config, start_compute(settings, seed=0))
    else:  # start_compute() would change how the C library keeps memory
        step = their_step(config, Compute(torch.device("cpu"), False, side.endswith("compiled")))
    first, *timed = batches(rows, lengths, steps + 1)
    step(first)
    began = time.perf_counter()
    for batch in timed:
        step(batch)
    print(json.dumps((time.perf_counter() - began) / steps))


def seconds_of(*task: object) -> float:
    command = [sys.executable, __file__, "--turn", json.dumps(task)]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True, text=True
    )
    return float(json.loads(done.stdout))


def row_of(found: Seconds, name: str, rows: int, layers: int, lengths: str) -> list[str]:
    ours, eager, compiled = SIDES
    better = min((eager, compiled), key=lambda side: milliseconds(found, side))
    return [
        f"`{name}`, {layers} layers, {rows} sequences",
        lengths,
        *(f"{milliseconds(found, side) / 1000:.2f}" for side in SIDES),
        *(f"{ratio(found, side, ours):.2f}" for side in (eager, compiled, better)),
    ]


def main() -> None:
    parser = arguments(__doc__ or "", "training.md")
    parser.add_argument("--turn", help="for the processes of a turn")
    parser.add_argument("--models", nargs="+", default=list(SIZES), choices=list(SIZES))
    options = parser.parse_args()
    if options.turn:
        turn(*json.loads(options.turn))
        return
    rounds = 1 if options.quick else options.rounds
    rows = []
    for name, lengths in product(options.models, LENGTHS):
        layers, count, steps = (1, 1, 1) if options.quick else SIZES[name]
        sides = SIDES[:2] * options.quick or SIDES
        tasks = {side: (name, layers, count, steps, lengths, side) for side in sides}
        found = measured_elsewhere(
            {side: lambda t=task: seconds_of(*t) for side, task in tasks.items()}, rounds
        )
        if options.quick:  # compiling takes minutes
            found[SIDES[2]] = found[SIDES[1]]
        rows.append(row_of(found, name, count, layers, lengths))
    header = [
        "model",
        "lengths",
        *(f"{side}, s" for side in SIDES),
        "times eager",
        "times compiled",
        "times better",
    ]
    notes = (
        "Seconds of a step in fp32 with clipping and fused AdamW. Same weights, batches and dropout (LOGO 0, DNABERT "
        "0.1 and 0.1 of the attention) on both sides. The last columns: how many times as fast as Hugging Face ours is."
    )
    report(
        options,
        "Training",
        "training.py",
        rounds,
        ["torch", "transformers"],
        notes,
        table(header, rows),
    )


if __name__ == "__main__":
    main()

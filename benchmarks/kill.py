"""Kill a pretraining run at random moments, start it again with the same command, and compare with one left alone.

python benchmarks/kill.py --kills 100 --output docs/results/kills.md

Every start draws a moment: while it starts, between two steps, or while a checkpoint is being written; most get
SIGKILL then, some SIGTERM. Once a run has come to its end, its log (losses, gradient norms, shares of masked tokens,
validation, the curriculum's switch), weights, optimizer moments and random states must equal the undisturbed run's to
the last bit. Every second run writes its checkpoints in the background.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import environment, processor, table

from cmgems.files import PARTIAL_PREFIX, write_text
from cmgems.genome import GenomeStore
from cmgems.pmi import PMITable
from cmgems.progress import progress
from cmgems.runs import Checkpoints, read_metric_log

STEPS = 40
# What a clock says differs from run to run; everything else must not.
CLOCK = {"seconds", "tokens_per_second", "wait_share", "peak_memory_gb", "mfu"}
MOMENTS = {"starting": 0.15, "in a step": 0.4, "saving": 0.45}
TERM_SHARE = 0.2


@dataclass
class Count:
    """What happened.

    Attributes:
        killed: SIGKILLs, by what was going on.
        ended: SIGTERMs, by exit code.
        runs: Runs that came to their end.
        starts: Processes started for them.
        damaged: Checkpoints that a resume found damaged.
        lines: Log lines compared.
        differing: Runs whose log, weights, or training state differed.
    """

    killed: Counter[str] = field(default_factory=Counter)
    ended: Counter[int] = field(default_factory=Counter)
    runs: int = 0
    starts: int = 0
    damaged: int = 0
    lines: int = 0
    differing: Counter[str] = field(default_factory=Counter)


def prepare(folder: Path) -> None:
    """A random genome of 40 kbp, its store and its PMI table."""
    bases = np.random.default_rng(0).choice(list("ACGT"), 40_000)
    (folder / "genome.fa").write_text(f">contig\n{''.join(bases)}\n")
    store = GenomeStore.build([folder / "genome.fa"], folder / "store")
    PMITable.build(store).save(folder / "pmi.safetensors")


def start(folder: Path, out: Path, background: bool) -> subprocess.Popen[str]:
    """The run's command: always the same for the same ``out``."""
    overrides = [
        f"data.store={folder / 'store'}", f"masking.table={folder / 'pmi.safetensors'}", "data.split.block_bp=2000",
        f"steps={STEPS}", "checkpoint.every=2", "validation.every=5", "masking.curriculum.threshold=50",
        "compute.device=cpu", "compute.threads=1", f"checkpoint.background={str(background).lower()}",
    ]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "cmgems", "run", "pretrain", "-c", "tiny", *overrides, "-o", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment(), "OMP_NUM_THREADS": "1"},
    )


def size(path: Path) -> int:
    """Bytes of a file, 0 if there is none."""
    return path.stat().st_size if path.is_file() else 0


def saving(out: Path) -> bool:
    """Whether a half-written checkpoint is there."""
    return any((out / "checkpoints").glob(f"{PARTIAL_PREFIX}*"))


def interrupt(
    process: subprocess.Popen[str], out: Path, moment: str, draw: random.Random, pace: float
) -> bool:
    """Wait for the moment and send the signal; False if the run came to its end before.

    Args:
        process: The run.
        out: Its folder.
        moment: A key of MOMENTS.
        draw: For the delay after what marks the moment.
        pace: Seconds of the undisturbed run from its first step to its end.
    """
    logged = size(out / "metrics.jsonl")
    reached = {
        "starting": lambda: True,
        "in a step": lambda: size(out / "metrics.jsonl") > logged,
        "saving": lambda: saving(out),
    }[moment]
    if moment == "saving":  # not always the first one
        time.sleep(draw.uniform(0, 2 * pace))
    while not reached():
        if process.poll() is not None:
            return False
        time.sleep(0.0002)
    time.sleep(draw.uniform(0, {"starting": 5.0, "in a step": pace / 2, "saving": 0.004}[moment]))
    if process.poll() is not None:
        return False
    process.send_signal(signal.SIGTERM if draw.random() < TERM_SHARE else signal.SIGKILL)
    return True


def outcome(out: Path) -> dict[str, Any]:
    """What must be equal: the log without clocks, and the bytes of the last checkpoint's files and the final model."""
    records = read_metric_log(out / "metrics.jsonl")
    last = Checkpoints(out / "checkpoints").path(STEPS)
    training = json.loads((last / "training.json").read_text())
    training["state"].pop("seconds")
    return {
        "log": [{key: value for key, value in record.items() if key not in CLOCK} for record in records],
        "weights": (out / "final" / "model.safetensors").read_bytes(),
        "optimizer and random states": (last / "training.safetensors").read_bytes(),
        "data position and curriculum": training,
    }


def disturb(folder: Path, kills: int, seed: int) -> Count:
    """Runs until ``kills`` SIGKILLs have been sent and the last run has come to its end."""
    count, draw = Count(), random.Random(seed)
    undisturbed = folder / "undisturbed"
    if start(folder, undisturbed, background=False).wait():
        raise RuntimeError("the undisturbed run failed")
    expected = outcome(undisturbed)
    began = (undisturbed / "config.yaml").stat().st_mtime
    pace = (undisturbed / "final").stat().st_mtime - began
    with progress("killing", kills, "kills") as advance:
        while count.killed.total() < kills:
            out = folder / f"run_{count.runs}"
            finished = False
            while not finished:
                before = count.killed.total()
                finished = one_start(folder, out, draw, pace, count, before < kills)
                if count.killed.total() > before:
                    advance(1)
            count.runs += 1
            found = outcome(out)
            count.lines += len(found["log"])
            count.differing.update(name for name in expected if found[name] != expected[name])
    return count


def one_start(
    folder: Path, out: Path, draw: random.Random, pace: float, count: Count, disturbed: bool
) -> bool:
    """Start the run once, interrupt it if ``disturbed``; True if it has come to its end."""
    logged = size(out / "metrics.jsonl")
    process = start(folder, out, background=count.runs % 2 == 1)
    count.starts += 1
    moment = draw.choices(list(MOMENTS), list(MOMENTS.values()))[0]
    interrupted = disturbed and interrupt(process, out, moment, draw, pace)
    said = process.communicate(timeout=600)[1]
    count.damaged += said.count("skipping damaged checkpoint")
    if process.returncode == 0:
        return True
    if not interrupted:
        raise RuntimeError(f"the run failed by itself: {said}")
    if process.returncode == -signal.SIGKILL:
        where = (
            "saving" if saving(out) else "in a step" if size(out / "metrics.jsonl") > logged else "starting"
        )
        count.killed[where] += 1
    else:
        count.ended[process.returncode] += 1
    return False


def page(count: Count, command: str) -> str:
    """The results as a page."""
    ended = sum(count.ended.values())
    rows = [
        ["SIGKILLs", str(count.killed.total())],
        *([f"... {where}", str(number)] for where, number in sorted(count.killed.items())),
        ["SIGTERMs", str(ended)],
        ["... saved the step and exited with 143", str(count.ended[143])],
        ["... ended before the first step", str(count.ended[-signal.SIGTERM])],
        ["runs that came to their end", str(count.runs)],
        ["processes started for them", str(count.starts)],
        ["checkpoints found damaged", str(count.damaged)],
        ["log lines compared", str(count.lines)],
        *(
            [f"runs with another {name}", str(count.differing[name])]
            for name in ("log", "weights", "optimizer and random states", "data position and curriculum")
        ),
    ]
    text = (
        f"Command: `{command}`\n\n{processor()}. Runs of {STEPS} steps of a tiny LOGO with a checkpoint every 2 steps, "
        "every second run with `checkpoint.background=true`; each is started again with the same command until it "
        "comes to its end, then compared to the last bit with a run left alone."
    )
    return f"# Killing runs\n\n{text}\n\n{table(['what', 'count'], rows)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100, help="SIGKILLs to send (100)")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments (0)")
    parser.add_argument("--output", type=Path, help="where to write the table [default: only print it]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        prepare(Path(scratch))
        count = disturb(Path(scratch), options.kills, options.seed)
    text = page(count, f"python benchmarks/kill.py --kills {options.kills} --seed {options.seed}")
    if options.output is not None:
        write_text(options.output, text)
    print(text)
    if count.differing or count.damaged:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

"""Kill a run at random moments, start it again with the same command, and compare with one left alone.

python benchmarks/kill.py --recipe pretrain --kills 100 --output docs/results/kills.md

Every start draws a moment: while it starts, between two steps, or while a checkpoint is being written; most get
SIGKILL then, some SIGTERM. Once a run has come to its end, all that it leaves must equal the undisturbed run's to the
last bit: its log (losses, gradient norms, shares of masked tokens, validation, the curriculum's switch), weights,
optimizer moments, random states and scores. Every second run writes its checkpoints in the background. `evaluate` is
two fine-tunings on each of two sets, and a table.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import environment, processor, table

from cmgems.data.label_files import write_rows
from cmgems.files import PARTIAL_PREFIX, write_text
from cmgems.genome import GenomeStore
from cmgems.pmi import PMITable
from cmgems.progress import progress
from cmgems.runs import read_metric_log

STEPS = 40
# What a clock says differs from run to run; everything else must not.
CLOCK = {"seconds", "tokens_per_second", "wait_share", "peak_memory_gb", "mfu"}
MOMENTS = {"starting": 0.15, "in a step": 0.4, "saving": 0.45}
TERM_SHARE = 0.2
KINDS = {
    "log": "log",
    "weights": "weights",
    "training state": "optimizer or random states",
    "place": "place in the data or curriculum",
    "scores": "scores",
}


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
    """A random genome of 40 kbp, its store and its PMI table, and two sets of labelled sequences."""
    rng = np.random.default_rng(0)
    bases = rng.choice(list("ACGT"), 40_000)
    (folder / "genome.fa").write_text(f">contig\n{''.join(bases)}\n")
    store = GenomeStore.build([folder / "genome.fa"], folder / "store")
    PMITable.build(store).save(folder / "pmi.safetensors")
    for name in ("a", "b"):
        (folder / "sets" / name).mkdir(parents=True)
        for split in ("train", "dev", "test"):
            rows = [("".join(rng.choice(list("ACGT"), 60)), str(row % 2)) for row in range(80)]
            write_rows(folder / "sets" / name / f"{split}.csv", rows)


def start(recipe: str, folder: Path, out: Path, background: bool) -> subprocess.Popen[str]:
    """The run's command: always the same for the same ``out``."""
    of_recipe = {
        "pretrain": [
            f"data.store={folder / 'store'}", f"masking.table={folder / 'pmi.safetensors'}", f"steps={STEPS}",
            "data.split.block_bp=2000", "validation.every=5", "masking.curriculum.threshold=50",
        ],
        "finetune": [f"data.dir={folder / 'sets' / 'a'}", f"max_steps={STEPS}", "epochs=4", "dropout=0.1"],
        "evaluate": [
            f"data.dir={folder / 'sets'}", "seeds=2", "keep_models=true", "log.every=1", "finetune.dropout=0.1",
        ],
    }  # fmt: skip
    section = "finetune.checkpoint" if recipe == "evaluate" else "checkpoint"
    overrides = [
        *of_recipe[recipe], "compute.device=cpu", "compute.threads=1", f"{section}.every=2",
        f"{section}.background={str(background).lower()}",
    ]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "cmgems", "run", recipe, "-c", "tiny", *overrides, "-o", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment(), "OMP_NUM_THREADS": "1"},
    )


def logged(out: Path) -> int:
    """Bytes of the logs of a run and of the runs below it."""
    return sum(path.stat().st_size for path in below(out) if path.name == "metrics.jsonl")


def saving(out: Path) -> bool:
    """Whether a half-written checkpoint is there."""
    return any(
        path.parent.name == "checkpoints" and path.name.startswith(PARTIAL_PREFIX) for path in below(out)
    )


def below(out: Path) -> Iterator[Path]:
    """All files and folders of a run that is at work: unlike ``rglob``, this bears with those that vanish."""
    for folder, folders, files in os.walk(out):
        yield from (Path(folder) / name for name in [*folders, *files])


def interrupt(
    process: subprocess.Popen[str], out: Path, moment: str, draw: random.Random, pace: float
) -> bool:
    """Wait for the moment and send the signal; False if the run came to its end before.

    Args:
        process: The run.
        out: Its folder.
        moment: A key of MOMENTS.
        draw: For the delay after what marks the moment.
        pace: Seconds of the undisturbed run's steps.
    """
    before = logged(out)
    reached = {
        "starting": lambda: True,
        "in a step": lambda: logged(out) > before,
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
    """What must be equal: the logs without clocks, and the bytes of all else that the run leaves, by kind."""
    found: dict[str, Any] = {kind: {} for kind in KINDS}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if path.name == "metrics.jsonl":
            records = [{k: v for k, v in r.items() if k not in CLOCK} for r in read_metric_log(path)]
            found["log"][name] = records
        elif path.name == "training.json":
            training = json.loads(path.read_text())
            training.get("state", {}).pop("seconds", None)
            found["place"][name] = training
        elif path.name in ("summary.json", "results.json"):
            values = json.loads(path.read_text())
            values.pop("tokens_per_second", None)
            found["scores"][name] = values
        elif path.suffix == ".safetensors":
            kind = "weights" if path.name == "model.safetensors" else "training state"
            found[kind][name] = path.read_bytes()
    return found


def disturb(recipe: str, folder: Path, kills: int, seed: int) -> Count:
    """Runs until ``kills`` SIGKILLs have been sent and the last run has come to its end."""
    count, draw = Count(), random.Random(seed)
    undisturbed = folder / "undisturbed"
    if start(recipe, folder, undisturbed, background=False).wait():
        raise RuntimeError("the undisturbed run failed")
    expected = outcome(undisturbed)
    # Of its steps alone: before them a run may compile its kernels and measure baselines, once.
    logs = [read_metric_log(path) for path in undisturbed.rglob("metrics.jsonl")]
    pace = sum(record.get("seconds", 0.0) for log in logs for record in log)
    with progress("killing", kills, "kills") as advance:
        while count.killed.total() < kills:
            out = folder / f"run_{count.runs}"
            finished = False
            while not finished:
                before = count.killed.total()
                finished = one_start(recipe, folder, out, draw, pace, count, before < kills)
                if count.killed.total() > before:
                    advance(1)
            count.runs += 1
            found = outcome(out)
            count.lines += sum(map(len, found["log"].values()))
            count.differing.update(kind for kind in KINDS if found[kind] != expected[kind])
            shutil.rmtree(out)
    return count


def one_start(
    recipe: str, folder: Path, out: Path, draw: random.Random, pace: float, count: Count, disturbed: bool
) -> bool:
    """Start the run once, interrupt it if ``disturbed``; True if it has come to its end."""
    written = logged(out)
    process = start(recipe, folder, out, background=count.runs % 2 == 1)
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
        where = "saving" if saving(out) else "in a step" if logged(out) > written else "starting"
        count.killed[where] += 1
    else:
        count.ended[process.returncode] += 1
    return False


def section(recipe: str, count: Count, command: str) -> str:
    """The results of a recipe as a section of the page."""
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
        *([f"runs with another {name}", str(count.differing[kind])] for kind, name in KINDS.items()),
    ]
    what = f"Runs of {STEPS} steps" if recipe != "evaluate" else "Four fine-tunings of 10 steps, on two sets,"
    text = (
        f"Command: `{command}`\n\n{processor()}. {what} of a tiny LOGO with a checkpoint every 2 steps, every second "
        "run with `checkpoint.background=true`; each is started again with the same command until it comes to its end, "
        "then compared to the last bit with a run left alone."
    )
    return f"## {recipe}\n\n{text}\n\n{table(['what', 'count'], rows)}\n"


def with_section(page: str, recipe: str, text: str) -> str:
    """A page with the section of ``recipe`` replaced, or added at its end."""
    head, *sections = re.split(r"^(?=## )", page or "# Killing runs\n\n", flags=re.MULTILINE)
    others = [part.rstrip() + "\n" for part in sections if not part.startswith(f"## {recipe}\n")]
    return head + "\n".join([*others, text])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", choices=("pretrain", "finetune", "evaluate"), default="pretrain")
    parser.add_argument("--kills", type=int, default=100, help="SIGKILLs to send (100)")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments (0)")
    parser.add_argument("--output", type=Path, help="page to write the table into [default: only print it]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        prepare(Path(scratch))
        count = disturb(options.recipe, Path(scratch), options.kills, options.seed)
    command = (
        f"python benchmarks/kill.py --recipe {options.recipe} --kills {options.kills} --seed {options.seed}"
    )
    text = section(options.recipe, count, command)
    if options.output is not None:
        before = options.output.read_text() if options.output.is_file() else ""
        write_text(options.output, with_section(before, options.recipe, text))
    print(text)
    if count.differing or count.damaged:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

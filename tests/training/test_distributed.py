"""Several processes: the same batches, the same gradients, and any number of them goes on from any other.

Starting processes takes seconds, so a test asserts much at once. ``ranks_worker.py`` is what the ranks of the first
one do.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from cmgems.cli.main import run
from cmgems.config import Component
from cmgems.genome import Split
from cmgems.masking import Masker, MaskingConfig
from cmgems.models import load_model
from cmgems.pretraining import GenomeData, PretrainingData
from cmgems.runs import read_metric_log
from cmgems.tokenization import TOKENIZERS

WORKER = Path(__file__).with_name("ranks_worker.py")
# What sums of float32 taken in another order, and AdamW's division by small numbers, make of a few steps.
NOISE, WEIGHT_NOISE = 1e-5, 1e-4


def launch(*command: str, processes: int = 2, restarts: int = 0) -> subprocess.CompletedProcess[str]:
    """Plain torchrun."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    options = [f"--nproc-per-node={processes}", f"--max-restarts={restarts}"]
    return subprocess.run([*torchrun, *options, *command], capture_output=True, text=True, timeout=240)


def pretrain(small_genome, out: Path, *overrides: str) -> list[str]:
    # Three validation batches: two ranks do not share them evenly.
    return [
        "run", "pretrain", "--config", "tiny", *small_genome.overrides(), "data.split.block_bp=2000", "steps=6",
        "validation.every=3", "validation.sequences=12", "checkpoint.every=3", "compute.threads=1",
        "data.reverse_complement=0.5", "compute.device=cpu", "compute.precision=fp32", *overrides, "-o", str(out),
    ]  # fmt: skip


def losses(out):
    records = read_metric_log(out / "metrics.jsonl")
    return [r[name] for r in records for name in ("loss", "validation_loss") if name in r]


def assert_same_run(out: Path, expected: Path) -> None:
    assert losses(out) == pytest.approx(losses(expected), abs=NOISE)
    ours, theirs = (load_model(folder / "final").model.state_dict() for folder in (out, expected))
    assert ours.keys() == theirs.keys()
    assert all(torch.allclose(ours[name], theirs[name], atol=WEIGHT_NOISE) for name in theirs)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_replicas_and_shards_train_like_one_process_and_resume_each_other(tmp_path, processes):
    done = launch(str(WORKER), str(tmp_path), processes=processes)
    assert done.returncode == 0, done.stderr[-3000:]
    # Nothing else; the ranks write when they like, also into one line.
    said = re.sub(r"\[Gloo\] Rank \d .*? ranks is : \d", "", done.stdout)  # gloo's own, in torch 2.9
    assert "".join(said.split()) == "fine" * processes


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_share_the_stream_of_one(small_genome, world):
    """Rank r takes rows r, r + world, ... of the same batches, under the same masks."""
    tokenizer = TOKENIZERS.get("kmer6")
    config = GenomeData(
        store=small_genome.store,
        sampler=Component("tiled", {"max_bp": 100}),
        split=Split(fraction=0.1, block_bp=2000),
    )

    def batches(rank, size):
        masking = MaskingConfig(Component("cm_gems", {}), small_genome.table)
        data = PretrainingData(config, tokenizer, 512, seed=3)
        stream = data.stream(Masker(masking, tokenizer, steps=50, seed=3), 6, rank, size)
        stream.reset()
        return [next(stream) for _ in range(12)]

    whole = batches(0, 1)
    for rank in range(world):
        for mine, all_rows in zip(batches(rank, world), whole, strict=True):
            rows = slice(rank, None, world)
            assert np.array_equal(mine.ids_BS, all_rows.ids_BS[rows])
            masked_BS = np.zeros(all_rows.ids_BS.shape, np.int64)
            masked_BS.reshape(-1)[all_rows.positions_M] = all_rows.labels_M
            mine_BS = np.zeros(mine.ids_BS.shape, np.int64)
            mine_BS.reshape(-1)[mine.positions_M] = mine.labels_M
            assert np.array_equal(mine_BS, masked_BS[rows])


# Replicas and shards below are compared with one process too.
@pytest.mark.slow
def test_two_processes_train_like_one(small_genome, tmp_path):
    """The same global batches and masks; losses equal to the noise of float32 sums taken in another order."""
    assert run(pretrain(small_genome, tmp_path / "1")) == 0
    launched = subprocess.run(
        [sys.executable, "-m", "cmgems", *pretrain(small_genome, tmp_path / "2"), "--nproc-per-node", "2"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert launched.returncode == 0, launched.stderr[-3000:]
    assert launched.stdout.count("pretrain: ") == 1
    assert "OMP_NUM_THREADS" not in launched.stderr  # nothing of torchrun's own
    assert_same_run(tmp_path / "2", tmp_path / "1")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classification", "token_classification"])
def test_two_processes_fine_tune_like_one_and_go_on(small_labelled, tmp_path, task):
    """Batches of 7 leave one row for the last of an epoch: the second process has none there."""
    data = small_labelled
    if task == "token_classification":
        data = tmp_path / "labels"
        data.mkdir()
        for name in ("train.csv", "test.csv"):
            rows = [line.split(",")[0] for line in (small_labelled / name).read_text().splitlines()[1:]]
            pyrimidines = str.maketrans("ACGTN", "rYrYr")
            labels = "".join(f"{bases},{bases.upper().translate(pyrimidines)}\n" for bases in rows)
            (data / name).write_text("sequence,label\n" + labels)

    def finetune(out):
        return [
            "run", "finetune", "--config", "tiny", f"data.dir={data}", f"task={task}", "batch_size=7", "dropout=0",
            "model.attention_dropout=0", "compute.device=cpu", "compute.precision=fp32", "compute.threads=1",
            "task.class_weights=[1,3]", "checkpoint.every=10", "checkpoint.keep=99", "-o", str(out),
        ]  # fmt: skip

    def figures(out):
        records = read_metric_log(out / "metrics.jsonl")
        return [v for r in records for k, v in r.items() if k == "loss" or k.startswith("dev_")]

    one, two, resumed = (tmp_path / name for name in ("one", "two", "resumed"))
    assert run(finetune(one)) == 0
    done = launch("-m", "cmgems", *finetune(two))
    assert done.returncode == 0, done.stderr[-3000:]
    shutil.copytree(two, resumed)
    shutil.rmtree(resumed / "best")
    (resumed / "summary.json").unlink()
    for checkpoint in (resumed / "checkpoints").iterdir():
        if checkpoint.name > "step_00000010":
            shutil.rmtree(checkpoint)
    assert run(finetune(resumed)) == 0
    for out in (two, resumed):
        assert figures(out) == pytest.approx(figures(one), abs=1e-4)
        ours, theirs = (json.loads((folder / "summary.json").read_text()) for folder in (out, one))
        assert ours == pytest.approx(theirs, abs=1e-4)


def stopped_half_way(source: Path, out: Path) -> Path:
    """A copy of a finished run as if it had been killed after its checkpoint of step 3."""
    shutil.copytree(source, out)
    shutil.rmtree(out / "final")
    shutil.rmtree(out / "checkpoints" / "step_00000006")
    (out / "summary.json").unlink()
    return out


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes_and_mode(small_genome, tmp_path):
    one, sharded = tmp_path / "one", tmp_path / "sharded"
    options = ("checkpoint.background=true", "parallel.mode=shard")
    assert run(pretrain(small_genome, one)) == 0
    done = launch("-m", "cmgems", *pretrain(small_genome, sharded, *options))
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_run(sharded, one)
    assert sorted(p.name for p in (sharded / "checkpoints" / "step_00000006").iterdir()) == [
        "manifest.json",
        "shard-00001-model-00001-of-00001.safetensors",
        "shard-00002-model-00001-of-00001.safetensors",
        "training.json",
    ]

    from_two = stopped_half_way(sharded, tmp_path / "from_two")
    assert run(pretrain(small_genome, from_two)) == 0
    assert_same_run(from_two, one)

    from_one = stopped_half_way(one, tmp_path / "from_one")
    done = launch("-m", "cmgems", *pretrain(small_genome, from_one, *options))
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_run(from_one, one)


@pytest.mark.slow
def test_damaged_shards_are_skipped_by_all_ranks(small_genome, tmp_path):
    out = tmp_path / "run"
    command = pretrain(small_genome, out, "parallel.mode=shard")
    done = launch("-m", "cmgems", *command)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = losses(out)
    shutil.rmtree(out / "final")
    (out / "summary.json").unlink()
    shard = out / "checkpoints/step_00000006/shard-00002-model-00001-of-00001.safetensors"
    data = bytearray(shard.read_bytes())
    data[-5] ^= 1  # one flipped bit of one rank's part
    shard.write_bytes(data)
    done = launch("-m", "cmgems", *command)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("step_00000006: shard-00002") == 1  # rank 0 says it, alone
    assert losses(out) == expected


RECIPE = '''"""Fails in many ways."""
from __future__ import annotations
import os, signal, time
from dataclasses import dataclass, field
from pathlib import Path
import numpy as np
from cmgems.distributed import open_world
from cmgems.errors import DataError
from cmgems.pretraining.nodes import WindowNode, masked_stream
from cmgems.runs import open_run
from cmgems.training import ParallelConfig

def fail(batch):
    raise DataError("damaged store", where="store", why="a: b", fix="build it again")

@dataclass(frozen=True)
class Config:
    how: str = "fine"
    parallel: ParallelConfig = field(default_factory=ParallelConfig)

def main(config: Config, out: Path) -> None:
    with open_world() as world, open_run(out, config, "fails", world):
        world.wait()  # for rank 0 to make the folder
        (out / str(world.rank)).write_text(str(os.getpid()))
        if config.how == "all":
            raise DataError("no such genome", where="nowhere")
        if world.rank == 1:
            if config.how == "one":
                raise RuntimeError("out of paper")
            if config.how == "data thread":
                windows = WindowNode(lambda epoch: (np.arange(4), np.full(4, 6)), 1, lambda bases: 8)
                stream = masked_stream(windows, fail, None, prefetch=2)
                stream.reset()
                next(stream)
            if config.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if config.how == "restart" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
                raise RuntimeError("try again")
        while config.how != "restart" and config.how != "fine":
            world.sum(1.0)
            time.sleep(0.01)
        assert world.sum(1.0) == 2
'''


# tests/pretraining/test_nodes.py has it within one process.
@pytest.mark.slow
def test_a_mistake_met_by_a_data_thread_of_rank_1_is_told_whole(tmp_path):
    recipe = tmp_path / "fails.py"
    recipe.write_text(RECIPE)
    command = ["run", str(recipe), "how=data thread", "-o", str(tmp_path / "run"), "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "cmgems", *command], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 2, done.stderr[-3000:]
    told = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert told == ["error: damaged store in store: a: b; build it again"]


@pytest.mark.slow
def test_one_failure_ends_all_with_one_message_and_its_exit_code(tmp_path):
    recipe = tmp_path / "fails.py"
    recipe.write_text(RECIPE)

    def started(how):
        command = ["run", str(recipe), f"how={how}", "-o", str(tmp_path / how), "--nproc-per-node", "2"]
        return subprocess.Popen(
            [sys.executable, "-m", "cmgems", *command], stderr=subprocess.PIPE, text=True, env=os.environ
        )

    for how, code, line in (
        ("all", 2, "error: no such genome in nowhere"),
        ("one", 1, "error: internal: RuntimeError: out of paper; run again with --debug and report it"),
        ("killed", 137, "error: process 1 was killed by SIGKILL; the machine may be out of memory"),
    ):
        process = started(how)
        _, told = process.communicate(timeout=120)
        assert process.returncode == code
        assert [text for text in told.splitlines() if text.startswith("error:")] == [line]

    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        out = tmp_path / "wait"
        shutil.rmtree(out, ignore_errors=True)
        process = started("wait")
        while not ((out / "0").is_file() and (out / "1").is_file()):
            time.sleep(0.05)
        if number == signal.SIGTERM:
            second = started("wait")  # the folder is locked
            _, told = second.communicate(timeout=120)
            assert (second.returncode, told.count("another run is writing there")) == (2, 1)
        process.send_signal(number)
        process.communicate(timeout=120)
        assert process.returncode == code
        for rank in "01":
            with pytest.raises(ProcessLookupError):
                os.kill(int((out / rank).read_text()), 0)


@pytest.mark.slow
def test_processes_that_torchrun_restarts_find_each_other(tmp_path):
    recipe = tmp_path / "fails.py"
    recipe.write_text(RECIPE)
    command = ["run", str(recipe), "how=restart", "-o", str(tmp_path / "out")]
    done = launch("-m", "cmgems", *command, restarts=1)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("try again") == 1

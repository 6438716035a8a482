"""Pretraining that is interrupted, or meets trouble: what it says, what it keeps, and that it goes on to the bit."""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from cmgems import training
from cmgems.cli.main import run
from cmgems.errors import DataError
from cmgems.models import load_model
from cmgems.pretraining import PretrainingData
from cmgems.runs import read_metric_log
from cmgems.training import LateCopy, StartedStep, passes

CLOCK = {"seconds", "tokens_per_second", "wait_share", "peak_memory_gb", "mfu"}


def command(small_genome, out, *overrides):
    return [
        "run", "pretrain", "--config", "tiny", *small_genome.overrides(),
        "data.split.block_bp=2000", "compute.threads=1", *overrides, "-o", str(out),
    ]  # fmt: skip


def figures(out):
    return [{k: v for k, v in r.items() if k not in CLOCK} for r in read_metric_log(out / "metrics.jsonl")]


def same(out, other):
    ours, theirs = (load_model(folder).model.state_dict() for folder in (out, other))
    return figures(out) == figures(other) and all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.fixture(scope="module")
def undisturbed(small_genome, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    assert run(command(small_genome, out)) == 0
    return out


@pytest.fixture
def at_step(monkeypatch):
    """``at_step(8, act)``: the 8th step of every run after this is ``act(train_step, arguments)``."""

    def install(number, act):
        real = training.train_step
        calls = itertools.count(1)
        monkeypatch.setattr(
            training, "train_step", lambda *a: act(real, a) if next(calls) == number else real(*a)
        )

    return install


@pytest.mark.parametrize(
    ("step", "number", "code"), [(8, signal.SIGINT, 130), (10, signal.SIGTERM, 143)], ids=["8-INT", "10-TERM"]
)
def test_a_signal_saves_and_the_run_goes_on_to_the_bit(
    number, code, step, undisturbed, small_genome, tmp_path, at_step, monkeypatch, capfd
):
    out = tmp_path / "run"

    def interrupted(train_step, arguments):
        signal.raise_signal(number)
        return train_step(*arguments)

    at_step(step, interrupted)
    with pytest.raises(SystemExit) as left:
        run(command(small_genome, out, "checkpoint.background=true"))
    assert left.value.code == code
    saved = out / "checkpoints" / f"step_{step:08d}"
    assert capfd.readouterr().err.splitlines()[-1] == (
        f"stopped by {number.name}: step {step} of 20 is saved in {saved}; the same command continues"
    )
    assert max(r["step"] for r in figures(out)) == step
    monkeypatch.undo()
    assert run(command(small_genome, out)) == 0
    assert same(out, undisturbed)


def test_what_is_shown_and_kept_may_change_on_the_way(
    undisturbed, small_genome, tmp_path, at_step, monkeypatch
):
    out = tmp_path / "run"
    at_step(8, lambda train_step, arguments: signal.raise_signal(signal.SIGTERM) or train_step(*arguments))
    with pytest.raises(SystemExit):
        run(command(small_genome, out))
    monkeypatch.undo()
    overrides = ["log.profile=2", "log.tensorboard=true", "checkpoint.keep=1", "trouble.nonfinite=skip"]
    assert run(command(small_genome, out, *overrides)) == 0
    assert same(out, undisturbed)
    assert (out / "profile.json.gz").is_file()
    assert "profile: 2" in (out / "config.yaml").read_text()


def not_finite(train_step, arguments):
    return StartedStep(10, 100, LateCopy(torch.tensor([math.nan, math.nan])))


def test_a_loss_that_is_not_finite_stops_and_leaves_the_batch(
    undisturbed, small_genome, tmp_path, at_step, monkeypatch, capfd
):
    out = tmp_path / "run"
    at_step(8, not_finite)
    assert run(command(small_genome, out)) == 2
    bad = out / "bad_batch" / "step_00000008_rank_0.safetensors"
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith("error: the loss or its gradient is not finite at step 8: the batch is saved in")
    with safe_open(bad, "numpy") as saved:
        assert saved.get_tensor("ids_BS").shape[0] == 8
        assert saved.get_tensor("samples_B").tolist() == list(range(56, 64))  # step 8 of 8 sequences each
    assert figures(out)[-1]["step"] == 8
    monkeypatch.undo()
    assert run(command(small_genome, out)) == 0  # whatever it was is gone
    assert same(out, undisturbed)


def test_a_loss_that_is_not_finite_can_be_skipped(small_genome, tmp_path, at_step):
    out = tmp_path / "run"
    at_step(8, not_finite)
    assert run(command(small_genome, out, "trouble.nonfinite=skip")) == 0
    records = {r["step"]: r for r in figures(out) if "strategy" in r}
    assert [step for step, r in records.items() if "loss" not in r] == [8]
    assert [r["skipped"] for r in records.values()] == [0] * 7 + [1] * 13
    assert any(r.get("trouble", "").startswith("skipped: loss nan") for r in figures(out))
    assert json.loads((out / "summary.json").read_text())["skipped_steps"] == 1


def test_a_hopeless_run_gives_up(small_genome, tmp_path, capfd):
    """No fake: a learning rate that leaves no weight finite."""
    overrides = ["optim.lr=1e38", "optim.warmup=0", "trouble.nonfinite=skip", "trouble.patience=3"]
    assert run(command(small_genome, tmp_path / "run", *overrides)) == 2
    assert "and at the 2 steps before it" in capfd.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("background", ["false", pytest.param("true", marks=pytest.mark.slow)])
def test_a_full_disk_keeps_the_last_checkpoint(
    background, undisturbed, small_genome, tmp_path, monkeypatch, capfd
):
    out = tmp_path / "run"
    write_bytes = Path.write_bytes

    def full(path, data):
        if "step_00000010" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    overrides = [f"checkpoint.background={background}"]
    assert run(command(small_genome, out, *overrides)) == 1
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith("error: no space left in ")
    assert line.endswith("step_00000005 is whole; free some space and run the same command again")
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["step_00000005"]
    monkeypatch.undo()
    assert run(command(small_genome, out, *overrides)) == 0
    assert same(out, undisturbed)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            DataError("damaged store", where="store", fix="build it"),
            2,
            "error: damaged store in store; build it",
        ),
        (
            IndexError("5 of 3"),
            1,
            "error: internal: IndexError: 5 of 3; run",
        ),
    ],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_thread_that_dies_ends_the_run_with_its_cause(
    error, code, line, workers, small_genome, tmp_path, monkeypatch, capfd
):
    tokenize, calls = PretrainingData.tokenize, itertools.count()

    def fail_in_the_end(self, batch):
        if next(calls) > 10:
            raise error
        return tokenize(self, batch)

    monkeypatch.setattr(PretrainingData, "tokenize", fail_in_the_end)
    assert run(command(small_genome, tmp_path / "run", f"data.workers={workers}")) == code
    assert capfd.readouterr().err.splitlines()[-1].startswith(line)


def test_another_micro_batch_computes_the_same_and_may_go_on(
    undisturbed, small_genome, tmp_path, at_step, monkeypatch
):
    """To rounding: the order and the masks of a step's sequences do not depend on how it is cut."""
    out = tmp_path / "run"
    at_step(8, lambda train_step, arguments: signal.raise_signal(signal.SIGTERM) or train_step(*arguments))
    with pytest.raises(SystemExit):
        run(command(small_genome, out, "compute.micro_batch=3"))
    monkeypatch.undo()
    assert run(command(small_genome, out, "compute.micro_batch=1")) == 0
    ours, theirs = ([r for r in figures(folder) if "loss" in r] for folder in (out, undisturbed))
    assert [r["masked_share"] for r in ours] == [r["masked_share"] for r in theirs]
    assert [r["loss"] for r in ours] == pytest.approx([r["loss"] for r in theirs], rel=1e-4)


OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")


def test_too_little_memory_halves_what_goes_through_at_once(
    undisturbed, small_genome, tmp_path, at_step, capfd
):
    """The step is taken again with fewer rows, and the run goes on."""

    def too_large(train_step, arguments):
        with passes():
            raise OUT_OF_MEMORY

    at_step(3, too_large)
    assert run(command(small_genome, tmp_path / "run")) == 0
    assert "memory is short: 4 sequences at a time from here on" in capfd.readouterr().err
    ours, theirs = (
        [r["loss"] for r in figures(out) if "loss" in r] for out in (tmp_path / "run", undisturbed)
    )
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_too_little_memory_for_the_number_that_is_set(small_genome, tmp_path, at_step, capfd):
    def too_large(train_step, arguments):
        with passes():
            raise OUT_OF_MEMORY

    at_step(3, too_large)
    assert run(command(small_genome, tmp_path / "run", "compute.micro_batch=4")) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith("error: out of memory in 4 of 8 x ")
    assert line.endswith("set compute.micro_batch=2, which changes no result")


@pytest.mark.slow
def test_a_signal_to_one_rank_stops_both_at_the_same_step(small_genome, tmp_path):
    out = tmp_path / "run"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    overrides = ["steps=100000", "checkpoint.every=100000", "validation.every=100000", "compute.device=cpu"]
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "cmgems", *command(small_genome, out, *overrides)],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        )
        for rank in range(2)
    ]
    metrics = out / "metrics.jsonl"
    while all(r.poll() is None for r in ranks) and (not metrics.is_file() or not metrics.stat().st_size):
        time.sleep(0.05)
    ranks[1].send_signal(signal.SIGTERM)
    said = [rank.communicate(timeout=120)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [143, 143], said
    last = figures(out)[-1]["step"]
    assert [path.name for path in (out / "checkpoints").iterdir()] == [f"step_{last:08d}"]
    assert f"step {last} of 100000 is saved" in said[0]
    assert "stopped by" not in said[1]

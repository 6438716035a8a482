from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from cmgems.models import load_model
from cmgems.training import read_metrics


def losses(out):
    return [r["loss"] for r in read_metrics(out / "metrics.jsonl") if "loss" in r]


def test_two_processes_train_like_one(small_genome, tmp_path):
    """The same global batches and masks; losses equal to the noise of float32 sums taken in another order."""
    command = [
        "run", "pretrain", "--config", "tiny", *small_genome.overrides(), "data.split.block_bp=2000",
        "steps=6", "compute.threads=1", "compute.device=cpu", "compute.precision=fp32", "-o",
    ]  # fmt: skip
    for size in (1, 2):
        launch = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            f"--nproc-per-node={size}",
            "-m",
            "cmgems",
        ]
        subprocess.run(
            [*launch, *command, str(tmp_path / str(size))], check=True, capture_output=True, timeout=240
        )
    assert losses(tmp_path / "1") == pytest.approx(losses(tmp_path / "2"), abs=1e-5)
    one, two = (load_model(tmp_path / size).model.state_dict() for size in ("1", "2"))
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one)

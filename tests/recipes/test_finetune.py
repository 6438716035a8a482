from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from cmgems import assets
from cmgems.cli.main import run
from cmgems.config import load_config
from cmgems.models import load_model
from cmgems.recipes import load_recipe
from cmgems.training import read_metrics


def command(small_labelled, out, *overrides):
    return [
        "run", "finetune", "--config", "tiny", f"data.dir={small_labelled}", "compute.threads=1",
        "optim.lr=3e-3", "epochs=4", *overrides, "-o", str(out),
    ]  # fmt: skip


def figures(out):
    return [{k: v for k, v in r.items() if k != "seconds"} for r in read_metrics(out / "metrics.jsonl")]


def summary(out):
    return json.loads((out / "summary.json").read_text())


@pytest.fixture(scope="module")
def finished(small_labelled, tmp_path_factory):
    out = tmp_path_factory.mktemp("finetune") / "run"
    assert run(command(small_labelled, out)) == 0
    return out


def test_learns_and_scores_the_test_set(finished):
    scores = summary(finished)
    assert scores["test auc"] > 0.9
    assert set(scores) == {
        "training sequences", "test sequences", "best epoch", "test accuracy", "test macro_f1", "test mcc", "test auc",
    }  # fmt: skip


def test_the_best_dev_epoch_is_the_one_kept(finished):
    dev = [r["dev_mcc"] for r in figures(finished) if "dev_mcc" in r]
    assert len(dev) == 4
    best = summary(finished)["best epoch"]
    assert dev[best - 1] == max(dev)
    ours = load_model(finished).model.state_dict()
    theirs = load_model(finished / "checkpoints" / f"step_{best:08d}").model.state_dict()
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_kill_9_continues_to_the_bit(finished, small_labelled, tmp_path):
    out = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "cmgems", *command(small_labelled, out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    metrics = out / "metrics.jsonl"
    while process.poll() is None and (not metrics.is_file() or metrics.read_text().count('"loss"') < 20):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert run(command(small_labelled, out)) == 0
    assert figures(out) == figures(finished)
    assert summary(out) == summary(finished)


def test_from_a_pretrained_encoder(small_genome, small_labelled, tmp_path):
    pretrained = tmp_path / "pretrained"
    arguments = [
        "run",
        "pretrain",
        "--config",
        "tiny",
        *small_genome.overrides(),
        "steps=2",
        "-o",
        str(pretrained),
    ]
    assert run([*arguments, "data.split.block_bp=2000"]) == 0
    out = tmp_path / "run"
    assert (
        run(command(small_labelled, out, f"model.checkpoint={pretrained}", "epochs=1", "optim.lr=1e-30")) == 0
    )
    ours, theirs = load_model(out).model.encoder, load_model(pretrained).model.encoder
    for name, tensor in theirs.state_dict().items():
        assert torch.allclose(ours.state_dict()[name], tensor, atol=1e-7)


def test_few_shot_without_a_dev_set_scores_the_last_epoch(small_labelled, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for split in ("train", "test"):
        (folder / f"{split}.csv").write_text((small_labelled / f"{split}.csv").read_text())
    out = tmp_path / "run"
    assert run(command(folder, out, "data.shots=10", "epochs=2")) == 0
    assert summary(out)["training sequences"] == 20
    assert summary(out)["best epoch"] == 2


def test_predict_writes_labels_and_probabilities(finished, tmp_path):
    fasta = tmp_path / "seqs.fa"
    fasta.write_text(
        ">gc\n" + "GCGCCGGGCC" * 6 + "\n>at\n" + "ATTTAATTAA" * 6 + "\n>long\n" + "ACGT" * 400 + "\n"
    )
    out = tmp_path / "out.csv"
    assert run(["predict", str(finished), str(fasta), "-o", str(out)]) == 0
    rows = list(csv.DictReader(out.open()))
    assert [(r["name"], r["label"]) for r in rows[:2]] == [("gc", "1"), ("at", "0")]
    for row in rows:
        assert float(row["p_0"]) + float(row["p_1"]) == pytest.approx(1, abs=2e-6)


@pytest.mark.parametrize("name", [name for name in assets.configs() if name.startswith("finetune/")])
def test_every_shipped_config_runs_on_a_cpu(name, small_labelled, tmp_path):
    recipe = load_recipe(assets.find_recipe("finetune"))
    overrides = [f"data.dir={small_labelled}", "epochs=1", "compute.device=cpu", "model.init=logo_tiny"]
    config = load_config(recipe.config_schema, assets.configs()[name], overrides)
    if config.data.shots:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, shots=10))
    recipe.main(config, tmp_path / "run")
    assert (tmp_path / "run" / "summary.json").is_file()

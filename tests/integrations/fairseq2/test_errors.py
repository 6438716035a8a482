"""A user's mistake is one line of fairseq2's command line, and exit code 2."""

from __future__ import annotations

import shutil
import sys

import pytest
import torch
from fairseq2.recipe import main

from cmgems.integrations.fairseq2.pretrain import PretrainRecipe
from tests.integrations.fairseq2.conftest import saved

TINY = ["model.arch=logo_tiny", "trainer.mixed_precision.mode=off", "regime.num_steps=8"]
TINY += ["lr_scheduler.config.num_warmup_steps=2", "regime.validate_every_n_steps=null"]
TINY += ["dataset.config_overrides.sequences=8", "dataset.config_overrides.data.sampler.max_bp=120"]
TINY += ["dataset.config_overrides.data.sampler.name=tiled", "regime.checkpoint_every_n_steps=8"]
TINY += ["regime.publish_metrics_every_n_steps=8", "dataset.config_overrides.validation.sequences=16"]
TINY += ["dataset.config_overrides.data.split.by=block", "dataset.config_overrides.data.split.block_bp=1000"]


@pytest.fixture
def command(small_genome, tmp_path, monkeypatch, capfd):
    """``command("key=value", ...)``: exit code and log of the command line."""

    def start(*values):
        data = [f"dataset.config_overrides.data.store={small_genome.store}"]
        data += [f"dataset.config_overrides.masking.table={small_genome.table}"]
        arguments = ["recipe", str(tmp_path / "out"), "--no-rich", "--config", *data, *TINY, *values]
        monkeypatch.setattr(sys, "argv", arguments)
        try:
            main(PretrainRecipe())
        except SystemExit as error:
            return error.code, capfd.readouterr().err
        return 0, capfd.readouterr().err

    return start


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("dataset.config_overrides.data.store=no_such_store", "not a genome store in no_such_store"),
        ("dataset.config_overrides.masking.table=no_such.safetensors", "no_such.safetensors"),
        ("dataset.config_overrides.masking.curriculum=cm_gem", "did you mean 'cm_gems'"),
        ("dataset.config_overrides.masking.curriculum=loss_weighted", "does not work in fairseq2"),
        ("dataset.config_overrides.sequences=1", "1 sequences a step do not make 2 batches"),
        ("trainer.mixed_precision.mode=auto", "no training in fp16"),
        ("model.dtype=float16", "no training in fp16"),
        ("gang.tensor_parallel_size=2", "tensor"),
        ("trainer.fsdp.version=v1", "no FSDP of version 1"),
        ("tokenizer.name=cmgems_kmer3", "set model.config_overrides to {vocab_size: 69}"),
        ("regime.num_steps=null", "no end in regime.num_steps"),
        ("model.config_overrides.heads=5", "hidden must be a multiple of heads"),
    ],
)
def test_one_line_and_exit_code_2(command, value, message):
    more = ["trainer.grad_accumulation.num_batches=2", "trainer.mixed_precision.dtype=float16"]
    if "fsdp" in value:
        more.append("trainer.data_parallelism=fsdp")
    if "null" in value:
        more += ["lr_scheduler.name=passthrough", "lr_scheduler.config=null"]
    code, log = command(*more, value)
    errors = [line for line in log.splitlines() if "ERROR" in line]
    assert code == 2, log
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in log


def test_more_processes_than_before_is_one_line(command, tmp_path, monkeypatch):
    assert command()[0] == 0
    assert saved(tmp_path / "out", 8)
    from cmgems.integrations.fairseq2 import training

    real = training._check_processes
    monkeypatch.setattr(training, "_check_processes", lambda context, processes: real(context, 2))
    code, log = command("regime.num_steps=16")
    assert code == 2
    assert "more processes than before" in log
    assert "it was saved by 1, and this run has 2; go on with 1 or fewer" in log
    assert "Traceback" not in log


def test_another_number_of_shards_is_one_line(command, tmp_path):
    assert command()[0] == 0
    (shard,) = (tmp_path / "out" / "checkpoints" / "step_8" / "model").rglob("sdp_00.pt")
    shutil.copy(shard, shard.with_name("sdp_01.pt"))
    code, log = command("regime.num_steps=16")
    assert code == 2
    assert "it was saved in 2, and this run would have 1; go on with trainer.data_parallelism=fsdp" in log
    assert "Traceback" not in log


def test_a_run_with_other_data_is_one_line(command):
    assert command()[0] == 0
    code, log = command("regime.num_steps=16", "dataset.config_overrides.masking.rate=0.3")
    assert code == 2
    assert "`masking.rate` is 0.15 there, 0.3 here" in log
    assert torch.is_grad_enabled()

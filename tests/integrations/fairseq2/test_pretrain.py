from __future__ import annotations

import json
import runpy
import shutil
import sys

import pytest
import torch
from fairseq2.recipe.config import (
    ActivationCheckpointingConfig,
    LRSchedulerSection,
    MixedPrecisionConfig,
    ModelSection,
)

import cmgems
from cmgems.export import export_huggingface
from cmgems.integrations.fairseq2 import pretrain as recipe
from cmgems.integrations.fairseq2.fixed_mask import FixedMaskUnit
from cmgems.integrations.fairseq2.masked_genome import MaskedGenomeReader
from cmgems.models import MODELS, load_model, save_model
from cmgems.runs import read_metric_log
from cmgems.tokenization import TOKENIZERS
from tests.integrations.fairseq2.conftest import assert_same, resumed_at, saved

STEPS = 16


def losses(out, part):
    records = [json.loads(line) for line in (out / "metrics" / f"{part}.jsonl").read_text().splitlines()]
    return {record["Step"]: record["Loss"] for record in records}


def switched_at(out, step=STEPS):
    return saved(out, step)["data_reader/dp_00.pt"]["stream"]["curriculum"]["switched_at"]


@pytest.fixture(scope="module")
def whole(settings, pretrain, tmp_path_factory):
    return pretrain(settings(), tmp_path_factory.mktemp("fairseq2") / "whole")


@pytest.mark.parametrize("step", [4, 8, 12])
def test_a_resumed_run_is_the_same_to_the_bit(whole, settings, pretrain, tmp_path, step):
    """At 4 and 12 the curriculum's validation is due with the checkpoint, at 8 fairseq2's own too; it switches at 8."""
    assert switched_at(whole) == 8
    out = resumed_at(step, whole, tmp_path / "resumed", pretrain, settings())
    assert_same(saved(out, STEPS), saved(whole, STEPS))


@pytest.mark.parametrize("every", [3, 6])
def test_it_is_when_validations_and_checkpoints_fall_on_other_steps(settings, pretrain, tmp_path, every):
    config = settings(every=every)
    whole = pretrain(config, tmp_path / "whole")
    assert switched_at(whole) == 2 * every
    out = resumed_at(8, whole, tmp_path / "resumed", pretrain, config)
    assert_same(saved(out, STEPS), saved(whole, STEPS))


def test_a_curriculum_fed_by_fairseq2s_validator_would_forget(settings, pretrain, tmp_path, monkeypatch):
    """The naive way, and why it is not ours: resumed at 8 it has lost the perplexity of step 8."""
    readers, config = [], settings()
    config.regime.validate_every_n_steps = 4
    start, process = MaskedGenomeReader._start, FixedMaskUnit.process_batch

    def keep(reader, state):
        start(reader, state)
        readers.append(reader)

    def process_and_tell(unit, batch, metric_bag):
        process(unit, batch, metric_bag)
        readers[-1].masker.observe(unit._step, unit._loss.at(unit._step))

    monkeypatch.setattr(MaskedGenomeReader, "_start", keep)
    monkeypatch.setattr(MaskedGenomeReader, "_observe", lambda reader: None)
    monkeypatch.setattr(FixedMaskUnit, "process_batch", process_and_tell)
    whole = pretrain(config, tmp_path / "whole")
    out = resumed_at(8, whole, tmp_path / "resumed", pretrain, config)
    assert (switched_at(whole), switched_at(out)) == (8, 12)


@pytest.mark.parametrize(
    ("family", "arch", "tokenizer"),
    [
        ("cmgems_dnabert2", "dnabert2_tiny", "cmgems_kmer6"),
        ("cmgems_nt_v2", "nt_v2_tiny", "cmgems_nt_v2"),
        ("cmgems_nt_v1", "nt_tiny", "cmgems_nt_v1"),
        ("cmgems_plugin", "of_a_plugin", "cmgems_kmer6"),
    ],
)
def test_other_families_train(settings, pretrain, tmp_path, family, arch, tokenizer):
    config = settings(family, arch, steps=6, curriculum="random_span", table=None)
    rows = {"vocab_size": 4101} if tokenizer == "cmgems_kmer6" else {}
    config.model.config_overrides = {"options": rows} if family == "cmgems_plugin" else rows
    config.tokenizer.name = tokenizer
    out = pretrain(config, tmp_path / "run")
    model = load_model(out)
    assert (model.model_name, type(model.config)) == (arch, type(MODELS.get(arch)))
    assert model.tokenizer_name == tokenizer.removeprefix("cmgems_")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("activation_checkpointing", ActivationCheckpointingConfig(mode="layerwise")),
        ("mixed_precision", MixedPrecisionConfig(mode="auto")),
    ],
)
def test_options_of_fairseq2s_trainer(settings, pretrain, tmp_path, option, value):
    config = settings(steps=6)
    setattr(config.trainer, option, value)
    assert load_model(pretrain(config, tmp_path / "run")).training["steps"] == 6


def test_fairseq2s_own_export_of_a_run_loads_in_transformers(whole, tmp_path, monkeypatch):
    from transformers import AutoModelForMaskedLM

    out = tmp_path / "hf"
    arguments = ["--no-rich", "--checkpoint-dir", str(whole / "checkpoints"), "checkpoint_step_16", str(out)]
    monkeypatch.setattr(sys, "argv", ["hg_export", *arguments])
    monkeypatch.setattr("fairseq2.runtime.dependency._resolver", None)  # as in a process of its own
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("fairseq2.models.utils.hg_export", run_name="__main__")
    theirs, info = AutoModelForMaskedLM.from_pretrained(out, output_loading_info=True)
    assert not info["missing_keys"]
    ids = torch.arange(5, 25).reshape(2, 10)
    with torch.no_grad():
        ours, theirs = load_model(whole).model(ids), theirs.eval()(ids).logits
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_losses_are_those_of_our_own_recipe_to_the_bit(
    settings, pretrain, small_genome, tmp_path, monkeypatch
):
    """From the same weights, in fp32 on a CPU; eight steps, in which the curriculum switches."""
    start, config = tmp_path / "start", MODELS.get("logo_tiny")
    start.mkdir()
    torch.manual_seed(0)
    save_model(
        start, config.masked_lm(), model_name="logo_tiny", config=config, head="masked_lm",
        tokenizer_name="kmer6", tokenizer=TOKENIZERS.get("kmer6"),
    )  # fmt: skip
    theirs = settings(steps=8, every=2, overrides={"hidden_dropout": 0.0})
    theirs.model.path = start
    theirs.optimizer.config.impl = "fused"
    theirs.lr_scheduler = LRSchedulerSection(name="passthrough", config=None)
    shares = []
    process = recipe.MaskedLMUnit.process_batch

    def process_and_keep(unit, batch, metric_bag):
        share, targets = process(unit, batch, metric_bag)
        shares.append(share.detach())
        return share, targets

    monkeypatch.setattr(recipe.MaskedLMUnit, "process_batch", process_and_keep)
    out = pretrain(theirs, tmp_path / "theirs")

    dataset = theirs.dataset.config_overrides
    ours = cmgems.run(
        "pretrain",
        out=tmp_path / "ours",
        overrides={
            "steps": 8, "sequences": dataset["sequences"], "seed": theirs.common.seed, "model": str(start),
            "data": dataset["data"], "masking": dataset["masking"], "validation": dataset["validation"],
            "optim": {"lr": 8e-4, "warmup": 0, "schedule": "constant"}, "log.every": 1,
            "compute": {"device": "cpu", "precision": "fp32", "packing": "off", "micro_batch": 4},
        },
    )  # fmt: skip
    records = read_metric_log(ours / "metrics.jsonl")
    assert [r["loss"] for r in records if "loss" in r] == [
        (torch.zeros(()) + one + two).item() for one, two in zip(shares[::2], shares[1::2], strict=True)
    ]
    last = [r["validation_loss"] for r in records if "validation_loss" in r][-1]
    assert losses(out, "valid")[8] == pytest.approx(last)
    mine, other = (load_model(folder).model.state_dict() for folder in (ours, out))
    assert all(torch.equal(mine[name], other[name]) for name in mine)


def test_metrics_are_fairseq2s_own(whole):
    assert sorted(losses(whole, "train")) == list(range(1, STEPS + 1))
    assert sorted(losses(whole, "valid")) == [8, 16]


def test_every_checkpoint_is_a_model_of_ours(whole, tmp_path):
    for step in (4, 8, 12, 16):
        ours = load_model(whole / "checkpoints" / f"step_{step}")
        theirs = saved(whole, step)["model/pp_00/tp_00/sdp_00.pt"]
        assert_same(dict(ours.model.state_dict()), dict(theirs))
        assert (ours.model_name, ours.tokenizer_name, ours.training["steps"]) == ("logo_tiny", "kmer6", step)
    newest = load_model(whole)
    assert newest.folder.name == "step_16"
    export_huggingface(newest, tmp_path / "hf")
    vectors = [cmgems.load(folder).embed(["ACGTACGTACGT"]) for folder in (whole, tmp_path / "hf")]
    assert_same(*map(torch.from_numpy, vectors))


def test_a_run_killed_between_checkpoint_and_model_folder_writes_it_when_it_goes_on(
    whole, settings, pretrain, tmp_path
):
    out = tmp_path / "killed"
    shutil.copytree(whole, out)
    for name in ("model.json", "model.safetensors"):
        (out / "checkpoints" / "step_16" / name).unlink()
    pretrain(settings(), out)
    assert_same(dict(load_model(out).model.state_dict()), dict(load_model(whole).model.state_dict()))


@pytest.mark.parametrize("name", ["last_checkpoint", "checkpoint_step_8"])
def test_fairseq2_finds_the_runs_models_by_its_own_cards(whole, settings, pretrain, tmp_path, name):
    config = settings(steps=16)
    config.model = ModelSection(name=name)
    config.common.assets.prev_checkpoint_dir = whole / "checkpoints"
    config.regime.num_steps, config.lr_scheduler.config.num_warmup_steps = 1, 0
    config.optimizer.config.lr = 0.0
    out = pretrain(config, tmp_path / "run")
    step = 16 if name == "last_checkpoint" else 8
    there = load_model(whole / "checkpoints" / f"step_{step}")
    assert_same(dict(load_model(out).model.state_dict()), dict(there.model.state_dict()))

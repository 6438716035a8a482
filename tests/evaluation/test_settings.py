"""Settings and models as overrides that the finetune recipe takes."""

from __future__ import annotations

import pytest

from cmgems.config import Component, load_config
from cmgems.errors import CheckpointError, CmgemsError
from cmgems.evaluation.settings import DataSettings, OptimSettings, Settings, as_overrides, source_overrides
from cmgems.models.lora import LoraConfig
from cmgems.recipes import load_recipe
from cmgems.runs import LogConfig
from cmgems.training import ComputeConfig

FINETUNE = load_recipe("finetune").config_schema


def test_what_is_not_set_is_left_alone():
    assert Settings().overrides() == []


def test_every_kind_of_value_arrives():
    settings = Settings(
        epochs=3,
        data=DataSettings(labels=("a", "b"), max_tokens=80),
        optim=OptimSettings(lr=1e-5, schedule="cosine"),
        lora=LoraConfig(r=4, targets=("query", "value")),
    )
    compute, log = (
        ComputeConfig(device="cpu", recompute=True, threads=2),
        LogConfig(every=7, tensorboard=True),
    )
    overrides = [*settings.overrides(), *as_overrides(compute, "compute"), *as_overrides(log, "log")]
    config = load_config(FINETUNE, None, overrides)
    assert (config.epochs, config.data.labels, config.data.max_tokens) == (3, ("a", "b"), 80)
    assert (config.optim.lr, config.optim.schedule, config.optim.weight_decay) == (1e-5, "cosine", 0.01)
    assert config.lora == settings.lora
    assert (config.compute, config.log) == (compute, log)


def test_every_setting_is_a_key_of_the_recipe():
    """A key that it lacks would raise when it is set."""
    everything = Settings(
        epochs=1, max_steps=1, batch_size=1, optim=OptimSettings(1e-3, 0, "linear", 0.9, 0.0, 0.5)
    )
    config = load_config(FINETUNE, None, [*everything.overrides(), "dropout=0.2"])
    assert (config.max_steps, config.optim.layer_decay, config.optim.clip) == (1, 0.9, 0.5)


def test_a_registered_model_and_its_tokenizer(small_bpe):
    overrides = source_overrides("logo_tiny", Component("bpe", {"file": small_bpe}))
    config = load_config(FINETUNE, None, overrides)
    assert config.model.name == "logo_tiny"
    assert config.tokenizer.name == "bpe"
    assert config.tokenizer.options["file"] == small_bpe


def test_an_option_that_is_none_is_passed_on():
    overrides = source_overrides("logo_tiny", Component("kmer6", {}))
    overrides += as_overrides(Component("logo_original", {"embedding": None}), "model")
    assert load_config(FINETUNE, None, overrides).model.options["embedding"] is None


def test_a_folder_is_a_checkpoint(tmp_path):
    for place in ("checkpoints/step_2", "final"):  # what a run has on its way, and at its end
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "model.json").write_text("{}")
        found = source_overrides(str(tmp_path), Component("kmer6", {}))
        assert found == [f"model={tmp_path / place}"]


def test_neither_a_folder_nor_a_model(tmp_path):
    with pytest.raises(CmgemsError, match="did you mean 'logo_tiny'"):
        source_overrides("logo_tyni", Component("kmer6", {}))
    with pytest.raises(CheckpointError, match="no model found"):
        source_overrides(str(tmp_path), Component("kmer6", {}))

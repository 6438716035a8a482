"""Short runs of our recipes by fairseq2's own trainer, in this process."""

from __future__ import annotations

import copy
import shutil
import warnings

import pytest
import torch
from fairseq2.recipe import run
from fairseq2.recipe.config import (
    DatasetSection,
    GradAccumulationConfig,
    MixedPrecisionConfig,
    ModelSection,
    RegimeSection,
    TrainerSection,
)

from cmgems.integrations.fairseq2.pretrain import Config, PretrainRecipe
from cmgems.integrations.fairseq2.training import linear_decay
from cmgems.models import MODELS, TransformerConfig

# fairseq2 warns of its own models.
OF_FAIRSEQ2 = "`hg_exporter` is deprecated"


def run_recipe(recipe, config, out):
    """Run it to the end; a name that fairseq2 calls deprecated, used by us, fails."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        run(recipe, copy.deepcopy(config), out, no_rich=True, no_progress=True)
    deprecated = [str(w.message) for w in seen if issubclass(w.category, DeprecationWarning)]
    assert [text for text in deprecated if "removed in" in text and OF_FAIRSEQ2 not in text] == []
    return out


class OfAPlugin(TransformerConfig):
    """A family that fairseq2 has no class of configs for."""

    family = "of_a_plugin"

    def encoder(self):
        return MODELS.get("logo_tiny").encoder()


@pytest.fixture(scope="session", autouse=True)
def of_a_plugin():
    MODELS.add("of_a_plugin", OfAPlugin(hidden=64, heads=4, layers=2))
    yield
    del MODELS._prototypes["of_a_plugin"]


@pytest.fixture(scope="session")
def settings(small_genome):
    """``settings(steps=16, every=4, ...)``: a config for a tiny model with dropout; the curriculum switches soon."""

    def make(
        family="cmgems_bert", arch="logo_tiny", *, steps=16, every=4, parts=2, overrides=None, **masking
    ):
        masking = {
            "table": str(small_genome.table),
            "curriculum": {"name": "cm_gems", "threshold": 1e6},
            **masking,
        }
        data = {
            "store": str(small_genome.store),
            "pad_multiple": 8,
            "sampler": {"name": "tiled", "max_bp": 120},
            "split": {"by": "block", "fraction": 0.1, "block_bp": 1000},
        }
        dataset = {
            "sequences": 8,
            "data": data,
            "masking": masking,
            "validation": {"every": every, "sequences": 16},
        }
        return Config(
            model=ModelSection(
                family=family, arch=arch, config_overrides={"hidden_dropout": 0.1, **(overrides or {})}
            ),
            dataset=DatasetSection(family="cmgems_masked_genome", config_overrides=dataset),
            trainer=TrainerSection(
                max_grad_norm=1.0,
                mixed_precision=MixedPrecisionConfig(mode="off"),
                grad_accumulation=GradAccumulationConfig(num_batches=parts),
            ),
            lr_scheduler=linear_decay(5),
            regime=RegimeSection(
                num_steps=steps,
                validate_every_n_steps=8,
                checkpoint_every_n_steps=4,
                publish_metrics_every_n_steps=1,
            ),
        )

    return make


@pytest.fixture(scope="session")
def pretrain():
    """``pretrain(config, out)``: run the recipe; returns ``out``."""
    return lambda config, out: run_recipe(PretrainRecipe(), config, out)


def resumed_at(step, whole, out, go_on, config):
    """The run ``whole`` as it was when it was killed after ``step``, gone on with."""
    shutil.copytree(whole, out)
    for folder in (out / "checkpoints").glob("step_*"):
        if int(folder.name.removeprefix("step_")) > step:
            shutil.rmtree(folder)
    return go_on(config, out)


def saved(out, step):
    """Everything that fairseq2 saved at a step, but for times."""
    folder = out / "checkpoints" / f"step_{step}"
    files = sorted(folder.rglob("*.pt"))
    assert {file.parent.name for file in files} >= {"tp_00", "trainer", "data_reader"}
    found = {str(file.relative_to(folder)): torch.load(file, weights_only=False) for file in files}
    for name, state in found.items():
        if name.startswith("trainer/"):
            state.pop("_base_wall_time")
    return found


def assert_same(one, other, where=""):
    """Equal to the bit, whatever they hold."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}/{index}")
    else:
        assert one == other, where

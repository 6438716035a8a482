"""The example plugin, installed: configs can name what it adds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]

SCRIPT = """
from dataclasses import dataclass

import numpy as np
import torch

from cmgems.config import Component, component, load_config
from cmgems.masking import CURRICULA, STRATEGIES, CurriculumState, Masker, MaskingConfig, Ranks, TokenBatch
from cmgems.models import MODELS
from cmgems.plugins import load_plugins
from cmgems.tokenization import KmerTokenizer


@dataclass(frozen=True)
class Config:
    model: Component = component(MODELS, "logo")
    strategy: Component = component(STRATEGIES, "random_span")


load_plugins()
config = load_config(Config, None, ["model=convolution_tiny", "model.layers=1", "strategy=every_other"])

ids_BS = np.full((4, 10), 7, np.int32)
ids_BS[:, [0, -1]] = 2, 3
batch = TokenBatch(
    ids_BS, np.arange(4, dtype=np.uint64), Ranks.of(None, KmerTokenizer(6)), rate=0.15, seed=0,
)
mask_BS = config.strategy.build(STRATEGIES).select(batch)
assert (mask_BS.sum(1) == 4).all() and not mask_BS[:, [0, -1]].any()

curriculum = CURRICULA.build("in_turns", first="every_other", second="uniform_rate", every=2)
names = [curriculum.strategy(step, 10, CurriculumState(), 0)[0] for step in range(5)]
assert names == ["every_other", "every_other", "uniform_rate", "uniform_rate", "every_other"]
masker = Masker(MaskingConfig(Component("in_turns", {"every": 1})), KmerTokenizer(6), steps=4, seed=0)
masker.observe(2, 9.0)
assert masker.state.perplexities == (9.0,)

model = config.model.build(MODELS)
assert model.layers == 1
ids_BS = torch.randint(0, model.vocab_size, (2, 12))
attention_BS = torch.ones(2, 12, dtype=torch.bool)
attention_BS[:, 8:] = False
masked_lm = model.masked_lm()
assert masked_lm(ids_BS).shape == (2, 12, model.vocab_size)
assert masked_lm(ids_BS, attention_BS, torch.tensor([0, 13])).shape == (2, model.vocab_size)
short, padded = masked_lm(ids_BS[:, :8]), masked_lm(ids_BS, attention_BS)[:, :8]
torch.testing.assert_close(short, padded)
classifier = model.classifier(3)
assert classifier(ids_BS, attention_BS).shape == (2, 3)
classifier.encoder.load_state_dict(masked_lm.encoder.state_dict())
print("ok")
"""

PRETRAIN = """
import numpy as np

from cmgems.distributed import World
from cmgems.errors import CmgemsError
from cmgems.masking import MaskedBatch
from cmgems.models import MODELS
from cmgems.plugins import load_plugins
from cmgems.training import (
    ComputeConfig, MaskedLMLoss, OptimConfig, build_optimizer, start_compute, train_step, validate
)

load_plugins()
model = MODELS.get("convolution_tiny").masked_lm()
attention_BS = np.arange(12) < np.array([[12], [5]])
ids_BS = np.where(attention_BS, 7, 0).astype(np.int32)
batch = MaskedBatch(ids_BS, attention_BS, np.array([2, 13]), np.array([8, 9]), "every_other")
config, loss, world = OptimConfig(warmup=0), MaskedLMLoss(model), World()
optimizer = build_optimizer(model, config)

def train(packing):
    compute = start_compute(ComputeConfig(device="cpu", precision="fp32", packing=packing), seed=0)
    for _ in range(2):
        assert train_step(model, loss, [batch], optimizer, config, 1e-3, compute, world).tokens == 17
    assert validate(model, [batch], compute, world).loss > 0

train("auto")
try:
    train("on")
except CmgemsError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    command = [sys.executable, "-m", "pip", "install", *options, str(TOP / "examples" / "plugin")]
    subprocess.run(command, check=True)
    return target


def run(script: str, plugin: Path) -> subprocess.CompletedProcess[str]:
    paths = [str(plugin), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )


def test_configs_can_name_the_components_of_an_installed_plugin(plugin: Path) -> None:
    done = run(SCRIPT, plugin)
    assert done.stdout.strip() == "ok", done.stderr


@pytest.mark.slow
def test_its_model_is_pretrained_on_padded_rows(plugin: Path) -> None:
    done = run(PRETRAIN, plugin)
    assert done.stdout.startswith("no packed rows for this model in compute.packing"), done.stderr

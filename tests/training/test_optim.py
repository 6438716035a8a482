"""What follows the warm-up, shares as warm-up, and rates by layer; test_step.py has the rest."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from cmgems.config import dump_config, load_config
from cmgems.errors import CmgemsError
from cmgems.models import MODELS
from cmgems.training import (
    OptimConfig,
    apply_gradients,
    build_optimizer,
    learning_rate,
)
from cmgems.training.optim import layer_shares
from cmgems.training.state import optimizer_tensors, restore_whole, write_training_files

FAMILIES = ["dnabert_tiny", "logo_tiny", "dnabert2_tiny", "nt_tiny", "nt_v2_tiny"]


def rates(steps, **options):
    return [learning_rate(OptimConfig(lr=1.0, **options), step, steps) for step in range(steps)]


def test_cosine():
    after = rates(110, warmup=10, schedule="cosine")[10:]
    assert after == pytest.approx([(1 + math.cos(math.pi * i / 100)) / 2 for i in range(100)])


def test_constant():
    assert rates(6, warmup=2, schedule="constant") == [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_a_share_as_warmup_is_that_many_steps(schedule):
    assert rates(200, warmup=0.1, schedule=schedule) == rates(200, warmup=20, schedule=schedule)
    assert rates(200, warmup=1, schedule=schedule)[0] == 1.0


@given(
    schedule=st.sampled_from(["linear", "cosine", "constant"]),
    warmup=st.one_of(st.integers(0, 300), st.floats(0, 1, exclude_max=True)),
    steps=st.integers(1, 200),
)
def test_every_schedule_rises_to_the_peak_once_and_never_again(schedule, warmup, steps):
    rate = rates(steps, warmup=warmup, schedule=schedule)
    assert all(0 < r <= 1 for r in rate)
    assert max(rate) == 1
    peak = rate.index(1)
    assert rate[: peak + 1] == sorted(rate[: peak + 1])
    assert rate[peak:] == sorted(rate[peak:], reverse=True)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("head", ["masked_lm", "classifier"])
def test_rates_fall_from_the_head_to_the_embeddings(name, head):
    model = MODELS.get(name).masked_lm() if head == "masked_lm" else MODELS.get(name).classifier(2)
    shares = layer_shares(model, 0.5)
    assert shares.keys() == dict(model.named_parameters()).keys()
    last_norm = name.startswith("nt")
    for parameter, share in shares.items():
        if parameter.startswith(("head.", "encoder.layers.1.")):
            assert share == 1
        elif parameter.startswith("encoder.layers.0."):
            assert share == 0.5
        elif parameter.startswith("encoder.norm."):
            assert share == (1 if last_norm else 0.25)
        else:
            assert share == 0.25


def test_a_group_for_each_rate_with_and_without_decay():
    model = MODELS.get("nt_v2_tiny").classifier(2)
    config = OptimConfig(lr=1.0, layer_decay=0.5)
    optimizer = build_optimizer(model, config)
    groups = [(g["lr"], g["weight_decay"]) for g in optimizer.param_groups]
    # The embedding is one matrix.
    assert sorted(groups) == [(0.25, 0.01), (0.5, 0.0), (0.5, 0.01), (1.0, 0.0), (1.0, 0.01)]
    name_of = {p: name for name, p in model.named_parameters()}
    shares = layer_shares(model, 0.5)
    for group in optimizer.param_groups:
        assert group["fused"]
        for parameter in group["params"]:
            assert group["lr"] == shares[name_of[parameter]]
            assert (group["weight_decay"] > 0) == (parameter.ndim > 1)
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(name_of)


def test_without_layer_decay_there_are_two_groups():
    optimizer = build_optimizer(MODELS.get("nt_v2_tiny").classifier(2), OptimConfig())
    assert [g["lr_share"] for g in optimizer.param_groups] == [1.0, 1.0]


def train(model, optimizer, config, count):
    for _ in range(count):
        model(torch.arange(5, 13)[None]).square().sum().backward()
        apply_gradients(model, optimizer, config, 0.01)


def test_lower_layers_take_smaller_steps():
    """Adam's first step is the learning rate itself, wherever there is a gradient."""
    config = OptimConfig(layer_decay=0.5, weight_decay=0.0, eps=1e-12, clip=0.0)
    torch.manual_seed(0)
    model = MODELS.get("logo_tiny").classifier(2)
    before = copy.deepcopy(model.state_dict())
    train(model, build_optimizer(model, config), config, 1)
    moved = {name: (p - before[name]).abs().max().item() for name, p in model.named_parameters()}
    assert moved["head.output.weight"] == pytest.approx(0.01, rel=1e-3)
    assert moved["encoder.layers.1.ffn_output.weight"] == pytest.approx(0.01, rel=1e-3)
    assert moved["encoder.layers.0.ffn_output.weight"] == pytest.approx(0.005, rel=1e-3)
    assert moved["encoder.word.weight"] == pytest.approx(0.0025, rel=1e-3)


def test_an_optimizer_of_ones_own_takes_the_whole_rate():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=9.0)
    model(torch.ones(1, 2)).sum().backward()
    apply_gradients(model, optimizer, OptimConfig(), 0.5)
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_layer_decay_resumes_to_the_bit(tmp_path):
    config = OptimConfig(layer_decay=0.7)
    torch.manual_seed(0)
    model = MODELS.get("logo_tiny").classifier(2)
    optimizer = build_optimizer(model, config)
    train(model, optimizer, config, 2)
    resumed = copy.deepcopy(model)
    write_training_files(tmp_path, optimizer_tensors(model, optimizer), "{}")
    train(model, optimizer, config, 2)
    again = build_optimizer(resumed, config)
    restore_whole(tmp_path, load_file(tmp_path / "training.safetensors"), resumed, again)
    train(resumed, again, config, 2)
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), model.parameters(), strict=True))


def test_frozen_parameters_are_left_out():
    model = MODELS.get("logo_tiny").classifier(2)
    model.encoder.requires_grad_(False)
    optimizer = build_optimizer(model, OptimConfig(layer_decay=0.5))
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in trained} == {id(p) for p in model.head.parameters()}


def test_layer_decay_needs_layers():
    assert layer_shares(nn.Linear(2, 2), 1.0) == {"weight": 1.0, "bias": 1.0}
    with pytest.raises(CmgemsError, match=r"no layers to tell apart in optim\.layer_decay"):
        build_optimizer(nn.Linear(2, 2), OptimConfig(layer_decay=0.9))


@pytest.mark.parametrize("text", ["500", "0.1", "0"])
def test_warmup_is_written_as_it_was_given(text):
    config = load_config(OptimConfig, None, [f"warmup={text}"])
    assert f"warmup: {text if text != '0' else '0.0'}\n" in dump_config(config)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"warmup": 1.5}, "`warmup` must be a whole number of steps or a share below 1"),
        ({"warmup": -0.1}, "0 or more"),
        ({"warmup": math.inf}, "`warmup` must be a whole number"),
        ({"beta1": 1.5}, "`beta1` and `beta2` must be"),
        ({"beta2": 1.0}, "`beta1` and `beta2` must be"),
        ({"eps": -1.0}, "`eps` 0 or more"),
        ({"layer_decay": 0.0}, "`layer_decay` must be above 0 and at most 1"),
        ({"layer_decay": 1.1}, "`layer_decay` must be above 0 and at most 1"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(CmgemsError, match=message):
        OptimConfig(**options)

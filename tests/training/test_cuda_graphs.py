from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cmgems.distributed import ALONE, World
from cmgems.errors import CmgemsError
from cmgems.models import MODELS
from cmgems.models.lora import LoraConfig, add_lora
from cmgems.training import Compute, begin_pass, choose_graphs

GPU = Compute(torch.device("cuda"), bf16=True, compiled=True, cuda_graphs="auto")
FEW, MANY = 10, 10**9  # tokens


def chosen(compute, tokens, world=ALONE):
    config = MODELS.get("logo_tiny")
    return choose_graphs(compute, config.masked_lm(), config, tokens, world).cuda_graphs


@pytest.mark.parametrize(
    ("setting", "tokens", "graphs"),
    [("auto", FEW, "on"), ("auto", MANY, "off"), ("on", MANY, "on"), ("off", FEW, "off")],
)
def test_graphs_are_for_short_passes(setting, tokens, graphs):
    assert chosen(replace(GPU, cuda_graphs=setting), tokens) == graphs


def test_adapters_make_a_pass_no_shorter():
    config = MODELS.get("logo_tiny")
    model = config.masked_lm()
    add_lora(model, LoraConfig())
    assert choose_graphs(GPU, model, config, MANY).cuda_graphs == "off"


@pytest.mark.parametrize(
    ("change", "world", "reason"),
    [
        ({"device": torch.device("cpu")}, ALONE, "compiled model on a GPU"),
        ({"compiled": False}, ALONE, "compiled model on a GPU"),
        ({"packing": "on"}, ALONE, "packed rows"),
        ({}, World(0, 2), "several processes"),
    ],
)
def test_where_there_can_be_none(change, world, reason):
    compute = replace(GPU, **change)
    assert chosen(compute, FEW, world) == "off"
    with pytest.raises(CmgemsError, match=rf"no CUDA graphs in compute.cuda_graphs: .*{reason}.*set compute"):
        chosen(replace(compute, cuda_graphs="on"), FEW, world)


@pytest.mark.parametrize(("graphs", "moved"), [("on", True), ("off", False)])
def test_the_next_pass_does_not_write_over_gradients(graphs, moved):
    model = torch.nn.Linear(2, 2)
    model.weight.grad = before = torch.ones(2, 2)
    begin_pass(replace(GPU, cuda_graphs=graphs), model)
    assert (model.weight.grad is not before) is moved
    assert torch.equal(model.weight.grad, before)
    assert model.bias.grad is None

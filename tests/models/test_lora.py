from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from cmgems.config import load_config
from cmgems.distributed import ALONE
from cmgems.errors import CheckpointError, CmgemsError, ConfigError
from cmgems.models import MODELS, load_model, save_model
from cmgems.models.lora import (
    TARGETS,
    LoraConfig,
    LoRALinear,
    add_lora,
    merge_lora,
)
from cmgems.runs import CheckpointConfig, Checkpoints
from cmgems.tokenization import TOKENIZERS
from cmgems.training import OptimConfig, Saver, apply_gradients, build_optimizer

SIZES = {"vocab_size": 69, "layers": 2, "hidden": 32, "heads": 4, "ffn": 48, "max_positions": 64}
FAMILIES = {
    "bert": MODELS.build("dnabert_tiny", **SIZES),
    "bert, projected": MODELS.build("logo_original", **SIZES, embedding=12),
    "dnabert2": MODELS.build("dnabert2_tiny", **SIZES),
    "nt_v1": MODELS.build("nt_tiny", **SIZES, pad_id=0, mask_id=4),
    "nt_v2": MODELS.build("nt_v2_tiny", **SIZES, pad_id=0),
}
each_family = pytest.mark.parametrize("config", FAMILIES.values(), ids=FAMILIES)
CONFIG = LoraConfig(r=3, alpha=6.0)


def classifier(config, seed=0):
    """A model larger than at initialisation, in evaluation mode."""
    torch.manual_seed(seed)
    model = config.classifier(3)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p), alpha=0.1)
    return model.eval()


def adapted(config, lora=CONFIG):
    """A classifier whose adapters have been trained, as it were."""
    model = classifier(config)
    add_lora(model, lora)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("lora_b"):
                p.normal_(std=0.1)
    return model.eval()


def batch():
    torch.manual_seed(1)
    real_BS = torch.arange(12) < torch.tensor([[12], [8]])
    return torch.randint(5, 69, (2, 12)) * real_BS, real_BS


def states_are_equal(ours, theirs):
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)


@each_family
@pytest.mark.parametrize("training", [False, True])
def test_nothing_changes_before_training(config, training):
    config = type(config)(**vars(config) | {"hidden_dropout": 0.0, "attention_dropout": 0.0})
    model = classifier(config)
    with_lora = copy.deepcopy(model)
    add_lora(with_lora, CONFIG)
    model.train(training)
    with_lora.train(training)
    assert torch.equal(with_lora(*batch()), model(*batch()))
    assert states_are_equal(merge_lora(with_lora).state_dict(), model.state_dict())


@each_family
def test_merged_is_unmerged(config):
    model = adapted(config)
    before = copy.deepcopy(model.state_dict())
    merged = merge_lora(model)
    plain = config.classifier(3).eval()
    plain.load_state_dict(merged.state_dict())
    expected = model(*batch())
    assert (expected - classifier(config)(*batch())).abs().max() > 1e-3
    for other in (merged, plain):
        torch.testing.assert_close(other(*batch()), expected, atol=1e-5, rtol=0)
    assert list(merged.state_dict()) == list(plain.state_dict())
    assert all(p.requires_grad for p in merged.parameters())
    assert states_are_equal(model.state_dict(), before)


@each_family
def test_only_adapters_and_head_are_trained(config):
    model = classifier(config)
    frozen = {name: p.detach().clone() for name, p in model.encoder.named_parameters()}
    add_lora(model, CONFIG)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {name for name in model.state_dict() if name.startswith("head.") or ".lora_" in name}
    optimizer = build_optimizer(model, OptimConfig())
    # B = 0 leaves A without a gradient in the first step.
    for _ in range(2):
        model.train()(*batch()).square().sum().backward()
        assert all((p.grad is not None) == p.requires_grad for p in model.parameters())
        apply_gradients(model, optimizer, OptimConfig(), 1e-2)
    assert all(p.any() for name, p in model.named_parameters() if "lora_b" in name)
    assert all(torch.equal(model.encoder.get_parameter(name), p) for name, p in frozen.items())


@pytest.mark.parametrize("training", [False, True])
def test_a_fused_projection_is_three_loras(training):
    torch.manual_seed(0)
    fused, x_BSI = nn.Linear(8, 12), torch.randn(2, 5, 8)
    lora = LoRALinear(fused, LoraConfig(r=2, alpha=3.0, dropout=0.0), (True, True, True)).train(training)
    nn.init.normal_(lora.lora_b)
    parts = zip(fused.weight.chunk(3), fused.bias.chunk(3), lora.lora_a.chunk(3), lora.lora_b, strict=True)
    separate = [x_BSI @ w.T + b + 3 / 2 * (x_BSI @ a.T @ up.T) for w, b, a, up in parts]
    torch.testing.assert_close(lora(x_BSI), torch.cat(separate, dim=-1), atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(
    adapted=st.lists(st.booleans(), min_size=1, max_size=4).filter(any),
    width=st.integers(1, 5),
    inputs=st.integers(1, 6),
    r=st.integers(1, 7),
    alpha=st.floats(0.1, 32),
    bias=st.booleans(),
)
def test_any_parts_of_any_layer(adapted, width, inputs, r, alpha, bias):
    layer = nn.Linear(inputs, width * len(adapted), bias=bias).double()
    lora = LoRALinear(layer, LoraConfig(r=r, alpha=alpha, dropout=0.0), adapted)
    x_BI = torch.randn(3, inputs, dtype=torch.float64)
    assert torch.equal(lora(x_BI), layer(x_BI))
    nn.init.normal_(lora.lora_b)
    updates, pairs = [], zip(lora.lora_a.split(r), lora.lora_b, strict=True)
    for part in adapted:
        a, up = next(pairs) if part else (torch.zeros(1, inputs).double(), torch.zeros(width, 1).double())
        updates.append(x_BI @ a.T @ up.T * alpha / r)
    torch.testing.assert_close(lora(x_BI), layer(x_BI) + torch.cat(updates, dim=-1))
    torch.testing.assert_close(lora.merged()(x_BI), lora(x_BI), atol=1e-4, rtol=1e-5)


def test_targets():
    model = adapted(FAMILIES["bert"], LoraConfig(targets=("query", "value")))
    plain = classifier(FAMILIES["bert"])
    changed = {
        name
        for name, tensor in merge_lora(model).encoder.state_dict().items()
        if not torch.equal(tensor, plain.encoder.state_dict()[name])
    }
    assert changed == {"layers.0.qkv.weight", "layers.1.qkv.weight"}
    query, key, value = merge_lora(model).encoder.layers[0].qkv.weight.chunk(3)
    before = plain.encoder.layers[0].qkv.weight.chunk(3)
    assert torch.equal(key, before[1])
    assert not torch.equal(query, before[0])
    assert not torch.equal(value, before[2])


def test_number_of_trained_parameters():
    with torch.device("meta"):
        model = MODELS.get("nt_v2_50m").classifier(2)
        total = sum(p.numel() for p in model.parameters())
        add_lora(model, LoraConfig())
    trained = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    in_a_layer = {"qkv": (512, 3 * 512, 3), "attention_output": (512, 512, 1)}
    in_a_layer |= {"ffn_input": (512, 2 * 2048, 1), "ffn_output": (2048, 512, 1)}
    pairs = sum(8 * (parts * inputs + outputs) for inputs, outputs, parts in in_a_layer.values())
    head = 512 * 512 + 512 + 2 * 512 + 2
    assert sum(trained.values()) == 12 * pairs + head == 1_345_026
    assert sum(p.numel() for p in model.parameters()) == total + 12 * pairs


def test_the_published_targets_are_all_linear_layers():
    """query, key, value and dense, the name of the other three in Hugging Face's ESM."""
    model = adapted(FAMILIES["nt_v2"], LoraConfig())
    layer = model.encoder.layers[0]
    assert [m for m in layer.modules() if isinstance(m, nn.Linear)] == []
    assert len([m for m in layer.modules() if isinstance(m, LoRALinear)]) == 4
    assert LoraConfig() == LoraConfig(r=8, alpha=16.0, dropout=0.05, targets=TARGETS)


@pytest.mark.parametrize("family", ["bert", "dnabert2", "nt_v2"])
def test_compiles_without_graph_breaks(family):
    # Compiled, a model draws its dropout differently.
    model = adapted(replace(FAMILIES[family], hidden_dropout=0.0, attention_dropout=0.0)).train()
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)
    torch.manual_seed(2)
    expected = model(*batch())
    torch.manual_seed(2)
    torch.testing.assert_close(compiled(*batch()), expected)
    compiled(*batch()).sum().backward()
    assert model.encoder.layers[0].qkv.lora_a.grad.abs().sum() > 0


@each_family
def test_bf16_autocast(config):
    model = adapted(config)
    with torch.autocast("cpu", torch.bfloat16):
        logits_BC = model(*batch())
        logits_BC.float().sum().backward()
    assert logits_BC.dtype == torch.bfloat16
    torch.testing.assert_close(logits_BC.float(), model(*batch()), atol=0.05, rtol=0)
    assert model.encoder.layers[1].ffn_output.lora_b.grad.dtype == torch.float32


def test_dropout_acts_on_the_update_in_training_only():
    layer = nn.Linear(16, 4)
    lora = LoRALinear(layer, LoraConfig(dropout=0.5))
    x_BI = torch.randn(3, 16)
    assert torch.equal(lora.train()(x_BI), layer(x_BI))
    nn.init.normal_(lora.lora_b)
    assert not torch.equal(lora(x_BI), lora(x_BI))
    assert torch.equal(lora.eval()(x_BI), lora(x_BI))


def test_saved_merged_models_load_anywhere(tmp_path):
    config, tokenizer = FAMILIES["nt_v2"], TOKENIZERS.get("kmer3")
    model = adapted(config)
    save_model(
        tmp_path,
        merge_lora(model),
        model_name="nt_v2_tiny",
        config=config,
        head="classification",
        tokenizer_name="kmer3",
        tokenizer=tokenizer,
        labels=["a", "b", "c"],
    )
    loaded = load_model(tmp_path).model
    assert not any(isinstance(module, LoRALinear) for module in loaded.modules())
    torch.testing.assert_close(loaded(*batch()), model(*batch()), atol=1e-5, rtol=0)


def steps(model, optimizer, count):
    model.train()
    for _ in range(count):
        model(*batch()).square().sum().backward()
        apply_gradients(model, optimizer, OptimConfig(), 1e-2)


def saver_of(folder, model, optimizer):
    form = copy.deepcopy(model)

    def merged(weights):
        form.load_state_dict(weights, strict=False)
        return merge_lora(form).state_dict()

    def write_model(path, weights, step):
        assert states_are_equal(weights, merge_lora(model).state_dict())
        save_file(dict(weights), path / "model.safetensors")

    config = CheckpointConfig()
    return Saver(Checkpoints(folder), config, model, optimizer, ALONE, write_model, merged)


def test_training_resumes_to_the_bit(tmp_path):
    config = FAMILIES["bert"]
    model = adapted(config)
    optimizer = build_optimizer(model, OptimConfig())
    steps(model, optimizer, 3)
    saver_of(tmp_path, model, optimizer).save(3, {})
    steps(model, optimizer, 3)

    resumed = classifier(config)
    add_lora(resumed, CONFIG)
    again = build_optimizer(resumed, OptimConfig())
    assert saver_of(tmp_path, resumed, again).resume() is not None
    steps(resumed, again, 3)
    assert states_are_equal(resumed.state_dict(), model.state_dict())


def test_adapters_go_with_the_weights_they_were_trained_beside(tmp_path):
    config = FAMILIES["bert"]
    model = adapted(config)
    saver_of(tmp_path, model, build_optimizer(model, OptimConfig())).save(1, {})
    other = classifier(config, seed=5)
    add_lora(other, CONFIG)
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(CheckpointError, match="checkpoint of another start"):
        saver_of(tmp_path, other, build_optimizer(other, OptimConfig())).resume()
    wider = adapted(config, LoraConfig())
    with pytest.raises(CheckpointError, match=r"lora_a is \[\d+, 32\], not \[\d+, 32\]"):
        saver_of(tmp_path, wider, build_optimizer(wider, OptimConfig())).resume()
    assert states_are_equal(other.state_dict(), before)


def test_a_model_without_such_layers():
    model = nn.Sequential()
    model.encoder = nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 4))
    with pytest.raises(CmgemsError, match="no layer to adapt"):
        add_lora(model, CONFIG)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r": 0}, "`r` must be 1"),
        ({"alpha": 0.0}, "`alpha` must be above 0"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\)"),
        ({"targets": ()}, "`targets` must name a layer"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(CmgemsError, match=message):
        LoraConfig(**options)


def test_targets_are_read_from_a_config():
    read = load_config(LoraConfig, None, ["targets=query,value", "r=4"])
    assert read == LoraConfig(r=4, targets=("query", "value"))
    with pytest.raises(ConfigError, match="ffn_output"):
        load_config(LoraConfig, None, ["targets=queries"])

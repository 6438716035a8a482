"""The BERT family by itself; tests/parity compares it with transformers."""

from dataclasses import replace

import pytest
import torch

from cmgems.errors import CheckpointError, CmgemsError
from cmgems.models import MODELS, BertConfig

TINY = MODELS.build("dnabert_tiny", vocab_size=69)


def parameters(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("name", "count"), [("dnabert", 89_196_549), ("logo", 4_933_125)])
def test_parameter_counts_are_the_published_ones(name, count):
    with torch.device("meta"):
        assert parameters(MODELS.get(name).masked_lm()) == count


@pytest.mark.parametrize("name", ["dnabert_tiny", "logo_small", "logo_tiny"])
def test_presets_run(name):
    config = MODELS.build(name, vocab_size=69)
    ids_BS = torch.randint(5, 69, (2, 7))
    assert config.masked_lm()(ids_BS).shape == (2, 7, 69)
    assert config.classifier(3)(ids_BS).shape == (2, 3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden": 30, "heads": 4}, "hidden is 30, heads is 4"),
        ({"heads": 0}, "heads must be positive"),
        ({"hidden_dropout": 1.0}, "hidden_dropout must be in"),
    ],
)
def test_impossible_sizes_are_refused(fields, message):
    with pytest.raises(CmgemsError, match=message):
        BertConfig(**fields)


def test_another_activation_is_refused():
    info = TINY.huggingface_config("masked_lm")
    assert BertConfig.read_huggingface_config(info) == TINY
    with pytest.raises(CheckpointError, match="another model: hidden_act is 'relu'"):
        BertConfig.read_huggingface_config(info | {"hidden_act": "relu"})


def test_initialisation():
    torch.manual_seed(0)
    model = BertConfig(layers=1, hidden=64, heads=4, ffn=256).masked_lm()
    for name, p in model.named_parameters():
        if name.endswith("norm.weight"):
            assert (p == 1).all(), name
        elif name.endswith("bias"):
            assert (p == 0).all(), name
        elif name != "encoder.token_type.weight":
            assert p.std().item() == pytest.approx(0.02, rel=0.05), name
    assert (model.encoder.word.weight[0] == 0).all()


def test_padding_changes_nothing():
    model = TINY.masked_lm().eval()
    ids_BS = torch.randint(5, 69, (1, 6))
    padded_BS = torch.nn.functional.pad(ids_BS, (0, 4))
    padded = model(padded_BS, padded_BS != 0)[:, :6]
    torch.testing.assert_close(padded, model(ids_BS), atol=1e-6, rtol=0)


def test_mask_of_ones_is_no_mask():
    model = TINY.masked_lm().eval()
    ids_BS = torch.randint(5, 69, (2, 6))
    torch.testing.assert_close(
        model(ids_BS, torch.ones(2, 6, dtype=torch.bool)), model(ids_BS), atol=1e-6, rtol=0
    )


def test_chosen_positions_equal_the_gathered_full_logits():
    torch.manual_seed(0)
    model = TINY.masked_lm().eval()
    ids_BS = torch.randint(5, 69, (3, 8))
    positions_M = torch.tensor([0, 5, 8, 23, 0])  # padded lists repeat a position
    full_NV = model(ids_BS).flatten(0, 1)
    torch.testing.assert_close(
        model(ids_BS, positions_M=positions_M), full_NV[positions_M], atol=1e-6, rtol=0
    )

    weights = dict(model.named_parameters())
    loss_M = model(ids_BS, positions_M=positions_M).logsumexp(-1)
    chosen = torch.autograd.grad(loss_M.sum(), list(weights.values()))
    full = torch.autograd.grad(
        model(ids_BS).flatten(0, 1).logsumexp(-1)[positions_M].sum(), list(weights.values())
    )
    for name, ours, theirs in zip(weights, chosen, full, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0, msg=name)


@pytest.mark.parametrize("kind", ["hidden_dropout", "attention_dropout"])
def test_dropout_acts_in_training_only(kind):
    off = replace(TINY, hidden_dropout=0.0, attention_dropout=0.0)
    ids_BS = torch.randint(5, 69, (2, 8))
    model = replace(off, **{kind: 0.5}).masked_lm()
    assert not torch.equal(model(ids_BS), model(ids_BS))
    model.eval()
    assert torch.equal(model(ids_BS), model(ids_BS))
    model = off.masked_lm().train()
    assert torch.equal(model(ids_BS), model(ids_BS))


# tests/models/test_families.py compiles the masked_lm of every family.
@pytest.mark.slow
@pytest.mark.parametrize("head", ["masked_lm", "classification"])
def test_compiles_without_graph_breaks(head):
    torch.compiler.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    config = replace(TINY, layers=1, hidden_dropout=0.0, attention_dropout=0.0)
    model = config.masked_lm() if head == "masked_lm" else config.classifier(2)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for tokens in (8, 12, 16):
        ids_BS = torch.randint(5, 69, (2, tokens))
        real_BS = torch.arange(tokens) < torch.tensor([[tokens], [tokens - 3]])
        inputs = (ids_BS, real_BS)
        if head == "masked_lm":
            inputs += (torch.tensor([1, 4, tokens + 2]),)
        expected, actual = model(*inputs), compiled(*inputs)
        torch.testing.assert_close(actual, expected, atol=1e-6, rtol=0)
        actual.sum().backward()
    assert counters["stats"]["unique_graphs"] <= 2, "one static graph, one for any length"

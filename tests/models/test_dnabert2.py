"""DNABERT-2 against its formulas; what all families must do is in test_families.py."""

import importlib.util
import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmgems.errors import CheckpointError
from cmgems.models import MODELS
from cmgems.models.dnabert2 import alibi_slopes
from cmgems.models.packing import alibi_bias

_spec = importlib.util.spec_from_file_location("models_reference", Path(__file__).with_name("reference.py"))
assert _spec is not None
assert _spec.loader is not None
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

CONFIG = MODELS.build("dnabert2_tiny", vocab_size=40, hidden=48, heads=12, ffn=20)
PUBLISHED_SLOPES = [2**-e for e in (1, 2, 3, 4, 5, 6, 7, 8, 0.5, 1.5, 2.5, 3.5)]
PAD = 3
TOLERANCE = {"atol": 1e-5, "rtol": 0.0}


def make(head):
    """A model larger than at initialisation, and its tensors in float64 under the published names."""
    torch.manual_seed(0)
    model = CONFIG.masked_lm() if head == "masked_lm" else CONFIG.classifier(3)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p), alpha=0.1)
    state = CONFIG.to_huggingface({name: p.detach() for name, p in model.named_parameters()})
    return model.eval(), {name: tensor.double().requires_grad_() for name, tensor in state.items()}


def batch():
    ids_BS = torch.randint(5, 40, (2, 9))
    real_BS = torch.arange(9) < torch.tensor([[9], [5]])
    return torch.where(real_BS, ids_BS, PAD), real_BS


def hidden(state, row):
    return reference.dnabert2(state, row.tolist(), CONFIG.layers, CONFIG.heads, PUBLISHED_SLOPES)


def assert_same_gradients(model, state):
    expected = CONFIG.from_huggingface({name: tensor.grad for name, tensor in state.items()})
    for name, p in model.named_parameters():
        torch.testing.assert_close(
            p.grad.double(), expected[name], **TOLERANCE, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_masked_lm_equals_the_formulas():
    model, state = make("masked_lm")
    ids_BS, real_BS = batch()
    actual_NV = model(ids_BS, real_BS)[real_BS]
    expected_NV = torch.cat(
        [
            reference.dnabert2_logits(state, hidden(state, row[real]))
            for row, real in zip(ids_BS, real_BS, strict=True)
        ]
    )
    torch.testing.assert_close(actual_NV.double(), expected_NV, **TOLERANCE)
    # The reference has no padding row; what ours does with it is tested below.
    assert not (ids_BS == CONFIG.padding_row).any()
    actual_NV.logsumexp(-1).mean().backward()
    expected_NV.logsumexp(-1).mean().backward()
    assert_same_gradients(model, state)


def test_classifier_equals_the_formulas():
    model, state = make("classification")
    ids_BS, real_BS = batch()
    actual_BC = model(ids_BS, real_BS)
    first = [hidden(state, row[real])[0] for row, real in zip(ids_BS, real_BS, strict=True)]
    pooled = [torch.tanh(reference.linear(v, state, "bert.pooler.dense")) for v in first]
    expected_BC = torch.stack([reference.linear(v, state, "classifier") for v in pooled])
    torch.testing.assert_close(actual_BC.double(), expected_BC, **TOLERANCE)
    actual_BC.logsumexp(-1).mean().backward()
    expected_BC.logsumexp(-1).mean().backward()
    assert_same_gradients(model, state)


def test_slopes_of_twelve_heads_are_the_published_ones():
    assert alibi_slopes(12) == PUBLISHED_SLOPES


@given(st.integers(1, 200))
def test_slopes_of_any_number_of_heads(heads):
    slopes = alibi_slopes(heads)
    assert len(set(slopes)) == heads
    assert all(2**-8 <= slope < 1 for slope in slopes)
    if heads & (heads - 1) == 0:
        ratios = {b / a for a, b in itertools.pairwise(slopes)}
        assert all(ratio == pytest.approx(2 ** (-8 / heads)) for ratio in ratios)
    # A prefix of the slopes of fewer heads, and the rest among those of twice the power of two.
    power = 2 ** (len(bin(heads)) - 3)
    assert slopes[:power] == alibi_slopes(power)
    assert set(slopes[power:]) <= set(alibi_slopes(2 * power)[0::2])


def test_distance_counts_in_both_directions():
    bias_HSS = alibi_bias(CONFIG.masked_lm().encoder.slopes_H, 6)
    assert torch.equal(bias_HSS, bias_HSS.transpose(1, 2))
    assert bias_HSS[0].tolist()[0] == [0, -0.5, -1, -1.5, -2, -2.5]


def test_rows_may_be_longer_than_in_training():
    model = CONFIG.masked_lm().eval()
    assert model(torch.full((1, CONFIG.max_positions + 50), 7)).isfinite().all()


def test_padding_row_is_that_of_unk():
    model = CONFIG.masked_lm()
    words = model.encoder.word
    assert (words.weight[0] == 0).all()
    assert (words.weight[PAD] != 0).any()
    model.encoder(torch.tensor([[0, PAD, 7]])).square().sum().backward()
    assert (words.weight.grad[0] == 0).all()
    assert (words.weight.grad[PAD] != 0).any()


def test_dropout_falls_on_the_gated_units():
    """MosaicBERT's place: before the second matrix of the feed-forward layer, whose own output is kept whole."""
    torch.manual_seed(0)
    layer = MODELS.build("dnabert2_tiny", hidden_dropout=0.5).masked_lm().encoder.layers[0].train()
    seen = []
    layer.ffn_output.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    layer.ffn_norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    layer.attention_norm.register_forward_hook(lambda _, __, output: seen.append(output))
    layer(torch.randn(2, 5, 32), torch.zeros(1, 4, 5, 5))
    after_attention, units, before_norm = seen
    assert 0.35 < (units == 0).float().mean() < 0.65
    torch.testing.assert_close(before_norm, after_attention + layer.ffn_output(units))


def test_the_decoder_must_be_tied():
    state = CONFIG.to_huggingface(CONFIG.masked_lm().state_dict())
    words = state["bert.embeddings.word_embeddings.weight"]
    theirs = state | {"cls.predictions.decoder.weight": words.clone()}
    theirs["cls.predictions.decoder.bias"] = theirs.pop("cls.predictions.bias")
    ours = CONFIG.from_huggingface(theirs)
    assert torch.equal(ours["encoder.word.weight"], words)
    assert "head.bias" in ours
    with pytest.raises(CheckpointError, match="decoder not tied"):
        CONFIG.from_huggingface(theirs | {"cls.predictions.decoder.weight": words + 1})

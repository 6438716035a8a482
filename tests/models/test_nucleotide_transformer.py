"""NT v2 against its formulas, and what v1 and v2 do with ids and published tensors.

tests/parity compares v1 with transformers; what all families must do is in test_families.py.
"""

import importlib.util
from pathlib import Path

import pytest
import torch

from cmgems.errors import CheckpointError
from cmgems.models import MODELS

_spec = importlib.util.spec_from_file_location("models_reference", Path(__file__).with_name("reference.py"))
assert _spec is not None
assert _spec.loader is not None
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

V1 = MODELS.build("nt_tiny", vocab_size=40)
V2 = MODELS.build("nt_v2_tiny", vocab_size=40, hidden=24, heads=3, ffn=20)
PAD = 1
TOLERANCE = {"atol": 1e-5, "rtol": 0.0}


def make(head):
    """A v2 model larger than at initialisation, and its tensors in float64 under the published names."""
    torch.manual_seed(0)
    model = V2.masked_lm() if head == "masked_lm" else V2.classifier(3)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p), alpha=0.1)
    state = V2.to_huggingface({name: p.detach() for name, p in model.named_parameters()})
    return model.eval(), {name: tensor.double().requires_grad_() for name, tensor in state.items()}


def batch():
    ids_BS = torch.randint(2, 40, (2, 9))
    real_BS = torch.arange(9) < torch.tensor([[9], [5]])
    return torch.where(real_BS, ids_BS, PAD), real_BS


def hidden(state, row):
    return reference.nt_v2(state, row.tolist(), V2.layers, V2.heads)


def assert_same_gradients(model, state):
    expected = V2.from_huggingface({name: tensor.grad for name, tensor in state.items()})
    for name, p in model.named_parameters():
        torch.testing.assert_close(
            p.grad.double(), expected[name], **TOLERANCE, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_v2_masked_lm_equals_the_formulas():
    model, state = make("masked_lm")
    ids_BS, real_BS = batch()
    actual_NV = model(ids_BS, real_BS)[real_BS]
    expected_NV = torch.cat(
        [
            reference.nt_logits(state, hidden(state, row[real]))
            for row, real in zip(ids_BS, real_BS, strict=True)
        ]
    )
    torch.testing.assert_close(actual_NV.double(), expected_NV, **TOLERANCE)
    actual_NV.logsumexp(-1).mean().backward()
    expected_NV.logsumexp(-1).mean().backward()
    assert_same_gradients(model, state)


def test_v2_classifier_equals_the_formulas():
    model, state = make("classification")
    ids_BS, real_BS = batch()
    actual_BC = model(ids_BS, real_BS)
    first = [hidden(state, row[real])[0] for row, real in zip(ids_BS, real_BS, strict=True)]
    pooled = [torch.tanh(reference.linear(v, state, "classifier.dense")) for v in first]
    expected_BC = torch.stack([reference.linear(v, state, "classifier.out_proj") for v in pooled])
    torch.testing.assert_close(actual_BC.double(), expected_BC, **TOLERANCE)
    actual_BC.logsumexp(-1).mean().backward()
    expected_BC.logsumexp(-1).mean().backward()
    assert_same_gradients(model, state)


def test_v2_takes_rows_longer_than_in_training():
    model = V2.masked_lm().eval()
    assert model(torch.full((1, V2.max_positions + 2), 7)).isfinite().all()


def test_v2_leaves_out_what_published_checkpoints_hold_for_nothing():
    expected = V2.masked_lm().state_dict()
    frequencies = 10_000.0 ** (-torch.arange(0, 8, 2) / 8)
    name = "esm.encoder.layer.{}.attention.self.rotary_embeddings.inv_freq"
    theirs = V2.to_huggingface(expected) | {
        "esm.embeddings.position_embeddings.weight": torch.ones(2050, 24),
        "esm.embeddings.position_ids": torch.arange(2050)[None],
        "esm.contact_head.regression.weight": torch.ones(1, 6),
        "esm.contact_head.regression.bias": torch.ones(1),
        name.format(0): frequencies,
        name.format(1): frequencies.half(),
    }
    ours = V2.from_huggingface(theirs)
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[key], expected[key]) for key in expected)
    with pytest.raises(CheckpointError, match=r"other rotary frequencies in esm\.encoder\.layer\.1\."):
        V2.from_huggingface(theirs | {name.format(1): 500_000.0 ** (-torch.arange(0, 8, 2) / 8)})
    with pytest.raises(CheckpointError, match=r"unknown tensors: esm\.embeddings\.layer_norm"):
        V2.from_huggingface(theirs | {"esm.embeddings.layer_norm.weight": torch.ones(24)})


def test_v1_leaves_out_what_published_checkpoints_hold_for_nothing():
    expected = V1.masked_lm().state_dict()
    theirs = V1.to_huggingface(expected) | {"esm.embeddings.position_ids": torch.arange(1002)[None]}
    ours = V1.from_huggingface(theirs)
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[key], expected[key]) for key in expected)
    with pytest.raises(CheckpointError, match=r"missing tensors: .*\.0\.attention\.self\.value\.bias"):
        V1.from_huggingface(
            {n: t for n, t in theirs.items() if not n.endswith("layer.0.attention.self.value.bias")}
        )


def embedded(encoder, ids_BS, real_BS=None):
    return encoder.outputs(ids_BS, real_BS, hidden_states=True).hidden_states[0]


def test_v1_positions_are_counted_over_what_is_not_padding():
    encoder = V1.classifier(2).encoder
    encoder.token_dropout = False
    positions = encoder.position.weight
    ids_BS = torch.tensor([[5, 6, PAD, 7, PAD]])
    expected_SD = encoder.word.weight[ids_BS[0]] + positions[torch.tensor([2, 3, 1, 4, 1])]
    assert torch.equal(embedded(encoder, ids_BS)[0], expected_SD)
    assert (positions[1] == 0).all()
    assert V1.max_positions + 2 == len(positions) == 1002
    assert encoder(torch.full((1, 1000), 5)).isfinite().all()


def test_v1_scales_embeddings_for_the_share_of_masked_tokens():
    encoder = V1.classifier(2).encoder
    torch.nn.init.zeros_(encoder.position.weight)
    word = encoder.word.weight
    ids_BS = torch.tensor([[5, 2, 6, 7, 2], [5, 6, 2, PAD, PAD], [5, 6, 7, 8, 9]])
    real_BS = ids_BS != PAD
    x_BSD = embedded(encoder, ids_BS, real_BS)
    for b, share in enumerate((2 / 5, 1 / 3, 0)):
        scale = (1 - 0.12) / (1 - share)
        torch.testing.assert_close(x_BSD[b, 0], word[5] * scale)
        assert (x_BSD[b][ids_BS[b] == 2] == 0).all()
    # Without a mask, padding counts as tokens, as in transformers.
    torch.testing.assert_close(embedded(encoder, ids_BS)[1, 0], word[5] * 0.88 / (1 - 1 / 5))

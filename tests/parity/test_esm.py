"""Our NT v1 against transformers' ESM on the same small random weights: logits, gradients, states, attentions."""

import json
import os
from typing import get_args

import pytest
import safetensors.torch
import torch

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")

from cmgems.export import import_huggingface_state  # noqa: E402
from cmgems.models import MODELS, Head, build_model  # noqa: E402
from tests.parity.common import assert_same_gradients, hf_inputs  # noqa: E402

CONFIG = MODELS.build("nt_tiny", vocab_size=69)
CLASSES = {
    "masked_lm": transformers.EsmForMaskedLM,
    "classification": transformers.EsmForSequenceClassification,
    "token_classification": transformers.EsmForTokenClassification,
}
PAD, MASK = 1, 2
TOLERANCE = {"atol": 1e-5, "rtol": 0.0}


def pair(head):
    """Ours and transformers' model with the same weights, larger than at initialisation."""
    torch.manual_seed(0)
    hf_config = transformers.EsmConfig(**CONFIG.huggingface_config(head), num_labels=3)
    hf_config._attn_implementation = "eager"
    theirs = CLASSES[head](hf_config)
    with torch.no_grad():
        for name, p in theirs.named_parameters():
            p.add_(torch.randn_like(p), alpha=0.1)
            if name.endswith(("word_embeddings.weight", "position_embeddings.weight")):
                p[PAD] = 0
    ours = build_model(CONFIG, head, 3)
    ours.load_state_dict(import_huggingface_state(CONFIG, theirs.state_dict()))
    return ours, theirs


# Before version 5 transformers counted padding when it took the share of <mask> in a row.
COUNTS_PADDING = transformers.__version__.startswith("4.")


def batch(padded, masked):
    if COUNTS_PADDING and padded and masked:
        pytest.skip("transformers 4 scales padded rows with <mask> by another share")
    ids_BS = torch.randint(3, 69, (3, 16))
    if masked:
        ids_BS[0, [2, 3, 9]] = MASK
        ids_BS[1, 1:6] = MASK
    if not padded:
        return ids_BS, None
    real_BS = torch.arange(16) < torch.tensor([[16], [9], [3]])
    return torch.where(real_BS, ids_BS, PAD), real_BS


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_masked_lm(padded, masked):
    ours, theirs = pair("masked_lm")
    ids_BS, real_BS = batch(padded, masked)
    keep_BS = torch.ones_like(ids_BS, dtype=torch.bool) if real_BS is None else real_BS
    expected_NV = theirs(**hf_inputs(ids_BS, real_BS)).logits[keep_BS]
    torch.testing.assert_close(ours(ids_BS, real_BS)[keep_BS], expected_NV, **TOLERANCE)

    positions_M = keep_BS.flatten().nonzero().flatten()
    actual_NV = ours(ids_BS, real_BS, positions_M)
    actual_NV.logsumexp(-1).mean().backward()
    expected_NV.logsumexp(-1).mean().backward()
    assert_same_gradients(CONFIG, ours, theirs, TOLERANCE)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("head", ["classification", "token_classification"])
def test_classifiers(padded, head):
    ours, theirs = pair(head)
    ids_BS, real_BS = batch(padded, masked=False)
    expected, actual = theirs(**hf_inputs(ids_BS, real_BS)).logits, ours(ids_BS, real_BS)
    assert actual.shape == expected.shape
    if head == "token_classification" and padded:
        expected, actual = expected[real_BS], actual[real_BS]
    torch.testing.assert_close(actual, expected, **TOLERANCE)
    expected.logsumexp(-1).mean().backward()
    actual.logsumexp(-1).mean().backward()
    assert_same_gradients(CONFIG, ours, theirs, TOLERANCE)


@pytest.mark.parametrize("padded", [False, True])
def test_hidden_states_and_attentions(padded):
    ours, theirs = (model.eval() for model in pair("masked_lm"))
    ids_BS, real_BS = batch(padded, masked=True)
    keep_BS = torch.ones_like(ids_BS, dtype=torch.bool) if real_BS is None else real_BS
    inputs = hf_inputs(ids_BS, real_BS)
    expected = theirs(**inputs, output_hidden_states=True, output_attentions=True)
    actual = ours.encoder.outputs(ids_BS, real_BS, hidden_states=True, attentions=True)
    # Nothing looks at padding, and transformers zeroes its embeddings.
    for a, e in zip(actual.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(a[keep_BS], e[keep_BS], **TOLERANCE)
    for a, e in zip(actual.attentions, expected.attentions, strict=True):
        a_NHS, e_NHS = (p.transpose(1, 2)[keep_BS] for p in (a, e))
        torch.testing.assert_close(a_NHS, e_NHS, **TOLERANCE)


@pytest.mark.parametrize("head", [head for head in get_args(Head) if head != "encoder"])
def test_transformers_loads_every_tensor(tmp_path, head):
    torch.manual_seed(0)
    model = build_model(CONFIG, head, 3).eval()
    labels = {} if head == "masked_lm" else {"id2label": {i: str(i) for i in range(3)}}
    (tmp_path / "config.json").write_text(json.dumps(CONFIG.huggingface_config(head) | labels))
    state = CONFIG.to_huggingface(model.state_dict())
    (tmp_path / "model.safetensors").write_bytes(safetensors.torch.save(state, metadata={"format": "pt"}))
    cls = CLASSES.get(head, CLASSES["classification"])
    theirs, info = cls.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert theirs.config.architectures == [cls.__name__]
    ids_BS, real_BS = batch(padded=True, masked=not COUNTS_PADDING)
    expected, actual = theirs(**hf_inputs(ids_BS, real_BS)).logits, model(ids_BS, real_BS)
    if head in ("masked_lm", "token_classification"):
        expected, actual = expected[real_BS], actual[real_BS]
    torch.testing.assert_close(actual, expected, **TOLERANCE)

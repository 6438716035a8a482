"""Our BERT against transformers' on the same small random weights: logits, gradients, states, attentions."""

import os

import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")

from cmgems.export import import_huggingface_state  # noqa: E402
from cmgems.models import MODELS, build_model  # noqa: E402
from tests.parity.common import assert_same_gradients  # noqa: E402

CONFIG = MODELS.build("dnabert_tiny", vocab_size=69, hidden_dropout=0.0, attention_dropout=0.0)
CLASSES = {
    "masked_lm": transformers.BertForMaskedLM,
    "classification": transformers.BertForSequenceClassification,
    "multi_label": transformers.BertForSequenceClassification,
    "regression": transformers.BertForSequenceClassification,
    "token_classification": transformers.BertForTokenClassification,
}
TOLERANCE = {"atol": 1e-5, "rtol": 0.0}


def pair(head):
    """Ours and transformers' model with the same weights, larger than at initialisation."""
    torch.manual_seed(0)
    hf_config = transformers.BertConfig(**CONFIG.huggingface_config(head), num_labels=3)
    hf_config._attn_implementation = "eager"
    theirs = CLASSES[head](hf_config)
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(torch.randn_like(p), alpha=0.1)
    ours = build_model(CONFIG, head, 3)
    ours.load_state_dict(import_huggingface_state(CONFIG, theirs.state_dict()))
    return ours, theirs


def batch(padded):
    ids_BS = torch.randint(5, 69, (3, 16))
    if not padded:
        return ids_BS, None
    real_BS = torch.arange(16) < torch.tensor([[16], [9], [3]])
    return ids_BS * real_BS, real_BS


@pytest.mark.parametrize("padded", [False, True])
def test_masked_lm(padded):
    ours, theirs = pair("masked_lm")
    ids_BS, real_BS = batch(padded)
    labels_BS = torch.where(torch.rand(3, 16) < 0.3, torch.randint(5, 69, (3, 16)), -100)
    if real_BS is not None:
        labels_BS[~real_BS] = -100
    output = theirs(ids_BS, attention_mask=None if real_BS is None else real_BS.long(), labels=labels_BS)
    output.loss.backward()

    logits_BSV = ours(ids_BS, real_BS)
    keep_BS = torch.ones_like(ids_BS, dtype=torch.bool) if real_BS is None else real_BS
    torch.testing.assert_close(logits_BSV[keep_BS], output.logits[keep_BS], **TOLERANCE)

    positions_M = (labels_BS.flatten() != -100).nonzero().flatten()
    logits_MV = ours(ids_BS, real_BS, positions_M)
    torch.nn.functional.cross_entropy(logits_MV, labels_BS.flatten()[positions_M]).backward()
    assert_same_gradients(CONFIG, ours, theirs, TOLERANCE)


def test_masked_lm_with_attended_padding():
    """DNABERT's own pretraining passes no attention mask."""
    ours, theirs = pair("masked_lm")
    ids_BS, _ = batch(padded=True)
    # transformers warns about padding without a mask, and attends to it.
    expected = theirs(ids_BS, attention_mask=torch.ones_like(ids_BS)).logits
    actual = ours(ids_BS)
    torch.testing.assert_close(actual, expected, **TOLERANCE)
    expected.logsumexp(-1).mean().backward()
    actual.logsumexp(-1).mean().backward()
    assert_same_gradients(CONFIG, ours, theirs, TOLERANCE)


@pytest.mark.parametrize("padded", [False, True])
def test_classifier(padded):
    ours, theirs = pair("classification")
    ids_BS, real_BS = batch(padded)
    labels_B = torch.tensor([0, 2, 1])
    output = theirs(ids_BS, attention_mask=None if real_BS is None else real_BS.long(), labels=labels_B)
    output.loss.backward()
    logits_BC = ours(ids_BS, real_BS)
    torch.testing.assert_close(logits_BC, output.logits, **TOLERANCE)
    torch.nn.functional.cross_entropy(logits_BC, labels_B).backward()
    assert_same_gradients(CONFIG, ours, theirs, TOLERANCE)


@pytest.mark.parametrize("head", ["multi_label", "regression"])
def test_outputs_mean_the_same_to_transformers(head):
    """Its class computes the loss that the config names."""
    ours, theirs = pair(head)
    ids_BS, real_BS = batch(padded=True)
    labels_BC = torch.randint(0, 2, (3, 3)).float()
    output = theirs(ids_BS, attention_mask=real_BS.long(), labels=labels_BC)
    logits_BC = ours(ids_BS, real_BS)
    torch.testing.assert_close(logits_BC, output.logits, **TOLERANCE)
    losses = {
        "multi_label": torch.nn.functional.binary_cross_entropy_with_logits,
        "regression": torch.nn.functional.mse_loss,
    }
    torch.testing.assert_close(losses[head](logits_BC, labels_BC), output.loss, **TOLERANCE)


@pytest.mark.parametrize("padded", [False, True])
def test_token_classifier(padded):
    ours, theirs = pair("token_classification")
    ids_BS, real_BS = batch(padded)
    labels_BS = torch.randint(0, 3, (3, 16))
    if real_BS is not None:
        labels_BS[~real_BS] = -100
    output = theirs(ids_BS, attention_mask=None if real_BS is None else real_BS.long(), labels=labels_BS)
    output.loss.backward()
    logits_BSC = ours(ids_BS, real_BS)
    torch.testing.assert_close(logits_BSC, output.logits, **TOLERANCE)
    torch.nn.functional.cross_entropy(logits_BSC.flatten(0, 1), labels_BS.flatten()).backward()
    assert_same_gradients(CONFIG, ours, theirs, TOLERANCE)


@pytest.mark.parametrize("padded", [False, True])
def test_hidden_states_and_attentions(padded):
    ours, theirs = (model.eval() for model in pair("masked_lm"))
    ids_BS, real_BS = batch(padded)
    mask_BS = None if real_BS is None else real_BS.long()
    expected = theirs(ids_BS, attention_mask=mask_BS, output_hidden_states=True, output_attentions=True)
    actual = ours.encoder.outputs(ids_BS, real_BS, hidden_states=True, attentions=True)
    for a, e in zip(actual.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(a, e, **TOLERANCE)
    for a, e in zip(actual.attentions, expected.attentions, strict=True):
        torch.testing.assert_close(a, e, **TOLERANCE)

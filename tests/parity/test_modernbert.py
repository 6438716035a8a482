"""Our ModernBERT against transformers' on the same small random weights: logits, gradients, states; whole folders."""

import json
import os
from dataclasses import replace
from typing import get_args

import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")

from cmgems.errors import CheckpointError  # noqa: E402
from cmgems.export import export_huggingface, import_huggingface_state, read_huggingface  # noqa: E402
from cmgems.models import MODELS, Head, ModernBertConfig, build_model, load_model, save_model  # noqa: E402
from cmgems.tokenization import TOKENIZERS  # noqa: E402
from tests.parity.common import assert_same_gradients, hf_inputs  # noqa: E402

CONFIG = MODELS.build("modernbert_tiny", vocab_size=69, layers=4, window=6)
CLASSES = {
    "masked_lm": transformers.ModernBertForMaskedLM,
    "classification": transformers.ModernBertForSequenceClassification,
    "token_classification": transformers.ModernBertForTokenClassification,
}
LABELLED = ("classification", "token_classification")
TOKENS = 24
TOLERANCE = {"atol": 2e-5, "rtol": 0.0}


def pair(head, pool="cls"):
    """Ours and transformers' model with the same weights, larger than at initialisation."""
    torch.manual_seed(0)
    config = replace(CONFIG, pool=pool)
    hf_config = transformers.ModernBertConfig(**config.huggingface_config(head), num_labels=3)
    hf_config._attn_implementation = "eager"
    theirs = CLASSES[head](hf_config).eval()
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(torch.randn_like(p), alpha=0.1)
    ours = build_model(config, head, 3).eval()
    ours.load_state_dict(import_huggingface_state(config, theirs.state_dict()))
    return ours, theirs


def batch(padded):
    ids_BS = torch.randint(5, 69, (3, TOKENS))
    if not padded:
        return ids_BS, None
    real_BS = torch.arange(TOKENS) < torch.tensor([[TOKENS], [9], [3]])
    return ids_BS * real_BS, real_BS


@pytest.mark.parametrize("padded", [False, True])
def test_masked_lm(padded):
    ours, theirs = pair("masked_lm")
    ids_BS, real_BS = batch(padded)
    keep_BS = torch.ones_like(ids_BS, dtype=torch.bool) if real_BS is None else real_BS
    expected_NV = theirs(**hf_inputs(ids_BS, real_BS)).logits[keep_BS]
    torch.testing.assert_close(ours(ids_BS, real_BS)[keep_BS], expected_NV, **TOLERANCE)
    positions_M = keep_BS.flatten().nonzero().flatten()
    ours(ids_BS, real_BS, positions_M).logsumexp(-1).mean().backward()
    expected_NV.logsumexp(-1).mean().backward()
    assert_same_gradients(CONFIG, ours, theirs, TOLERANCE)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(
    ("head", "pool"), [("classification", "cls"), ("classification", "mean"), ("token_classification", "cls")]
)
def test_classifiers(padded, head, pool):
    ours, theirs = pair(head, pool)
    ids_BS, real_BS = batch(padded)
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
    ours, theirs = pair("masked_lm")
    ids_BS, real_BS = batch(padded)
    keep_BS = torch.ones_like(ids_BS, dtype=torch.bool) if real_BS is None else real_BS
    expected = theirs(**hf_inputs(ids_BS, real_BS), output_hidden_states=True, output_attentions=True)
    actual = ours.encoder.outputs(ids_BS, real_BS, hidden_states=True, attentions=True)
    for a, e in zip(actual.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(a[keep_BS], e[keep_BS], **TOLERANCE)
    for a, e in zip(actual.attentions, expected.attentions, strict=True):
        a_NHS, e_NHS = (p.transpose(1, 2)[keep_BS] for p in (a, e))
        torch.testing.assert_close(a_NHS, e_NHS, **TOLERANCE)


def save(folder, head, **changes):
    config = replace(CONFIG, **changes)
    torch.manual_seed(0)
    labels = ["a", "b", "c"] if head not in ("masked_lm", "encoder") else []
    save_model(
        folder, build_model(config, head, len(labels)), model_name="modernbert_tiny", config=config, head=head,
        tokenizer_name="kmer3", tokenizer=TOKENIZERS.get("kmer3"), labels=labels,
    )  # fmt: skip
    return load_model(folder)


@pytest.mark.parametrize("head", [head for head in get_args(Head) if head != "encoder"])
def test_plain_transformers_loads_what_is_exported(head, tmp_path):
    saved = save(tmp_path / "own", head, pool="cls" if head == "token_classification" else "mean")
    export_huggingface(saved, tmp_path / "hf")
    kind = {"masked_lm": "AutoModelForMaskedLM", "token_classification": "AutoModelForTokenClassification"}
    auto = getattr(transformers, kind.get(head, "AutoModelForSequenceClassification"))
    theirs, info = auto.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    inputs = tokenizer(["ACGTACGTACGT", "ACGTACC"], padding=True, return_tensors="pt")
    mask_BS = inputs["attention_mask"].bool()
    with torch.no_grad():
        expected = theirs.eval()(inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        actual = saved.model(inputs["input_ids"], mask_BS)
    if head in ("masked_lm", "token_classification"):
        actual, expected = actual[mask_BS], expected[mask_BS]
    torch.testing.assert_close(actual, expected, **TOLERANCE)
    again = read_huggingface(tmp_path / "hf")
    assert again.config == saved.config
    assert (again.head, again.labels) == (saved.head, saved.labels)
    for name, tensor in again.model.state_dict().items():
        assert torch.equal(tensor, saved.model.state_dict()[name]), name


def test_configs_of_older_transformers():
    info = {"model_type": "modernbert", "vocab_size": 69, "num_hidden_layers": 4, "hidden_size": 32}
    info |= {"num_attention_heads": 4, "intermediate_size": 48, "max_position_embeddings": 512}
    info |= {"global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0}
    info |= {"local_attention": 6, "pad_token_id": 0, "classifier_pooling": "cls"}
    assert ModernBertConfig.read_huggingface_config(info) == CONFIG
    assert ModernBertConfig.read_huggingface_config({"model_type": "bert"}) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attention_bias": True}, "attention_bias is True"),
        ({"hidden_activation": "silu"}, "hidden_activation is 'silu'"),
        ({"norm_eps": 1e-12}, "norm_eps is 1e-12"),
        ({"layer_types": ["full_attention", "full_attention", "sliding_attention"]}, "not every so many"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn", "rope_theta": 1.0}}}, "rope_type is 'yarn'"),
    ],
)  # fmt: skip
def test_settings_that_compute_something_else(change, message):
    info = json.loads(json.dumps(CONFIG.huggingface_config("masked_lm"))) | change
    with pytest.raises(CheckpointError, match=message):
        ModernBertConfig.read_huggingface_config(info)

"""Exported folders: exact weights, and everything plain transformers needs."""

import json
import os
from dataclasses import dataclass, replace
from typing import ClassVar, get_args

import pytest
import safetensors.torch
import torch

from cmgems.errors import CheckpointError, CmgemsError
from cmgems.export import export_huggingface, import_huggingface_state
from cmgems.export.model_card import SEQUENCE as CARD_SEQUENCE
from cmgems.models import MODELS, Head, SavedModel, build_model
from cmgems.models.base import UNLABELLED
from cmgems.tokenization import TOKENIZERS

os.environ["HF_HUB_OFFLINE"] = "1"

TOKENIZER = TOKENIZERS.get("kmer6")
CONFIG = MODELS.build("logo_tiny", vocab_size=TOKENIZER.vocab_size)
HEADS = get_args(Head)
WITH_LOGITS = [head for head in HEADS if head != "encoder"]
SEQUENCE = "ACGTACGTTGCAACGGTTAACCGGATTACAGATTACA"


def saved_model(folder, head="masked_lm"):
    torch.manual_seed(0)
    labels = [] if head in UNLABELLED else ["other", "promoter"]
    return SavedModel(
        model=build_model(CONFIG, head, 2).eval(),
        model_name="logo_tiny",
        config=CONFIG,
        head=head,
        tokenizer_name="kmer6",
        tokenizer=TOKENIZER,
        labels=labels,
        training={"steps": 1000, "strategy": "cm_gems"},
        folder=folder,
    )


@pytest.mark.parametrize("head", HEADS)
def test_weights_round_trip_bit_for_bit(tmp_path, head):
    saved = saved_model(tmp_path, head)
    export_huggingface(saved, tmp_path / "hf")
    theirs = safetensors.torch.load_file(tmp_path / "hf" / "model.safetensors")
    ours, expected = import_huggingface_state(CONFIG, theirs), saved.model.state_dict()
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[name], expected[name]) for name in expected)


@pytest.mark.parametrize("head", HEADS)
def test_a_mean_of_tokens_is_refused_where_a_head_reads_it(tmp_path, head):
    """The classes of transformers read the first token: a folder would load, and give other scores."""
    saved = saved_model(tmp_path, head)
    saved = replace(saved, config=replace(saved.config, pool="mean"))
    if head in ("classification", "multi_label", "regression"):
        with pytest.raises(CmgemsError, match="no Hugging Face format for the mean of tokens in"):
            export_huggingface(saved, tmp_path / "hf")
        assert not (tmp_path / "hf").exists()
    else:
        export_huggingface(saved, tmp_path / "hf")


def test_old_spellings_are_imported():
    expected = CONFIG.masked_lm().state_dict()
    theirs = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in CONFIG.to_huggingface(expected).items()
    }
    theirs["bert.embeddings.position_ids"] = torch.arange(512)[None]
    theirs["cls.predictions.decoder.weight"] = theirs["bert.embeddings.word_embeddings.weight"].clone()
    theirs["cls.predictions.decoder.bias"] = theirs.pop("cls.predictions.bias")
    ours = import_huggingface_state(CONFIG, theirs)
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[name], expected[name]) for name in expected)


def test_foreign_checkpoints_are_refused():
    theirs = CONFIG.to_huggingface(CONFIG.masked_lm().state_dict())
    untied = theirs | {"cls.predictions.decoder.weight": torch.ones(CONFIG.vocab_size, CONFIG.hidden)}
    with pytest.raises(CheckpointError, match="decoder not tied"):
        import_huggingface_state(CONFIG, untied)
    with pytest.raises(CheckpointError, match=r"unknown tensors: esm\.lm_head"):
        import_huggingface_state(CONFIG, theirs | {"esm.lm_head": torch.ones(1)})


def test_folder_holds_what_transformers_needs(tmp_path):
    export_huggingface(saved_model(tmp_path, "classification"), tmp_path / "hf")
    assert {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "README.md"} <= {
        p.name for p in (tmp_path / "hf").iterdir()
    }
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "other", "1": "promoter"}
    card = (tmp_path / "hf" / "README.md").read_text()
    assert "| strategy | cm_gems |" in card
    assert "other, promoter" in card


def test_existing_output_is_left_alone(tmp_path):
    (tmp_path / "hf").mkdir()
    with pytest.raises(CmgemsError, match="output exists"):
        export_huggingface(saved_model(tmp_path), tmp_path / "hf")
    assert not list((tmp_path / "hf").iterdir())


def test_models_and_tokenizers_without_a_huggingface_class(tmp_path):
    @dataclass(frozen=True)
    class Other:
        family: ClassVar[str] = "mine"

    saved = saved_model(tmp_path)
    with pytest.raises(CmgemsError, match="no Hugging Face format in model family 'mine'"):
        export_huggingface(replace(saved, config=Other()), tmp_path / "hf")
    with pytest.raises(CmgemsError, match="no published checkpoints in model family 'mine'"):
        import_huggingface_state(Other(), {})
    with pytest.raises(CmgemsError, match="no Hugging Face tokenizer in tokenizer 'other'"):
        export_huggingface(replace(saved, tokenizer=Other(), tokenizer_name="other"), tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


@pytest.mark.parametrize("head", WITH_LOGITS)
def test_auto_classes_give_the_same_logits(tmp_path, head):
    transformers = pytest.importorskip("transformers")
    saved = saved_model(tmp_path, head)
    export_huggingface(saved, tmp_path / "hf")
    auto = {
        "masked_lm": "AutoModelForMaskedLM",
        "token_classification": "AutoModelForTokenClassification",
    }.get(head, "AutoModelForSequenceClassification")
    model, info = getattr(transformers, auto).from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    inputs = tokenizer([SEQUENCE, SEQUENCE[:20]], padding=True, return_tensors="pt")
    assert inputs["input_ids"][0].tolist() == TOKENIZER.encode(SEQUENCE).tolist()
    real_BS = inputs["attention_mask"].bool()
    theirs, ours = model(**inputs).logits, saved.model(inputs["input_ids"], real_BS)
    if head in ("masked_lm", "token_classification"):
        theirs, ours = theirs[real_BS], ours[real_BS]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("head", HEADS)
def test_the_code_of_the_model_card_runs(tmp_path, head):
    pytest.importorskip("transformers")
    saved = saved_model(tmp_path, head)
    export_huggingface(saved, tmp_path / "hf")
    blocks = (tmp_path / "hf" / "README.md").read_text().split("```python\n")[1:]
    code = "\n".join(block.split("```")[0] for block in blocks).replace(
        "path/to/this/folder", str(tmp_path / "hf")
    )
    exec(code.replace("\npipeline(", "\nresult = pipeline("), scope := {})
    if head == "encoder":
        ids_BS = scope["tokenizer"](CARD_SEQUENCE, return_tensors="pt")["input_ids"]
        torch.testing.assert_close(scope["hidden"], saved.model(ids_BS), atol=1e-5, rtol=0)
    elif head == "masked_lm":
        assert len(scope["result"]) == 5
        assert all(len(guess["token_str"]) == 6 for guess in scope["result"])
    elif head == "token_classification":
        assert {token["entity"] for token in scope["result"]} <= set(saved.labels)
        assert [token["word"] for token in scope["result"]] == kmers(CARD_SEQUENCE)
    else:
        assert scope["result"][0]["label"] in saved.labels


def kmers(sequence):
    return [sequence[i : i + 6] for i in range(len(sequence) - 5)]


def test_mask_in_bases_stands_for_one_kmer(tmp_path):
    transformers = pytest.importorskip("transformers")
    export_huggingface(saved_model(tmp_path), tmp_path / "hf")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    expected = TOKENIZER.encode(SEQUENCE).tolist()
    expected[1 + 10] = TOKENIZER.mask_id
    assert tokenizer(SEQUENCE[: 10 + 5] + "[MASK]" + SEQUENCE[11:])["input_ids"] == expected

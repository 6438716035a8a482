"""Checkpoints that are an encoder alone, and those that compute something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from cmgems.cli.main import run
from cmgems.config import Component
from cmgems.errors import CheckpointError
from cmgems.export import export_huggingface, read_huggingface
from cmgems.models import MODELS, ModelSource, SavedModel, fit_to_tokenizer, load_model
from cmgems.tokenization import TOKENIZERS

State = dict[str, Tensor]
WEIGHTS = "model.safetensors"


def tensors_of(folder: Path) -> State:
    return safetensors.torch.load_file(folder / WEIGHTS)


def write(state: State, path: Path) -> None:
    safetensors.torch.save_file({name: tensor.clone() for name, tensor in state.items()}, path)


def configure(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def same(found: SavedModel, expected: SavedModel) -> bool:
    ours, theirs = found.model.state_dict(), expected.model.state_dict()
    return ours.keys() <= theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


# --- an encoder alone


@pytest.mark.parametrize(
    ("name", "outer"),
    [
        ("dnabert_tiny", ""),
        ("dnabert2_tiny", "model."),
        ("nt_tiny", "module.encoder."),
        ("nt_v2_tiny", "_orig_mod."),
    ],
)
def test_an_encoder_alone(tmp_path: Path, name: str, outer: str) -> None:
    import cmgems

    tokenizer = TOKENIZERS.get("nt_v1")
    config = fit_to_tokenizer(MODELS.get(name), tokenizer)
    whole = SavedModel(config.masked_lm(), name, config, "masked_lm", "nt_v1", tokenizer, [], {}, tmp_path)
    export_huggingface(whole, tmp_path / "hf")
    prefix = f"{config.encoder_prefix}."
    state = {
        n.removeprefix(prefix): t for n, t in tensors_of(tmp_path / "hf").items() if n.startswith(prefix)
    }
    state |= {"pooler.dense.weight": torch.ones(32, 32), "pooler.dense.bias": torch.ones(32)}
    write({outer + n: t for n, t in state.items()}, tmp_path / "hf" / WEIGHTS)

    assert run(["import", str(tmp_path / "hf"), "-o", str(tmp_path / "o")]) == 0
    found = load_model(tmp_path / "o")
    assert (found.head, found.labels) == ("encoder", [])
    pooled = any("the pooler is left out" in note for note in read_huggingface(tmp_path / "hf").notes)
    assert pooled == name.startswith("dnabert")
    assert same(found, whole)
    model = cmgems.load(tmp_path / "o", device="cpu")
    assert model.embed("ACGTACGTAC").shape == (1, 32)
    for refused in (model.predict, model.score, model.importance):
        with pytest.raises(cmgems.CmgemsError, match="encoder only"):
            refused("ACGTACGTAC")


def test_an_encoder_is_fine_tuned_and_not_pretrained(
    small_folder: Path, small_saved: SavedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        {n: t for n, t in tensors_of(small_folder).items() if n.startswith("bert.")}, small_folder / WEIGHTS
    )
    assert run(["import", str(small_folder), "-o", str(tmp_path / "o")]) == 0
    assert "note: it has an encoder without a head" in capsys.readouterr().err
    source = ModelSource.of(Component(str(tmp_path / "o")), Component("kmer3"))
    state = source.with_head("classification", 2).encoder.state_dict()
    expected = small_saved.model.encoder.state_dict()
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    with pytest.raises(CheckpointError, match=r"not a masked language model .*it has an encoder only"):
        source.masked_lm()


def test_a_huggingface_folder_where_a_model_folder_is_wanted(small_folder: Path) -> None:
    with pytest.raises(CheckpointError, match="it is a Hugging Face folder: run `cmgems import` first"):
        load_model(small_folder)


# --- settings


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        *(
            (name, setting, value)
            for name in ("dnabert_tiny", "dnabert2_tiny", "nt_tiny", "nt_v2_tiny")
            for setting, value in (
                ("hidden_act", "gelu_new"),
                ("hidden_act", "relu"),
                ("is_decoder", True),
                ("add_cross_attention", True),
                ("pre_layer_norm", True),
                ("rope_scaling", {"type": "linear", "factor": 2}),
                ("quantization_config", {"load_in_8bit": True}),
                ("architectures", ["BertForMultipleChoice"]),
            )
        ),
        ("dnabert_tiny", "position_embedding_type", "relative_key"),
        ("dnabert_tiny", "type_vocab_size", 3),
        ("dnabert2_tiny", "type_vocab_size", 1),
        ("nt_tiny", "position_embedding_type", "rotary"),
        ("nt_tiny", "emb_layer_norm_before", True),
        ("nt_v2_tiny", "emb_layer_norm_before", True),
        ("nt_v2_tiny", "token_dropout", True),
        ("nt_v2_tiny", "rope_theta", 500000.0),
    ],
)
def test_settings_that_compute_something_else(tmp_path: Path, name: str, setting: str, value: object) -> None:
    tokenizer = TOKENIZERS.get("nt_v1")
    config = fit_to_tokenizer(MODELS.get(name), tokenizer)
    (tmp_path / "config.json").write_text(
        json.dumps(config.huggingface_config("masked_lm") | {setting: value})
    )
    safetensors.torch.save_file(config.to_huggingface(config.masked_lm().state_dict()), tmp_path / WEIGHTS)
    (tmp_path / "vocab.txt").write_text("\n".join(tokenizer.vocabulary()))
    shown = "BertForMultipleChoice" if setting == "architectures" else f"{setting} is {value!r}"
    with pytest.raises(CheckpointError) as caught:
        read_huggingface(tmp_path)
    assert f"another model in {tmp_path / 'config.json'}" in str(caught.value)
    assert shown in str(caught.value)


def test_settings_that_are_read_or_change_nothing(small_folder: Path) -> None:
    configure(
        small_folder, layer_norm_eps=1e-5, position_embedding_type="absolute", use_cache=True, is_decoder=None
    )
    found = read_huggingface(small_folder)
    assert found.config.layer_norm_eps == found.model.encoder.norm.eps == 1e-5


def test_ids_that_the_encoder_computes_with(tmp_path: Path) -> None:
    tokenizer = TOKENIZERS.get("nt_v1")
    config = fit_to_tokenizer(MODELS.get("nt_tiny"), tokenizer)
    saved = SavedModel(
        config.masked_lm(), "nt_tiny", config, "masked_lm", "nt_v1", tokenizer, [], {}, tmp_path
    )
    export_huggingface(saved, tmp_path / "hf")
    configure(tmp_path / "hf", mask_token_id=7)
    with pytest.raises(CheckpointError, match=r"other special tokens .*those of tokenizer 'nt_v1': 1 and 2"):
        read_huggingface(tmp_path / "hf")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, "2 outputs, id2label names 0, 1, 2"),
        ({"id2label": {"1": "a", "2": "b"}}, "labels and outputs differ"),
        ({"problem_type": "ranking"}, "problem_type is 'ranking'"),
    ],
)
def test_outputs_are_what_the_config_says(
    small_folder: Path, values: dict[str, object], message: str
) -> None:
    state = {n: t for n, t in tensors_of(small_folder).items() if n.startswith("bert.")}
    state |= {"bert.pooler.dense.weight": torch.ones(32, 32), "bert.pooler.dense.bias": torch.ones(32)}
    state |= {"classifier.weight": torch.ones(2, 32), "classifier.bias": torch.ones(2)}
    write(state, small_folder / WEIGHTS)
    configure(small_folder, architectures=["BertForSequenceClassification"])
    assert read_huggingface(small_folder).head == "classification"
    configure(small_folder, **values)
    with pytest.raises(CheckpointError, match=message):
        read_huggingface(small_folder)

"""Tensors as people save them: read as what they are, or refused with the difference."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from cmgems.errors import CheckpointError
from cmgems.export import export_huggingface, read_huggingface
from cmgems.export.state import unwrap
from cmgems.models import MODELS, SavedModel, fit_to_tokenizer
from cmgems.tokenization import TOKENIZERS

State = dict[str, Tensor]
WEIGHTS = "model.safetensors"
WORD = "bert.embeddings.word_embeddings.weight"


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


# --- names of tensors


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: f"module.{name}",
        lambda name: f"_orig_mod.{name}",
        lambda name: f"model.{name}",
        lambda name: f"module._orig_mod.model.{name}",
        lambda name: f"net.inner.{name}",
        lambda name: name.replace("bert.", "bert._orig_mod.", 1),
        lambda name: name.replace("layer.1.", "layer.1._checkpoint_wrapped_module."),
    ],
)
def test_names_of_wrappers_go(
    small_folder: Path, small_saved: SavedModel, rename: Callable[[str], str]
) -> None:
    state = {rename(name): tensor for name, tensor in tensors_of(small_folder).items()}
    write(state, small_folder / WEIGHTS)
    assert same(read_huggingface(small_folder), small_saved)


@given(
    wrappers=st.lists(
        st.sampled_from(["module", "_orig_mod", "model", "net", "bert", "encoder", "esm"]), max_size=5
    ),
    prefix=st.sampled_from(["bert", "esm"]),
    alone=st.booleans(),
)
def test_any_wrappers_in_any_order(wrappers: list[str], prefix: str, alone: bool) -> None:
    assume(
        not (alone and wrappers and wrappers[-1] == prefix)
    )  # which is not to be told from the whole model
    outer = "".join(f"{wrapper}." for wrapper in wrappers)
    encoder = outer if alone else f"{outer}{prefix}."
    inner = ["encoder.layer.0.attention.output.dense.weight", "embeddings.word_embeddings.weight"]
    heads = [] if alone else ["cls.predictions.bias"]
    names = [encoder + name for name in inner] + [outer + name for name in heads]
    found = unwrap({name: torch.ones(1) for name in names}, prefix, Path())
    assert list(found) == [f"{prefix}.{name}" for name in inner] + heads


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (
            {"classifier.weight": 1},
            r"unknown tensors in .*the model is net\.\*, and beside it are classifier",
        ),
        ({"module.net." + WORD: 1}, rf"tensors of the same name in .*{WORD}"),
        (
            {"net.bert.encoder.layer.0.attention.self.query.lora_A.weight": 1},
            "LoRA adapters that are not merged",
        ),
        ({"teacher.bert.encoder.layer.0.attention.output.dense.weight": 1}, "several encoders"),
    ],
)
def test_other_tensors_around_the_model(small_folder: Path, add: dict[str, int], message: str) -> None:
    state = {f"net.{name}": tensor for name, tensor in tensors_of(small_folder).items()}
    write(state | {name: torch.ones(size) for name, size in add.items()}, small_folder / WEIGHTS)
    with pytest.raises(CheckpointError, match=message):
        read_huggingface(small_folder)


# --- the decoder


@pytest.mark.parametrize(
    ("name", "tied", "decoder", "message"),
    [
        ("dnabert_tiny", True, None, None),
        ("dnabert_tiny", False, None, r"no decoder in .*tie_word_embeddings is false"),
        ("dnabert_tiny", False, 1.0, None),
        ("dnabert_tiny", False, 2.0, "decoder not tied"),
        ("nt_tiny", True, None, None),
        ("nt_tiny", True, 1.0, None),
        ("nt_tiny", True, 2.0, "decoder not tied .*set tie_word_embeddings to false"),
        ("nt_tiny", False, 2.0, None),
        ("nt_tiny", False, None, r"missing tensors in .*head\.decoder\.weight"),
    ],
)
def test_the_decoder_is_the_one_that_the_config_says(
    tmp_path: Path, name: str, tied: bool, decoder: float | None, message: str | None
) -> None:
    tokenizer = TOKENIZERS.get("nt_v1")
    config = fit_to_tokenizer(MODELS.get(name), tokenizer)
    saved = SavedModel(config.masked_lm(), name, config, "masked_lm", "nt_v1", tokenizer, [], {}, tmp_path)
    export_huggingface(saved, tmp_path / "hf")
    state = tensors_of(tmp_path / "hf")
    word = state[f"{config.encoder_prefix}.embeddings.word_embeddings.weight"]
    second = "lm_head.decoder.weight" if name == "nt_tiny" else "cls.predictions.decoder.weight"
    state.pop(second, None)
    write(state | ({} if decoder is None else {second: word * decoder}), tmp_path / "hf" / WEIGHTS)
    configure(tmp_path / "hf", tie_word_embeddings=tied)
    if message:
        with pytest.raises(CheckpointError, match=message):
            read_huggingface(tmp_path / "hf")
        return
    found = read_huggingface(tmp_path / "hf").model
    if name == "nt_tiny":
        assert torch.equal(found.head.decoder.weight, word * (decoder or 1.0))


# --- numbers


@pytest.mark.parametrize(
    ("dtype", "note"),
    [
        (torch.bfloat16, "weights in bfloat16 become float32, exactly"),
        (torch.float16, "weights in float16 become float32, exactly"),
        (torch.float64, "weights in float64 are rounded to float32"),
    ],
)
def test_other_number_formats_become_float32(small_folder: Path, dtype: torch.dtype, note: str) -> None:
    state = {name: tensor.to(dtype) for name, tensor in tensors_of(small_folder).items()}
    write(state, small_folder / WEIGHTS)
    found = read_huggingface(small_folder)
    assert found.notes == (note,)
    assert torch.equal(found.model.encoder.word.weight, state[WORD].float())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda word: word.to(torch.int8), r"quantized weights in .*encoder\.word\.weight is int8"),
        (lambda word: word.to(torch.float8_e4m3fn), "quantized weights .*is float8"),
        (
            lambda word: word.index_fill(0, torch.tensor([3]), torch.nan),
            r"NaN or infinite in .*encoder\.word",
        ),
        (lambda word: word / 0, "NaN or infinite"),
    ],
)
def test_weights_that_are_no_numbers(
    small_folder: Path, change: Callable[[Tensor], Tensor], message: str
) -> None:
    state = tensors_of(small_folder)
    write(state | {WORD: change(state[WORD])}, small_folder / WEIGHTS)
    with pytest.raises(CheckpointError, match=message):
        read_huggingface(small_folder)


# --- rows of the vocabulary


def resized(folder: Path, rows: int) -> None:
    def fit(tensor: Tensor) -> Tensor:
        spare = torch.zeros(max(rows - len(tensor), 0), *tensor.shape[1:])
        return torch.cat([tensor, spare])[:rows]

    state = tensors_of(folder)
    write(state | {name: fit(state[name]) for name in (WORD, "cls.predictions.bias")}, folder / WEIGHTS)
    configure(folder, vocab_size=rows)


@pytest.mark.parametrize("rows", [72, 80, 96, 128])
def test_spare_rows_of_a_padded_vocabulary_are_left_out(
    small_folder: Path, small_saved: SavedModel, rows: int
) -> None:
    resized(small_folder, rows)
    found = read_huggingface(small_folder)
    assert same(found, small_saved)
    assert (found.config, found.model_name) == (small_saved.config, small_saved.model_name)
    assert found.notes == (
        f"the last {rows - 69} of {rows} rows of the vocabulary stand for no token and are left out",
    )


@pytest.mark.parametrize("rows", [68, 70, 88, 136, 256])
def test_other_numbers_of_rows_are_refused(small_folder: Path, rows: int) -> None:
    resized(small_folder, rows)
    with pytest.raises(CheckpointError, match=f"the model has {rows} tokens, tokenizer 'kmer3' 69"):
        read_huggingface(small_folder)

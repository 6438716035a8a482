"""Checkpoints as people have them: read as what they are, or refused with the difference."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from cmgems.cli.main import run
from cmgems.config import Component
from cmgems.errors import CheckpointError
from cmgems.export import export_huggingface, read_huggingface
from cmgems.export.state import unwrap
from cmgems.models import MODELS, ModelSource, SavedModel, fit_to_tokenizer, load_model
from cmgems.tokenization import TOKENIZERS

State = dict[str, Tensor]
WEIGHTS = "model.safetensors"
WORD = "bert.embeddings.word_embeddings.weight"


def tensors_of(folder: Path) -> State:
    return safetensors.torch.load_file(folder / WEIGHTS)


def write(state: State, path: Path) -> None:
    safetensors.torch.save_file({name: tensor.clone() for name, tensor in state.items()}, path)


def write_shards(state: State, folder: Path, index: dict[str, str] | None = None) -> None:
    names = sorted(state)
    places = {name: f"model-{i % 2}.safetensors" for i, name in enumerate(names)}
    for shard in set(places.values()):
        write({name: state[name] for name in names if places[name] == shard}, folder / shard)
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": places | (index or {})}))


def configure(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def same(found: SavedModel, expected: SavedModel, scale: float = 1.0) -> bool:
    ours, theirs = found.model.state_dict(), expected.model.state_dict()
    return ours.keys() <= theirs.keys() and all(torch.equal(ours[n], theirs[n] * scale) for n in ours)


def twice(tensor: dict[str, object]) -> bytes:
    """A safetensors file whose header has a tensor twice."""
    header = f'{{"a": {json.dumps(tensor)}, "a": {json.dumps(tensor | {"data_offsets": [4, 8]})}}}'.encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)


# --- which weights


def test_older_shards_are_not_read_and_named(small_folder: Path, small_saved: SavedModel) -> None:
    write_shards({name: tensor + 1 for name, tensor in tensors_of(small_folder).items()}, small_folder)
    found = read_huggingface(small_folder)
    assert same(found, small_saved)
    (note,) = found.notes
    assert note.startswith("not read, as in transformers: model-0.safetensors, model-1.safetensors")


def test_the_command_and_load_say_what_was_not_read(
    small_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import cmgems

    torch.save(tensors_of(small_folder), small_folder / "pytorch_model.bin")
    assert run(["import", str(small_folder), "-o", str(tmp_path / "o")]) == 0
    cmgems.load(small_folder, device="cpu")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["note: not read, as in transformers: pytorch_model.bin"] * 2


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({WORD: "model-9.safetensors"}, r"missing files in .*the index names model-9\.safetensors"),
        ({WORD: "model-0.safetensors", "more": "model-0.safetensors"}, "index and weights differ"),
        ({"bert.embeddings.LayerNorm.weight": "model-0.safetensors"}, "index and weights differ"),
    ],
)
def test_an_index_and_its_shards_must_agree(small_folder: Path, index: dict[str, str], message: str) -> None:
    write_shards(tensors_of(small_folder), small_folder, index)
    (small_folder / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=message):
        read_huggingface(small_folder)


def test_an_index_that_names_a_tensor_twice(small_folder: Path) -> None:
    write_shards(tensors_of(small_folder), small_folder)
    (small_folder / WEIGHTS).unlink()
    index = small_folder / f"{WEIGHTS}.index.json"
    index.write_text(index.read_text().replace('": {"', f'": {{"{WORD}": "model-1.safetensors", "', 1))
    with pytest.raises(CheckpointError, match=rf"damaged index .*{WORD} is there twice"):
        read_huggingface(small_folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("adapter_model.safetensors", "a LoRA adapter alone.*merge_and_unload"),
        ("checkpoint-500/model.safetensors", "checkpoints of a training: checkpoint-500; give one of them"),
        ("model.ckpt.index", "a checkpoint of Lightning or TensorFlow"),
        ("last.ckpt", r"Lightning.*: last\.ckpt"),
        ("flax_model.msgpack", "weights of Flax.*from_flax=True"),
        ("tf_model.h5", "weights of TensorFlow"),
        ("model.pth", r"weights by another name: model\.pth; name them pytorch_model\.bin"),
        (
            "weights.safetensors",
            r"weights by another name: weights\.safetensors; name them model\.safetensors",
        ),
    ],
)
def test_what_lies_there_in_place_of_weights_is_named(small_folder: Path, name: str, message: str) -> None:
    (small_folder / name).parent.mkdir(exist_ok=True)
    (small_folder / WEIGHTS).rename(small_folder / name)
    with pytest.raises(CheckpointError, match=f"no weights in .*there is .*{message}"):
        read_huggingface(small_folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "a Git LFS pointer"),
        (b"", "damaged weights"),
        (b"<!doctype html>", "damaged weights"),
        (twice({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}), "damaged weights.*`a`"),
    ],
)
def test_damaged_safetensors(small_folder: Path, content: bytes, message: str) -> None:
    (small_folder / WEIGHTS).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"in {small_folder / WEIGHTS}") as caught:
        read_huggingface(small_folder)
    assert re.search(message, str(caught.value))


def test_a_folder_with_nothing_but_checkpoints_says_which(small_folder: Path) -> None:
    (small_folder.parent / "out").mkdir()
    small_folder.rename(small_folder.parent / "out" / "checkpoint-20")
    with pytest.raises(CheckpointError, match=r"no config\.json.*there are .*checkpoint-20"):
        read_huggingface(small_folder.parent / "out")


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_weights_among_other_things_of_a_training(
    small_folder: Path, small_saved: SavedModel, key: str
) -> None:
    content = {"epoch": 3, key: {f"model.{name}": t for name, t in tensors_of(small_folder).items()}}
    torch.save(content, small_folder / "pytorch_model.bin")
    (small_folder / WEIGHTS).unlink()
    assert same(read_huggingface(small_folder), small_saved)


def test_a_pickle_without_weights_says_what_it_holds(small_folder: Path) -> None:
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}}, small_folder / "pytorch_model.bin")
    (small_folder / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=r"no state dict in .*it holds epoch, optimizer"):
        read_huggingface(small_folder)


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
def test_an_encoder_alone(
    tmp_path: Path, small_saved: SavedModel, small_labelled: Path, name: str, outer: str
) -> None:
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

"""The weights that a folder has, and what lies there in their place."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from cmgems.cli.main import run
from cmgems.errors import CheckpointError
from cmgems.export import read_huggingface
from cmgems.models import SavedModel

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


def same(found: SavedModel, expected: SavedModel) -> bool:
    ours, theirs = found.model.state_dict(), expected.model.state_dict()
    return ours.keys() <= theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


def twice(tensor: dict[str, object]) -> bytes:
    """A safetensors file whose header has a tensor twice."""
    header = f'{{"a": {json.dumps(tensor)}, "a": {json.dumps(tensor | {"data_offsets": [4, 8]})}}}'.encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)


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

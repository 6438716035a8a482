"""Published checkpoints straight from the Hugging Face Hub: the weights as they are there, and no code."""

from __future__ import annotations

import pytest
import torch

from cmgems.errors import CheckpointError, DataError
from cmgems.export import export_huggingface, import_huggingface
from cmgems.models import MODELS, load_model, save_model
from cmgems.tokenization import TOKENIZERS
from tests.download.conftest import hub, server  # noqa: F401

CODE = {"modeling_bert.py": b"raise SystemExit('run')", "README.md": b"x", "tf_model.h5": b"x"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small DNABERT, and its exported files."""
    top, config = tmp_path_factory.mktemp("model"), MODELS.build("dnabert_tiny")
    save_model(
        top / "own", config.masked_lm(), model_name="dnabert_tiny", config=config, head="masked_lm",
        tokenizer_name="kmer6", tokenizer=TOKENIZERS.get("kmer6"),
    )  # fmt: skip
    saved = load_model(top / "own")
    export_huggingface(saved, top / "hf")
    return saved, {path.name: path.read_bytes() for path in (top / "hf").iterdir()}


def same(one, other):
    theirs = other.model.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.model.state_dict().items())


def test_a_checkpoint_by_name(hub, model, tmp_path, capsys):  # noqa: F811
    saved, files = model
    hub.repos["somebody/dnabert"] = files | CODE | {"pytorch_model.bin": b"not read"}
    found = import_huggingface("somebody/dnabert", tmp_path / "out")
    assert same(load_model(tmp_path / "out"), saved)
    assert found.training["imported from"] == "somebody/dnabert"
    said = capsys.readouterr().err
    assert said.startswith("somebody/dnabert@01234567: config.json, tokenizer")
    loaded = {path.rpartition("/")[2] for command, path, _ in hub.asked if command == "GET"}
    assert "model.safetensors" in loaded
    assert loaded.isdisjoint({*CODE, "pytorch_model.bin"})


def test_pickles_are_read_without_running_them(hub, model, tmp_path):  # noqa: F811
    saved, files = model
    weights = tmp_path / "pytorch_model.bin"
    import safetensors.torch

    torch.save(safetensors.torch.load(files["model.safetensors"]), weights)
    hub.repos["somebody/old"] = {n: c for n, c in files.items() if n != "model.safetensors"}
    hub.repos["somebody/old"]["pytorch_model.bin"] = weights.read_bytes()
    import_huggingface("somebody/old@main", tmp_path / "out")
    assert same(load_model(tmp_path / "out"), saved)


@pytest.mark.parametrize(
    ("without", "message"),
    [
        ("config.json", "no config.json in somebody/odd@01234567"),
        ("model.safetensors", "no weights in somebody/odd@01234567: neither model.safetensors nor"),
    ],
)
def test_repositories_of_something_else(hub, model, tmp_path, without, message):  # noqa: F811
    hub.repos["somebody/odd"] = {name: content for name, content in model[1].items() if name != without}
    with pytest.raises(CheckpointError, match=message):
        import_huggingface("somebody/odd", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_neither_a_folder_nor_on_the_hub(hub, tmp_path):  # noqa: F811
    with pytest.raises(
        DataError, match=r"not on the hub in runs/logo: |not on the hub in runs/logo; .* no path here"
    ):
        import_huggingface("runs/logo", tmp_path / "out")

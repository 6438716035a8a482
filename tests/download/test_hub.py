"""The Hugging Face Hub, as its API and downloads look to huggingface_hub."""

from __future__ import annotations

import pytest

from cmgems.download.hub import fetch_file, find_repo, is_hub_name
from cmgems.errors import DataError

FILES = {"config.json": b'{"model_type": "bert"}', "model.safetensors": bytes(range(256)) * 400}


def weights(repo):
    return next(file for file in repo.files if file.name == "model.safetensors")


@pytest.fixture
def repo(hub):
    hub.repos["somebody/tiny"] = FILES
    return find_repo("somebody/tiny")


def test_what_a_repository_holds(repo):
    assert [(file.name, file.size) for file in repo.files] == [(n, len(c)) for n, c in FILES.items()]
    assert repo.title == "somebody/tiny@01234567"
    assert weights(repo).sha256


def test_a_file_comes_once(hub, repo):
    path = fetch_file(repo, weights(repo))
    assert path.read_bytes() == FILES["model.safetensors"]
    hub.asked.clear()
    assert fetch_file(repo, weights(repo)) == path
    assert hub.asked == []


def test_a_file_that_is_another_is_removed(hub, repo):
    hub.faults[f"/somebody/tiny/resolve/{repo.commit}/model.safetensors"] = ("corrupt", 1)
    with pytest.raises(
        DataError, match=r"wrong checksum in somebody/tiny@01234567/model.safetensors: sha256"
    ):
        fetch_file(repo, weights(repo))
    assert fetch_file(repo, weights(repo)).read_bytes() == FILES["model.safetensors"]


def test_a_connection_that_breaks_off(hub, repo):
    hub.faults[f"/somebody/tiny/resolve/{repo.commit}/model.safetensors"] = ("truncate", 1)
    assert fetch_file(repo, weights(repo)).read_bytes() == FILES["model.safetensors"]


def test_no_such_repository(hub):
    with pytest.raises(DataError, match=r"not on the hub in somebody/nothing"):
        find_repo("somebody/nothing")


def test_no_hub(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(DataError, match=r"cannot (load from|reach) the hub in somebody/tiny"):
        find_repo("somebody/tiny")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("zhihan1996/DNA_bert_6", True),
        ("zhihan1996/DNA_bert_6@main", True),
        ("runs", False),
        ("a/b/c", False),
        ("./hf", False),
        ("../hf", False),
        ("/tmp/hf", False),
        ("here/hf", False),
    ],
)
def test_names_of_the_hub(text, expected, tmp_path, monkeypatch):
    (tmp_path / "here/hf").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert is_hub_name(text) is expected

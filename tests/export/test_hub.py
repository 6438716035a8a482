"""Models of the hub, from a server on this machine that answers as the hub does."""

from __future__ import annotations

import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from cmgems.cli.main import run
from cmgems.errors import CmgemsError
from cmgems.export import export_huggingface, import_huggingface
from cmgems.export.hub import find_source
from cmgems.models import MODELS, SavedModel, build_model, fit_to_tokenizer, load_model
from cmgems.tokenization import TOKENIZERS

SHA = "0123456789abcdef0123456789abcdef01234567"
API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/?]+))?")
RESOLVE = re.compile(rf"/([^/]+/[^/]+)/resolve/{SHA}/(.+)")


class Hub(ThreadingHTTPServer):
    """Serves the folders OWNER/NAME below ``root``; ``asked`` are the files of which it sent the content."""

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.root, self.asked = root, list[str]()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if asked := API.fullmatch(self.path.partition("?")[0]):
            return self.describe(*asked.groups())
        asked = RESOLVE.fullmatch(self.path)
        path = self.server.root.joinpath(*asked.groups()) if asked else self.server.root / "absent"
        if not path.is_file():
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        if self.command == "GET":
            self.server.asked.append(path.name)
        return self.answer(200, path.read_bytes(), {"ETag": f'"{path.name}-1"', "X-Repo-Commit": SHA})

    def describe(self, name: str, revision: str | None) -> None:
        folder = self.server.root / name
        if name == "lab/gated":
            return self.answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
        if not folder.is_dir():
            return self.answer(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        if revision not in (None, "v1", "main", SHA):
            return self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        files = [{"rfilename": str(p.relative_to(folder))} for p in sorted(folder.rglob("*")) if p.is_file()]
        return self.answer(200, json.dumps({"id": name, "sha": SHA, "siblings": files}).encode(), {})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """A tiny model as a Hugging Face folder, with code beside it."""
    torch.manual_seed(0)
    tokenizer = TOKENIZERS.get("kmer3")
    config = fit_to_tokenizer(MODELS.get("logo_tiny"), tokenizer)
    model = build_model(config, "masked_lm", 0).eval()
    folder = tmp_path_factory.mktemp("exported") / "hf"
    export_huggingface(
        SavedModel(model, "logo_tiny", config, "masked_lm", "kmer3", tokenizer, [], {}, folder), folder
    )
    (folder / "modeling.py").write_text("raise SystemExit('code was run')\n")
    return folder


@pytest.fixture
def hub(exported, tmp_path, monkeypatch):
    """A hub that has the model as lab/model."""
    shutil.copytree(exported, tmp_path / "hub" / "lab" / "model")
    server = Hub(tmp_path / "hub")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    constants = "huggingface_hub.constants"
    monkeypatch.setattr(f"{constants}.ENDPOINT", server.endpoint)
    template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(f"{constants}.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    yield server
    server.shutdown()
    server.server_close()


def same(one: Path, two: Path) -> bool:
    ours, theirs = (load_model(folder).model.state_dict() for folder in (one, two))
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.fixture(scope="module")
def imported(exported, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("imported") / "local"
    import_huggingface(exported, out)
    return out


@pytest.mark.parametrize("revision", [[], ["--revision", "v1"]])
def test_a_model_of_the_hub_is_that_of_its_folder(hub, imported, tmp_path, revision, capsys):
    assert run(["import", "lab/model", "-o", str(tmp_path / "out"), *revision]) == 0
    assert same(tmp_path / "out", imported)
    assert load_model(tmp_path / "out").training == {"imported from": f"lab/model@{SHA}"}
    assert "masked_lm, tokenizer kmer3" in capsys.readouterr().out


def test_only_what_is_read_is_fetched_and_only_once(hub, tmp_path):
    (hub.root / "lab" / "model" / "pytorch_model.bin").write_bytes(b"no pickle")
    (hub.root / "lab" / "model" / "notes").mkdir()
    (hub.root / "lab" / "model" / "notes" / "config.json").write_text("{}")
    source = find_source(Path("lab/model"))
    assert sorted(hub.asked) == sorted(path.name for path in source.folder.iterdir())
    assert set(hub.asked) <= {"config.json", "vocab.txt", "tokenizer.json", "model.safetensors"}
    before = list(hub.asked)
    assert find_source(Path("lab/model")) == source
    assert hub.asked == before


def test_shards(hub, imported, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = hub.root / "lab" / "model"
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {"model-1-of-2.safetensors": names[::2], "model-2-of-2.safetensors": names[1::2]}
    for shard, held in shards.items():
        save_file({name: tensors[name] for name in held}, folder / shard)
    where = {name: shard for shard, held in shards.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    import_huggingface(Path("lab/model"), tmp_path / "out")
    assert same(tmp_path / "out", imported)


def test_weights_in_a_pickle_come_last_and_are_tensors_only(hub, imported, tmp_path):
    from safetensors.torch import load_file

    folder = hub.root / "lab" / "model"
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    import_huggingface(Path("lab/model"), tmp_path / "out")
    assert same(tmp_path / "out", imported)


def test_a_folder_goes_before_the_hub(hub, exported, tmp_path):
    shutil.copytree(exported, tmp_path / "lab" / "model")
    assert find_source(Path("lab/model")).origin == "model"
    assert hub.asked == []
    with pytest.raises(CmgemsError, match="a revision of a folder in --revision"):
        find_source(Path("lab/model"), "v1")


def without(*names: str):
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return remove


def with_index(content: str):
    def write(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(content)

    return write


def index_of(shard: str):
    return with_index(json.dumps({"weight_map": {"a": shard}}))


@pytest.mark.parametrize(
    ("name", "revision", "change", "message"),
    [
        (
            "lab/absent",
            None,
            None,
            "no model in lab/absent: there is no such folder, and the hub has no such model",
        ),
        ("lab/gated", None, None, "no access to the model in lab/gated: its owner wants to be asked"),
        ("lab/model", "v9", None, "no such revision in lab/model@v9"),
        (
            "lab/model",
            None,
            without("config.json"),
            "not a model in lab/model: the hub has no config.json of it",
        ),
        (
            "lab/model",
            None,
            without("model.safetensors"),
            "the hub has no model.safetensors or pytorch_model.bin",
        ),
        ("lab/model", None, with_index("{"), "cannot read in .*index.json"),
        ("lab/model", None, index_of("../x.safetensors"), "it names '../x.safetensors'"),
        ("lab/model", None, index_of("code.py"), "it names 'code.py'"),
        ("lab/model", None, with_index('{"weight_map": {"a": 3}}'), "it names 3"),
        ("lab/model", None, index_of("x.safetensors"), "cannot fetch the model in lab/model"),
    ],
)
def test_one_line_and_nothing_written(hub, tmp_path, name, revision, change, message, capsys):
    if change:
        change(hub.root / "lab" / "model")
    options = ["--revision", revision] if revision else []
    assert run(["import", name, "-o", str(tmp_path / "out"), *options]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert re.search(message, line)
    assert not (tmp_path / "out").exists()


def test_no_hub_to_reach(hub, tmp_path, capsys):
    hub.shutdown()
    hub.server_close()
    assert run(["import", "lab/model", "-o", str(tmp_path / "out")]) == 2
    assert (
        "cannot fetch the model in lab/model: there is no such folder, and the hub says: "
        in capsys.readouterr().err
    )

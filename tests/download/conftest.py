"""A server on this machine that serves files, and does what bad ones do."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cmgems.download import http

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Server:
    """What it serves, and how.

    Attributes:
        files: Contents by path.
        faults: "truncate", "stall", "busy" or "corrupt" for the first so many answers of a path.
        repos: Files of the hub's repositories by name: what API and downloads are made of.
        moved: Paths that are somewhere else now.
        ranges: Whether parts of files may be asked for.
        asked: What was asked for: method, path, range.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, tuple[str, int]] = field(default_factory=dict)
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    answers: Counter = field(default_factory=Counter)

    def content(self, path: str) -> bytes | None:
        """Of a file, or of the hub's answer about a repository."""
        if path in self.files:
            return self.files[path]
        for name, files in self.repos.items():
            if path.startswith((f"/api/models/{name}", f"/api/datasets/{name}")):
                return json.dumps({"id": name, "sha": COMMIT, "siblings": siblings(files)}).encode()
            for kind in ("", "/datasets"):
                file = path.removeprefix(f"{kind}/{name}/resolve/{COMMIT}/")
                if file in files and file != path:
                    return files[file]
        return None


def siblings(files):
    found = []
    for name, content in files.items():
        sibling = {"rfilename": name, "size": len(content)}
        if name.endswith((".safetensors", ".bin")):
            sha256 = hashlib.sha256(content).hexdigest()
            sibling["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
        found.append(sibling)
    return found


def handler(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            path, _, _ = self.path.partition("?")
            asked = self.headers.get("Range", "")
            server.asked.append((self.command, path, asked))
            if path in server.moved:
                self.send_response(302)
                self.send_header("Location", server.moved[path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = server.content(path)
            fault, times = server.faults.get(path, ("", 0))
            if not body or server.answers[path] >= times:
                fault = ""
            server.answers[path] += body
            if content is None:
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.send_header("X-Error-Code", "RepoNotFound")  # the hub's
                self.end_headers()
                return
            if fault == "busy":
                self.send_error(503)
                return
            first = int(asked.removeprefix("bytes=").split("-")[0]) if asked and server.ranges else 0
            if first >= len(content) and first:
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if fault == "corrupt":
                content = bytes(byte ^ 1 for byte in content)
            rest = content[first:]
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(len(rest)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if not body:
                return
            try:
                if fault:
                    self.wfile.write(rest if fault == "corrupt" else rest[: len(rest) // 2])
                    self.wfile.flush()
                    if fault == "stall":
                        time.sleep(1.5)
                    self.close_connection = True
                else:
                    self.wfile.write(rest)
            except OSError:  # the other side has left
                self.close_connection = True

    return Handler


@pytest.fixture
def server(monkeypatch):
    """A running server; connections to it are given up after half a second, and tried again at once."""
    monkeypatch.setattr(http, "TIMEOUT", 0.5)
    monkeypatch.setattr(http, "PAUSE", 0.01)
    found = Server()
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler(found))
    running.daemon_threads = True
    found.url = f"http://127.0.0.1:{running.server_port}"
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield found
    running.shutdown()
    running.server_close()


@pytest.fixture
def hub(server, monkeypatch, tmp_path):
    """The server as the Hugging Face Hub, with a cache of its own."""
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub_cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    return server

"""Files over HTTP from servers that break off, stall, are busy, lie, or have moved."""

from __future__ import annotations

import hashlib
import os

import pytest

from cmgems.download import http
from cmgems.download.http import Checksum, fetch, read_text, size_of
from cmgems.errors import CmgemsError, DataError

CONTENT = os.urandom(300_000)
MD5 = Checksum("md5", hashlib.md5(CONTENT).hexdigest())


@pytest.fixture
def got(server, tmp_path):
    """``got("/file")``: load it; returns what arrived and how much was told of."""
    server.files["/file"] = CONTENT

    def load(path="/file", checksum=MD5):
        told = []
        fetch(server.url + path, tmp_path / "file", checksum, told.append)
        assert sum(told) == len(CONTENT)
        return (tmp_path / "file").read_bytes()

    return load


@pytest.mark.parametrize("fault", ["truncate", "stall", "busy"])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_bad_connection_is_tried_again(server, got, fault, ranges, tmp_path):
    server.faults["/file"], server.ranges = (fault, 2), ranges
    assert got() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_it_goes_on_where_it_broke_off(server, got, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:200_000])
    assert got() == CONTENT
    assert server.asked == [("GET", "/file", "bytes=200000-")]


def test_little_of_it_is_there_and_the_server_knows_no_ranges(server, got, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:3000])
    server.ranges = False
    assert got() == CONTENT
    assert len(server.asked) == 1


def test_all_of_it_may_be_there_already(got, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    assert got() == CONTENT


def test_another_place(server, got):
    server.moved["/old"] = f"{server.url}/file"
    assert got("/old") == CONTENT
    assert size_of(f"{server.url}/old") == len(CONTENT)


def test_what_is_not_as_published_is_removed(server, got, tmp_path):
    server.faults["/file"] = ("corrupt", 1)
    with pytest.raises(DataError, match=r"wrong checksum in http.*: md5 is .* is removed; run the same"):
        got()
    assert list(tmp_path.iterdir()) == []
    assert got() == CONTENT


def test_trouble_that_does_not_end(server, got, tmp_path):
    server.faults["/file"] = ("busy", 99)
    with pytest.raises(DataError, match=r"cannot load in http.*/file: the server says 503 .* it goes on"):
        got()
    assert server.answers["/file"] == http.TRIES
    server.faults.clear()
    assert got() == CONTENT


def test_nothing_there(server, got):
    with pytest.raises(DataError, match=r"not found in http.*/nowhere: the server says 404"):
        got("/nowhere")
    with pytest.raises(DataError, match="404"):
        size_of(f"{server.url}/nowhere")


def test_no_server(tmp_path, monkeypatch):
    monkeypatch.setattr(http, "PAUSE", 0.01)
    with pytest.raises(DataError, match="cannot load"):
        read_text("http://127.0.0.1:1/file")
    with pytest.raises(DataError, match=r"cannot reach the server .* the proxy"):
        read_text("http://no-such-host.invalid/file")


def test_a_place_that_cannot_be_written(server, got, tmp_path):
    (tmp_path / "file.part").mkdir()
    with pytest.raises(CmgemsError, match=r"cannot write in .*file.part"):
        got()

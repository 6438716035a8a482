"""Genomes and labelled sets by name."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile

import pytest

from cmgems.download import archives
from cmgems.download.archives import find, known
from cmgems.errors import CmgemsError, DataError

GENOME = gzip.compress(b">chrI\nACGTACGT\n", mtime=0)


@pytest.fixture
def ucsc(server, monkeypatch):
    monkeypatch.setattr(archives, "UCSC", server.url)
    server.files["/sacCer3/bigZips/sacCer3.fa.gz"] = GENOME
    sums = f"{hashlib.md5(GENOME).hexdigest()}  sacCer3.fa.gz\n{'0' * 32}  est.fa.gz\n\n"
    server.files["/sacCer3/bigZips/md5sum.txt"] = sums.encode()
    return server


@pytest.mark.parametrize("name", ["sacCer3", "yeast", "Yeast"])
def test_a_genome(ucsc, tmp_path, name):
    found = find(name, tmp_path)
    assert (found.title, found.size) == ("yeast", len(GENOME))
    found.load()
    assert (tmp_path / "sacCer3.fa.gz").read_bytes() == GENOME


def test_a_genome_that_is_damaged(ucsc, tmp_path):
    ucsc.faults["/sacCer3/bigZips/sacCer3.fa.gz"] = ("corrupt", 1)
    with pytest.raises(DataError, match="wrong checksum"):
        find("yeast", tmp_path).load()
    assert list(tmp_path.iterdir()) == []


def test_a_genome_without_a_checksum(ucsc, tmp_path):
    ucsc.files["/sacCer3/bigZips/md5sum.txt"] = b""
    with pytest.raises(DataError, match=r"no checksum in sacCer3.fa.gz: .*md5sum.txt does not have"):
        find("yeast", tmp_path)


def test_what_is_there_is_kept(ucsc, tmp_path):
    (tmp_path / "sacCer3.fa.gz").write_text("mine")
    with pytest.raises(CmgemsError, match=r"sacCer3.fa.gz"):
        find("yeast", tmp_path)
    assert (tmp_path / "sacCer3.fa.gz").read_text() == "mine"


def test_a_set_on_the_hub(hub, tmp_path):
    files = {"enhancers/train.fna": b">a|1\nACGT\n", "enhancers/test.fna": b">b|0\nACGT\n", "README.md": b"x"}
    hub.repos["InstaDeepAI/nucleotide_transformer_downstream_tasks_revised"] = files
    hub.repos["somebody/labels"] = files
    for name, folder in (("nt_tasks", "nt_tasks"), ("somebody/labels", "labels")):
        found = find(name, tmp_path / "sets")
        assert found.size == sum(map(len, files.values()))
        found.load()
        assert (tmp_path / "sets" / folder / "enhancers/train.fna").read_bytes() == files[
            "enhancers/train.fna"
        ]


@pytest.fixture
def gue(server, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("GUE/tf/0/train.csv", "sequence,label\nACGT,1\n")
    server.files["/gue.zip"] = packed.getvalue()
    monkeypatch.setitem(archives.ZIPPED_SETS, "gue", (f"{server.url}/gue.zip", "GUE"))
    return server


def test_a_zip_archive(gue, tmp_path):
    find("gue", tmp_path).load()
    assert (tmp_path / "gue/GUE/tf/0/train.csv").read_text() == "sequence,label\nACGT,1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["gue"]


@pytest.mark.parametrize("content", [b"<html>too many downloads</html>", None])
def test_what_is_no_whole_archive(gue, tmp_path, content):
    whole = gue.files["/gue.zip"]
    gue.files["/gue.zip"] = content or whole.replace(b"ACGT,1", b"ACGT,0", 1)
    with pytest.raises(DataError, match=r"not a whole zip archive .* fetch it by hand"):
        find("gue", tmp_path).load()
    assert list(tmp_path.iterdir()) == []


def test_a_zip_archive_with_damage_inside(gue, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("GUE/tf/0/train.csv", "sequence,label\n" + "ACGT,1\n" * 100)
    damaged = bytearray(packed.getvalue())
    damaged[50:58] = b"\xff" * 8
    gue.files["/gue.zip"] = bytes(damaged)
    with pytest.raises(DataError, match=r"not a whole zip archive .* fetch it by hand"):
        find("gue", tmp_path).load()
    assert list(tmp_path.iterdir()) == []


def test_no_such_name(tmp_path):
    with pytest.raises(DataError, match=r"no archive 'hg83' .* did you mean 'hg38'"):
        find("hg83", tmp_path)
    assert {"hg38", "gue", "nt_tasks"} <= known().keys()

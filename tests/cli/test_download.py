from __future__ import annotations

import gzip
import hashlib

import pytest

from cmgems.cli.main import main
from cmgems.download import archives
from tests.download.conftest import server  # noqa: F401


def run(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["cmgems", "download", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_without_names_it_lists_them(monkeypatch, capsys):
    assert run(monkeypatch) in (0, None)
    assert "hg38       human, GRCh38" in capsys.readouterr().out


def test_sizes_first(server, monkeypatch, tmp_path, capsys):  # noqa: F811
    genome = gzip.compress(b">chrI\nACGT\n", mtime=0)
    monkeypatch.setattr(archives, "UCSC", server.url)
    server.files["/sacCer3/bigZips/sacCer3.fa.gz"] = genome
    sums = f"{hashlib.md5(genome).hexdigest()}  sacCer3.fa.gz\n"
    server.files["/sacCer3/bigZips/md5sum.txt"] = sums.encode()
    assert run(monkeypatch, "yeast", "-o", tmp_path) in (0, None)
    out, err = capsys.readouterr()
    assert err.splitlines()[0] == f"{tmp_path}/sacCer3.fa.gz: yeast, {len(genome)}B"
    assert out == f"wrote {tmp_path}/sacCer3.fa.gz\n"
    assert run(monkeypatch, "hg83") == 2

"""Text of any compression, told by content; files that are no text, or end before their time, are refused by name."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cmgems.reading.text as text_module
from cmgems.errors import DataError
from cmgems.reading import read_blocks, read_lines, text_kind

END_MARKER = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def bgzip_block(data: bytes) -> bytes:
    """One block, as the SAM specification has it (section 4.1)."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = deflate.compress(data) + deflate.flush()
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", len(body) + 25)
    return head + body + struct.pack("<II", zlib.crc32(data), len(data))


def read(path: Path, content: bytes) -> list[str]:
    path.write_bytes(content)
    return [line.text for line in read_lines(path)]


lines = st.lists(st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"), max_size=20), min_size=1)


@given(
    texts=lines,
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    pack=st.sampled_from([bytes, gzip.compress, bz2.compress, lzma.compress]),
    block=st.integers(1, 50),
)
def test_every_line_is_read(texts, end, last, pack, block, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "every.txt"
    texts = ["begin", *texts, "end"]  # not a kind of file by chance, and a last line that is not empty
    path.write_bytes(pack((end.join(texts) + end * last).encode()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "BLOCK_BYTES", block)
        found = list(read_lines(path))
    assert [line.text for line in found] == texts
    assert [line.where for line in found] == [f"{path}:{n}" for n in range(1, len(texts) + 1)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_mark_is_dropped(tmp_path, pack):
    assert read(tmp_path / "x", pack(b"\xef\xbb\xbfa\n")) == ["a"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"PK\x03\x04", "zip archive"),
        (b"\x43\x27\x41\x1a", "2bit"),
        (b"\x1a\x41\x27\x43", "2bit"),
        (b"BAM\x01", "BAM"),
        (b"BCF\x02\x02", "BCF"),
        (b"PAR1", "Parquet"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"%PDF-1.4", "PDF"),
        ("\ufeffa".encode("utf-16-le"), "UTF-16"),
        ("\ufeffa".encode("utf-16-be"), "UTF-16"),
        (b"<!DOCTYPE HTML>", "web page"),
        (b"<HTML>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        (b"name".ljust(257, b"\0") + b"ustar", "tar archive"),
    ],
)
def test_files_that_are_no_text(tmp_path, start, kind, pack):
    with pytest.raises(DataError, match=f"not a text file in .*: it is .*{kind}.*; "):
        read(tmp_path / "x", pack(start + b"\n" * 300))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"a\nb\xff\n", r"not UTF-8 text in .*x:2: byte 0xFF at position 2"),
        (b"a\rb\r", r"lines that end in CR alone in .*x:1"),
        (b"a\n\0\n", "x:2: it has a NUL byte"),
        (gzip.compress(b"a\n" * 9000, mtime=0)[:-9], "the compressed data ends too early"),
        (lzma.compress(b"a\n" * 9000)[:-9], "cannot read to the end"),
        (bz2.compress(b"a\n" * 9000)[:-9], "cannot read to the end"),
        (bgzip_block(b"a\n") + bgzip_block(b"b\n"), "incomplete bgzip file .*end marker is missing"),
    ],
)
def test_files_that_are_damaged(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / "x", content)
    assert "\n" not in caught.value.line()


def test_bgzip_with_its_end_marker(tmp_path):
    assert read(tmp_path / "x", bgzip_block(b"a\n") + bgzip_block(b"b\n") + END_MARKER) == ["a", "b"]


def test_a_folder_a_missing_file_and_a_wrong_name(tmp_path):
    for path, message in ((tmp_path, "not a file"), (tmp_path / "none", "no such file")):
        with pytest.raises(DataError, match=message):
            list(read_blocks(path))
    with pytest.raises(DataError, match=r"the name ends in \.gz but the content is not gz"):
        read(tmp_path / "x.gz", b"a\n")


def test_bytes_that_are_not_used_may_be_anything(tmp_path):
    (tmp_path / "x").write_bytes(b"caf\xe9\n")
    assert [line.text for line in read_lines(tmp_path / "x", errors="replace")] == ["caf\ufffd"]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("@r1", "FASTQ"),
        ("@HD\tVN:1.6", "SAM"),
        ("##fileformat=VCFv4.3", "VCF"),
        (">a", "FASTA"),
        ("chr1\t0\t4", ""),
    ],
)
def test_kinds_of_text(line, kind):
    assert text_kind(line)[0] == kind

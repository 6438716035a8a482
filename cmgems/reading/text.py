"""Text files, plain or compressed, told by their content and not by their name. The only module that knows xopen.

A file that is no text, or that ends before its time, is refused by what it is: nothing is read half.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from xopen import xopen

from cmgems.errors import DataError

BLOCK_BYTES = 1 << 20
COMPRESSED = {
    b"\x1f\x8b": "gz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
}
# Files that are mistaken for text: their first bytes, what they are, and what to do about it.
OTHER_KINDS = (
    (b"PK\x03\x04", "a zip archive, or a spreadsheet", "unpack it, or save the table as CSV"),
    (b"\x43\x27\x41\x1a", "2bit", "unpack it with twoBitToFa"),
    (b"\x1a\x41\x27\x43", "2bit", "unpack it with twoBitToFa"),
    (b"BAM\x01", "BAM", "give the sequences as FASTA: samtools fasta"),
    (b"CRAM", "CRAM", "give the sequences as FASTA: samtools fasta"),
    (b"BCF\x02", "BCF", "give VCF: bcftools view"),
    (b"PAR1", "Parquet", "give text"),
    (b"\x89HDF\r\n\x1a\n", "HDF5", "give text"),
    (b"SQLite format 3", "an SQLite database", "give text"),
    (b"%PDF", "PDF", "give text"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!", "a rar archive", "unpack it"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
    (b"<!doctype html", "a web page", "fetch the file itself"),
    (b"<html", "a web page", "fetch the file itself"),
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the file itself: git lfs pull"),
)
TAR_MAGIC = slice(257, 262)
UTF8_MARK = b"\xef\xbb\xbf"
# Every block of bgzip is gzip with an extra field BC; the last one is empty (SAM specification, section 4.1).
BGZIP_START, BGZIP_FIELD = b"\x1f\x8b\x08\x04", slice(12, 14)
BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


class Line(NamedTuple):
    """A line of a text file.

    Attributes:
        path: The file.
        number: From 1.
        text: Without its end.
    """

    path: Path
    number: int
    text: str

    @property
    def where(self) -> str:
        """``file:line``, for messages."""
        return f"{self.path}:{self.number}"


def compression_of(path: Path) -> str | None:
    """How ``path`` is compressed ("gz", "zst", "bz2", "xz") by its first bytes, or None if it is not.

    Raises:
        DataError: if it is not a readable, non-empty file, is of a kind that is no text, or is named as compressed
            but is not.
    """
    start = _start_of(path)
    for magic, kind in COMPRESSED.items():
        if start.startswith(magic):
            return kind
    named = path.suffix.lstrip(".").lower().replace("bgz", "gz")
    if named in COMPRESSED.values():
        raise DataError(
            "not a compressed file",
            where=path,
            why=f"the name ends in {path.suffix} but the content is not {named}",
            fix="rename the file, or fetch it again",
        )
    _refuse_other_kinds(start, path)
    return None


def read_blocks(path: Path) -> Iterator[bytes]:
    """The decompressed file in blocks of about a megabyte and of whole lines, without a byte-order mark.

    Raises:
        DataError: as ``compression_of``; if the compressed data is damaged or ends too early; or if what is in it is of
            a kind that is no text.
    """
    kind = compression_of(path)
    if kind == "gz":
        _check_bgzip_end(path)
    try:
        with xopen(path, "rb", threads=0, format=kind) if kind else open(path, "rb") as handle:
            # readline() completes the block's last line, so that no line is split between two blocks.
            block = handle.read(BLOCK_BYTES) + handle.readline()
            _refuse_other_kinds(block, path)
            block = block.removeprefix(UTF8_MARK)
            while block:
                yield block
                block = handle.read(BLOCK_BYTES) + handle.readline()
    except DataError:
        raise
    except Exception as error:  # each decompressor has exceptions of its own
        truncated = isinstance(error, EOFError)
        raise DataError(
            "cannot read to the end",
            where=path,
            why="the compressed data ends too early" if truncated else str(error),
            fix="fetch or compress the file again",
        ) from error


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a text file, blank ones too.

    Raises:
        DataError: as ``read_blocks``; or if a line is not UTF-8 text, or ends in CR alone.
    """
    number = 0
    for block in read_blocks(path):
        for raw in block.removesuffix(b"\n").split(b"\n"):
            number += 1
            yield Line(path, number, _text(raw, path, number))


def _text(raw: bytes, path: Path, number: int) -> str:
    where = f"{path}:{number}"
    try:
        text = raw.decode().removesuffix("\r")
    except UnicodeDecodeError as error:
        why = f"byte 0x{raw[error.start]:02X} at position {error.start + 1}"
        raise DataError("not UTF-8 text", where=where, why=why, fix="save the file as UTF-8") from error
    if "\r" in text:
        fix = "convert them, for example with: tr '\\r' '\\n'"
        raise DataError("lines that end in CR alone", where=where, fix=fix)
    if "\0" in text:
        why = "it has a NUL byte, as UTF-16 and binary files do"
        raise DataError("not UTF-8 text", where=where, why=why, fix="save the file as UTF-8")
    return text


def _start_of(path: Path) -> bytes:
    """The first bytes of a file.

    Raises:
        DataError: if it is not a readable, non-empty file.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            fix = "give the files themselves, plain or compressed"
            raise DataError("not a file", where=path, fix=fix)
        with open(path, "rb") as handle:
            start = handle.read(TAR_MAGIC.stop)
    except FileNotFoundError:
        raise DataError("no such file", where=path, fix="check the path") from None
    except OSError as error:
        raise DataError("cannot read", where=path, why=error.strerror or str(error)) from error
    if not start:
        raise DataError("empty file", where=path, fix="write or fetch it again")
    return start


def _refuse_other_kinds(start: bytes, path: Path) -> None:
    kinds = [(kind, fix) for magic, kind, fix in OTHER_KINDS if start[: len(magic)].lower() == magic.lower()]
    if start[TAR_MAGIC] == b"ustar":
        kinds = [("a tar archive", "unpack it")]
    if kinds:
        raise DataError("not a text file", where=path, why=f"it is {kinds[0][0]}", fix=kinds[0][1])


def _check_bgzip_end(path: Path) -> None:
    """Raise if a bgzip file lacks its empty last block: cut between two blocks, it unpacks without an error."""
    with open(path, "rb") as handle:
        start = handle.read(18)
        if not start.startswith(BGZIP_START) or start[BGZIP_FIELD] != b"BC":
            return
        handle.seek(max(handle.seek(0, 2) - len(BGZIP_END), 0))
        if handle.read() == BGZIP_END:
            return
    raise DataError(
        "incomplete bgzip file",
        where=path,
        why="its end marker is missing, so it was cut",
        fix="fetch it again; if it is whole, repack it with: gzip -dc FILE | bgzip",
    )

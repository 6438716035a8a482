"""Text files, plain or compressed, told by their content and not by their name. The only module that knows xopen.

A file that is no text, or that ends before its time, is refused by what it is: nothing is read half.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from xopen import xopen

from cmgems.errors import DataError
from cmgems.reading.kinds import TAR_MAGIC, refuse_binary

BLOCK_BYTES = 1 << 20
COMPRESSED = {
    b"\x1f\x8b": "gz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
}
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
    refuse_binary(start, path)
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
            refuse_binary(block, path)
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


def read_lines(path: Path, *, errors: Literal["strict", "replace"] = "strict") -> Iterator[Line]:
    """The lines of a text file, blank ones too.

    Args:
        path: The file.
        errors: What to do about bytes that are not UTF-8: refuse them, or put U+FFFD in their place, where most of
            the file is not used.

    Raises:
        DataError: as ``read_blocks``; or if a line is not UTF-8 text, or ends in CR alone.
    """
    number = 0
    for block in read_blocks(path):
        for raw in block.removesuffix(b"\n").split(b"\n"):
            number += 1
            yield Line(path, number, _text(raw, path, number, errors))


def _text(raw: bytes, path: Path, number: int, errors: str) -> str:
    where = f"{path}:{number}"
    try:
        text = raw.decode(errors=errors).removesuffix("\r")
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

"""Read FASTA strictly: every byte is checked, and an error names file, contig and position.

xopen decompresses (gzip, bgzip, zstd, bzip2, xz). The few lines of parsing are our own: ``bytes`` methods on whole
blocks are several times faster than a reader that goes line by line, and no reader rejects proteins, gap characters
or NUL bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xopen import xopen

from cmgems.errors import DataError
from cmgems.genome.alphabet import IUPAC

BLOCK_BYTES = 1 << 20
MAGIC = {
    b"\x1f\x8b": "gz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
}
LETTERS = "".join(sorted(IUPAC)).encode()
WHITESPACE = (b"\n", b"\r", b" ", b"\t")
NO_FASTA_FIX = "give a FASTA file: lines starting with '>' and a name, each followed by DNA"


@dataclass(frozen=True, slots=True)
class FastaRecord:
    """One contig.

    Attributes:
        name: First word of the header line.
        sequence: ASCII letters in the file's own case, no whitespace, only A, C, G, T and other IUPAC codes.
    """

    name: str
    sequence: bytes


def compression_of(path: Path) -> str | None:
    """How ``path`` is compressed ("gz", "zst", "bz2", "xz") by its first bytes, or None if it is not.

    Raises:
        DataError: if it is not a readable, non-empty file, or is named as compressed but is not.
    """
    if not path.exists():
        raise DataError("no such file", where=path, fix="check the path")
    if not path.is_file():
        raise DataError("not a file", where=path, fix="give the files themselves, plain or compressed")
    try:
        with open(path, "rb") as handle:
            start = handle.read(8)
    except OSError as error:
        raise DataError("cannot read", where=path, why=error.strerror or str(error)) from error
    if not start:
        raise DataError("empty file", where=path, fix="write or fetch it again")
    for magic, kind in MAGIC.items():
        if start.startswith(magic):
            return kind
    named = path.suffix.lstrip(".").lower().replace("bgz", "gz")
    if named in MAGIC.values():
        raise DataError(
            "not a compressed file",
            where=path,
            why=f"the name ends in {path.suffix} but the content is not {named}",
            fix="rename the file, or fetch it again",
        )
    return None


def read_fasta(path: Path) -> Iterator[FastaRecord]:
    """Read the contigs of a FASTA file one by one, plain or compressed (recognised by content, not by name).

    Memory is bounded by the longest contig.

    Raises:
        DataError: if the file is missing, empty, truncated or not FASTA, or if a record has no name, no
            sequence, or a letter that is not a nucleotide code; the message names contig and position (1-based).
    """
    for header, sequence in _raw_records(path, compression_of(path)):
        yield _checked(header, sequence, path)


def _blocks(path: Path, kind: str | None) -> Iterator[bytes]:
    """Yield the decompressed file in blocks of whole lines."""
    try:
        with xopen(path, "rb", threads=0, format=kind) if kind else open(path, "rb") as handle:
            # readline() completes the block's last line, so no header is ever split between two blocks.
            while block := handle.read(BLOCK_BYTES) + handle.readline():
                yield block
    except Exception as error:  # each decompressor has exceptions of its own
        truncated = isinstance(error, EOFError)
        raise DataError(
            "cannot read to the end",
            where=path,
            why="the compressed data ends too early" if truncated else str(error),
            fix="fetch or compress the file again",
        ) from error


def _raw_records(path: Path, kind: str | None) -> Iterator[tuple[bytes, bytes]]:
    """Yield (header without '>', sequence without whitespace)."""
    header: bytes | None = None
    parts: list[bytes] = []
    for block in _blocks(path, kind):
        continued, *starts = (b"\n" + block).split(b"\n>")
        if header is None and continued.strip():
            first = continued.lstrip()[:20]
            raise DataError(
                "no FASTA header", where=path, why=f"the file starts with {first!r}", fix=NO_FASTA_FIX
            )
        parts.append(_without_whitespace(continued))
        for start in starts:
            if header is not None:
                yield header, b"".join(parts)
            header, _, sequence = start.partition(b"\n")
            parts = [_without_whitespace(sequence)]
    if header is None:
        raise DataError("no FASTA header", where=path, why="the file is blank", fix=NO_FASTA_FIX)
    yield header, b"".join(parts)


def _without_whitespace(text: bytes) -> bytes:
    # Much faster than translate(None, ...): replace() looks for the next match with memchr.
    for space in WHITESPACE:
        text = text.replace(space, b"")
    return text


def _checked(header: bytes, sequence: bytes, path: Path) -> FastaRecord:
    if b"\r" in header.rstrip():  # bases were taken for a part of the header
        raise DataError(
            "lines that end in CR alone", where=path, fix="convert them, for example with: tr '\\r' '\\n'"
        )
    try:
        words = header.decode("utf-8").split(maxsplit=1)
    except UnicodeDecodeError as error:
        raise DataError(
            "header is not UTF-8 text", where=path, why=f"{header[:40]!r}", fix=NO_FASTA_FIX
        ) from error
    if not words or header[:1].isspace():
        raise DataError("contig without a name", where=path, why="a '>' is not followed by a name")
    name = words[0]
    if not name.isprintable():
        raise DataError("unprintable contig name", where=path, why=repr(name), fix=NO_FASTA_FIX)
    if not sequence:
        raise DataError(
            "empty contig", where=f"{path}, contig {name}", fix="remove the record or add its bases"
        )
    if foreign := sequence.translate(None, LETTERS):
        raise _foreign_letter(name, sequence, foreign, path)
    return FastaRecord(name, sequence)


def _foreign_letter(name: str, sequence: bytes, foreign: bytes, path: Path) -> DataError:
    position = sequence.index(foreign[:1]) + 1
    letter = foreign[:1].decode("ascii") if foreign[0] in range(33, 127) else f"byte 0x{foreign[0]:02X}"
    what, fix = "not DNA", "only A, C, G, T, N and the IUPAC codes R Y S W K M B D H V are bases"
    if set(foreign) <= set(b"Uu"):
        what, fix = "looks like RNA", "convert U to T"
    elif set(foreign.upper()) <= set(b"EFILPQZJOXU*"):
        what = "looks like protein"
    return DataError(
        what, where=f"{path}, contig {name}, position {position:,}", why=f"found {letter!r}", fix=fix
    )

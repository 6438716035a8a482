"""Read FASTA strictly: every byte is checked, and an error names file, contig and position.

The few lines of parsing are our own: ``bytes`` methods on whole blocks are several times faster than a reader that goes
line by line, and no reader rejects proteins, gap characters or NUL bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from cmgems.errors import DataError, RecordError
from cmgems.genome.letters import foreign_letter
from cmgems.reading import Invalid, read_blocks, text_kind

WHITESPACE = (b"\n", b"\r", b" ", b"\t")
COMMENT_LINE = re.compile(rb"^;.*\n?", re.MULTILINE)
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


def read_fasta(path: Path, invalid: Invalid | None = None) -> Iterator[FastaRecord]:
    """Read the contigs of a FASTA file one by one, plain or compressed (recognised by content, not by name).

    Memory is bounded by the longest contig. Lines that begin with ``;`` are comments.

    Args:
        path: The file.
        invalid: What to do about a record that cannot be used; None to stop there.

    Raises:
        DataError: if the file is missing, empty, truncated or not FASTA.
        RecordError: if a record has no name, no sequence, or a letter that is not a nucleotide code; the message names
            contig and position (1-based).
    """
    for number, (header, sequence) in enumerate(_raw_records(path), start=1):
        if invalid is None:
            yield _checked(header, sequence, number, path)
        elif record := invalid.judge(_checked, header, sequence, number, path):
            yield record


def _raw_records(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield (header without '>', sequence without whitespace)."""
    header: bytes | None = None
    parts: list[bytes] = []
    for block in read_blocks(path):
        continued, *starts = (b"\n" + _without_comments(block)).split(b"\n>")
        if header is None and continued.strip():
            raise _no_header(continued.lstrip(), path)
        parts.append(_without_whitespace(continued, path))
        for start in starts:
            if header is not None:
                yield header, b"".join(parts)
            header, _, sequence = start.partition(b"\n")
            if b"\r" in header.rstrip():  # bases were taken for a part of the header
                fix = "convert them, for example with: tr '\\r' '\\n'"
                raise DataError("lines that end in CR alone", where=path, fix=fix)
            parts = [_without_whitespace(sequence, path)]
    if header is None:
        raise DataError("no FASTA header", where=path, why="the file is blank", fix=NO_FASTA_FIX)
    yield header, b"".join(parts)


def _no_header(start: bytes, path: Path) -> DataError:
    kind, fix = text_kind(start[:40].decode(errors="replace"))
    why = f"it is {kind}" if kind else f"the file starts with {start[:20]!r}"
    return DataError("no FASTA header", where=path, why=why, fix=fix or NO_FASTA_FIX)


def _without_comments(block: bytes) -> bytes:
    return COMMENT_LINE.sub(b"", block) if block.startswith(b";") or b"\n;" in block else block


def _without_whitespace(text: bytes, path: Path) -> bytes:
    if b" " in text or b"\t" in text:
        _refuse_kmers(text, path)
    # Much faster than translate(None, ...): replace() looks for the next match with memchr.
    for space in WHITESPACE:
        text = text.replace(space, b"")
    return text


def _refuse_kmers(text: bytes, path: Path) -> None:
    """Raise if lines are overlapping k-mers and not, as some programs write them, blocks of bases."""
    for line in text.split(b"\n"):
        words = line.split()
        overlap = all(word[1:] == after[:-1] for word, after in pairwise(words))
        if (
            overlap and len(words) > 2 and len(set(words)) > 1 and len(words[0]) > 1
        ):  # blocks of N overlap too
            raise DataError(
                "overlapping k-mers in FASTA",
                where=path,
                why=f"{words[0][:20].decode('latin-1')} is followed by {words[1][:20].decode('latin-1')}",
                fix="write the bases, or a table with the column `sequence` for the k-mers",
            )


def _checked(header: bytes, sequence: bytes, number: int, path: Path) -> FastaRecord:
    """The ``number``-th record of a file, from 1."""
    where = f"{path}, contig {number}"
    word = header.split(maxsplit=1)[0] if header[:1].strip() else b""
    if not word:
        why = "the '>' is not followed by a name"
        raise RecordError("contig without a name", where=where, why=why, fix="give it one")
    try:
        name = word.decode()
    except UnicodeDecodeError as error:
        raise RecordError(
            "name is not UTF-8 text", where=where, why=f"{word[:40]!r}", fix=NO_FASTA_FIX
        ) from error
    if not name.isprintable():
        raise RecordError("unprintable contig name", where=where, why=repr(name), fix=NO_FASTA_FIX)
    where = f"{path}, contig {name}"
    if not sequence:
        raise RecordError("empty contig", where=where, fix="remove the record or add its bases")
    if problem := foreign_letter(sequence, where):
        raise problem
    return FastaRecord(name, sequence)

"""What a file is that is not what it was taken for."""

from __future__ import annotations

from pathlib import Path

from cmgems.errors import DataError

LFS_POINTER = b"version https://git-lfs"
# Files that are no text: their first bytes, what they are, and what to do about it.
_BINARY = (
    (b"PK\x03\x04", "a zip archive, or a spreadsheet", "unpack it, or save the table as CSV"),
    (b"\x43\x27\x41\x1a", "2bit", "unpack it with twoBitToFa"),
    (b"\x1a\x41\x27\x43", "2bit", "unpack it with twoBitToFa"),
    (b"BAM\x01", "BAM", "give the sequences as FASTA: samtools fasta"),
    (b"CRAM", "CRAM", "give the sequences as FASTA: samtools fasta"),
    (b"BCF\x02", "BCF", "give VCF: bcftools view"),
    (b"PAR1", "Parquet", "give it a name that ends in .parquet, or give text"),
    (b"\x89HDF\r\n\x1a\n", "HDF5", "give text"),
    (b"SQLite format 3", "an SQLite database", "give text"),
    (b"%PDF", "PDF", "give text"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!", "a rar archive", "unpack it"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
    (b"<!doctype html", "a web page", "fetch the file itself"),
    (b"<html", "a web page", "fetch the file itself"),
    (LFS_POINTER, "a Git LFS pointer", "fetch the file itself: git lfs pull"),
)
TAR_MAGIC = slice(257, 262)

# Text of sequences, variants or intervals that is in another format, by the beginning of its first line.
_TEXT = (
    (">", "FASTA", ""),
    ("@HD\t", "SAM", "give the sequences as FASTA: samtools fasta"),
    ("@SQ\t", "SAM", "give the sequences as FASTA: samtools fasta"),
    ("@", "FASTQ", "give the sequences as FASTA: seqtk seq -a"),
    ("LOCUS ", "GenBank", "save it as FASTA"),
    ("ID   ", "EMBL", "save it as FASTA"),
    ("##fileformat=VCF", "VCF", ""),
    ("#CHROM\t", "VCF", ""),
    ("##gff-version", "GFF", "convert it to BED"),
    ("##sequence-region", "GFF", "convert it to BED"),
    ("track type=wiggle_0", "WIG", "convert it to BED"),
    ("fixedStep ", "WIG", "convert it to BED"),
    ("variableStep ", "WIG", "convert it to BED"),
    ("{", "JSON", ""),
)


def refuse_binary(start: bytes, path: Path) -> None:
    """Raise if a file is of a kind that is no text.

    Args:
        start: Its first 262 bytes or more, decompressed or not.
        path: The file, for the message.

    Raises:
        DataError: with what it is and what to do about it.
    """
    kinds = [(kind, fix) for magic, kind, fix in _BINARY if start[: len(magic)].lower() == magic.lower()]
    if start[TAR_MAGIC] == b"ustar":
        kinds = [("a tar archive", "unpack it")]
    if kinds:
        raise DataError("not a text file", where=path, why=f"it is {kinds[0][0]}", fix=kinds[0][1])


def text_kind(first_line: str) -> tuple[str, str]:
    """The format of a text by the beginning of its first line, and how to go on from there; "" for what is unknown."""
    return next(((kind, fix) for start, kind, fix in _TEXT if first_line.startswith(start)), ("", ""))

"""Reading VCF; the only module that knows vcfpy.

vcfpy is pure Python, so it installs wherever this package does and says what is wrong with a file. The readers built on
htslib are faster, which does not show beside a forward pass a variant, but one of them crashes the interpreter on a
record whose columns are separated by spaces, and another gives up on VCF compressed by plain gzip.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from xopen import xopen

from cmgems.errors import DataError
from cmgems.extras import optional
from cmgems.reading import compression_of


@dataclass(frozen=True)
class Variant:
    """One record.

    Attributes:
        contig: CHROM.
        position: POS: of the first base of ``ref``, from 1.
        id: ID, empty if there is none.
        ref: Reference allele.
        alts: Alternative alleles; none if the record has none.
        where: File and line, for messages.
    """

    contig: str
    position: int
    id: str
    ref: str
    alts: tuple[str, ...]
    where: str


class _Lines:
    """A text stream that knows the line it is at. vcfpy is one line ahead of the record it returns."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.number = stream, 0

    def readline(self) -> str:
        self.number += 1
        return self.stream.readline()


def read_vcf(path: Path) -> list[Variant]:
    """Read the records of a VCF file, plain or compressed (told by content), without the samples' genotypes.

    Raises:
        DataError: if it is missing or not VCF, or a record cannot be read.
        CmgemsError: if vcfpy is not installed.
    """
    vcfpy = optional("vcfpy", extra="variants", needed_for="variants")
    kind = compression_of(path)
    lines: _Lines | None = None
    variants: list[Variant] = []
    try:
        # Contigs without a length, undeclared fields: nothing that matters here.
        with warnings.catch_warnings(), xopen(path, "rt", threads=0, format=kind, encoding="utf-8") as stream:
            warnings.simplefilter("ignore")
            lines = _Lines(stream)
            for record in vcfpy.Reader.from_stream(lines, str(path), parsed_samples=[]):
                alts = tuple(alt.serialize() for alt in record.ALT)
                where = f"{path}:{lines.number - 1}"
                variants.append(
                    Variant(record.CHROM, record.POS, ";".join(record.ID), record.REF, alts, where)
                )
    except Exception as error:  # parsers and decompressors have exceptions of their own
        raise DataError(
            "cannot read the VCF",
            where=path if lines is None else f"{path}:{lines.number - 1}",
            why="the compressed data ends too early" if isinstance(error, EOFError) else str(error),
            fix="correct the line, or give a VCF file",
        ) from error
    if not variants:
        raise DataError("no variants", where=path, fix="give at least one record")
    return variants

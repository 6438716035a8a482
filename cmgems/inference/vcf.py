"""Reading VCF.

Scoring needs the first five columns, CHROM POS ID REF ALT, and nothing of the header. That is a line of code, and full
readers get in its way: they stop at a blank line, some without a word, and refuse files for header lines that are not
needed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cmgems.errors import DataError, RecordError
from cmgems.reading import Invalid, Line, read_lines, text_kind, whole_number

COLUMNS = ["#CHROM", "POS", "ID", "REF", "ALT"]
FIX = "write CHROM, POS, ID, REF, ALT, separated by tabs"


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


def read_vcf(path: Path, invalid: Invalid | None = None) -> Iterator[Variant]:
    """Read the records of a VCF file, plain or compressed (told by content), one by one.

    Args:
        path: The file. Blank lines and all lines of the header but that of the columns are passed over.
        invalid: What to do about a record that cannot be used; None to stop there.

    Raises:
        DataError: if it is missing or not VCF, or holds no record.
        RecordError: if a record cannot be read.
    """
    invalid = invalid or Invalid()
    found = False
    for line in _records(path):
        if variant := invalid.judge(_variant, line):
            found = True
            yield variant
    if not found:
        raise invalid.none_left("variants", path)


def _records(path: Path) -> Iterator[Line]:
    """The lines of a VCF file below its header."""
    in_header = True
    for line in read_lines(path, errors="replace"):
        if not line.text.strip() or line.text.startswith("##"):
            continue
        if line.text.startswith("#"):
            if line.text.split("\t")[:5] == COLUMNS:
                in_header = False
            elif line.text.startswith("#CHROM"):
                raise DataError(
                    "not the header of a VCF", where=line.where, why=f"{line.text[:60]!r}", fix=FIX
                )
        elif in_header:
            kind, fix = text_kind(line.text)
            why = f"it is {kind}" if kind else "the records begin without a line that starts with #CHROM"
            fix = fix or "put the header back: #CHROM, POS, ID, REF, ALT, separated by tabs"
            raise DataError("no VCF header", where=line.where, why=why, fix=fix)
        else:
            yield line
    if in_header:
        raise DataError("no VCF header", where=path, why="no line starts with #CHROM", fix="give a VCF file")


def _variant(line: Line) -> Variant:
    cells = line.text.split("\t")[:5]
    if len(cells) < len(COLUMNS):
        spaces = len(line.text.split()) >= len(COLUMNS)
        why = "the columns are separated by spaces" if spaces else f"it has {len(cells)} columns"
        raise RecordError("not a VCF record", where=line.where, why=why, fix=FIX)
    contig, position, name, ref, alt = cells
    if (number := whole_number(position)) is None:
        why = f"POS is {position[:40]!r}"
        raise RecordError("not a VCF record", where=line.where, why=why, fix="write a whole number")
    if "" in (contig, ref, alt) or "\ufffd" in line.text[: sum(map(len, cells)) + 4]:
        why = "CHROM, REF or ALT is empty or not UTF-8 text"
        raise RecordError("not a VCF record", where=line.where, why=why, fix=FIX)
    alts = () if alt == "." else tuple(alt.split(","))
    return Variant(contig, number, "" if name == "." else name, ref, alts, line.where)

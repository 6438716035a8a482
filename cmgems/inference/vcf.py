"""Reading VCF.

Scoring needs the first five columns, CHROM POS ID REF ALT, and nothing of the header; labels need INFO, and which keys
have a value for each alternative. That is a few lines of code, and full readers get in its way: they stop at a blank
line, some without a word, and refuse files for header lines that are not needed here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cmgems.errors import DataError, RecordError
from cmgems.reading import Invalid, Line, read_lines, text_kind, whole_number

COLUMNS = ["#CHROM", "POS", "ID", "REF", "ALT"]
INFO = 7  # its column
PER_ALT = re.compile(r"##INFO=<ID=([^,>]+),Number=A\b")
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
        fields: What else the record says: the text of ``INFO``, or the cells of a table by their columns.
        per_alt: Keys of INFO that have a value for each alternative.
    """

    contig: str
    position: int
    id: str
    ref: str
    alts: tuple[str, ...]
    where: str
    fields: Mapping[str, str] = field(default_factory=dict, compare=False)
    per_alt: Collection[str] = field(default=(), compare=False)


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
    found, per_alt = False, set[str]()
    for line in _records(path, per_alt):
        if variant := invalid.judge(_variant, line, per_alt):
            found = True
            yield variant
    if not found:
        raise invalid.none_left("variants", path)


def _records(path: Path, per_alt: set[str]) -> Iterator[Line]:
    """The lines of a VCF file below its header, which says what goes into ``per_alt``."""
    in_header = True
    for line in read_lines(path, errors="replace"):
        if not line.text.strip() or line.text.startswith("##"):
            per_alt.update(PER_ALT.findall(line.text))
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


def _variant(line: Line, per_alt: Collection[str]) -> Variant:
    cells = line.text.split("\t", INFO + 1)
    fields = {"INFO": cells[INFO]} if len(cells) > INFO else {}
    cells = cells[:5]
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
    return Variant(contig, number, "" if name == "." else name, ref, alts, line.where, fields, per_alt)

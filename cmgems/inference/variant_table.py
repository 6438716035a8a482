"""Variants from a table: a column for the contig, the position (from 1), the reference and the alternative."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from cmgems.errors import DataError, RecordError
from cmgems.inference.vcf import Variant, read_vcf
from cmgems.reading import Invalid, Record, Table, find_columns, open_table, whole_number

# What columns may be called, in any case.
NAMES: Mapping[str, tuple[str, ...]] = {
    "contig": ("chrom", "contig", "chr", "chromosome"),
    "position": ("pos", "position"),
    "ref": ("ref", "reference"),
    "alt": ("alt", "alternative", "alternate"),
}
IDS = ("id", "name")


def read_variants(path: Path, invalid: Invalid | None = None) -> Iterator[Variant]:
    """Read variants of a VCF file, or of a table with the columns chrom, pos, ref and alt, one by one.

    Args:
        path: The file; a table may be delimited text, JSON lines or Parquet. Whatever is no table is read as VCF.
        invalid: What to do about a record that cannot be used; None to stop there.

    Raises:
        DataError: if it is missing or neither, or holds no record.
        RecordError: if a record cannot be read.
    """
    table = _table(path)
    return read_vcf(path, invalid) if table is None else _read(table, invalid or Invalid())


def _table(path: Path) -> Table | None:
    """The file as a table, if that is what it is.

    Raises:
        DataError: if it lacks a column.
    """
    try:
        table = open_table(path)
    except (DataError, RecordError):
        return None  # the reader of VCF says what it is
    missing = [name for name, found in find_columns(table.header, NAMES).items() if found is None]
    if len(missing) > len(NAMES) // 2 or table.header[0].startswith("#"):  # as the header of a VCF
        return None
    if missing:
        raise DataError(
            "columns missing",
            where=table.where,
            why=f"no {', '.join(NAMES[name][0] for name in missing)}; it has {', '.join(table.header)[:60]}",
            fix="name them chrom, pos, ref and alt",
        )
    return table


def _read(table: Table, invalid: Invalid) -> Iterator[Variant]:
    places = [place for place in find_columns(table.header, NAMES).values() if place is not None]
    lower = [name.lower() for name in table.header]
    names = [i for i, name in enumerate(lower) if name in IDS][:1]
    found = False
    for record in table.records(range(len(table.header)), invalid):
        if variant := invalid.judge(_variant, record, places, names, table.header):
            found = True
            yield variant
    if not found:
        raise invalid.none_left("variants", table.path)


def _variant(record: Record, places: list[int], names: list[int], header: list[str]) -> Variant:
    contig, position, ref, alt = (record.cells[place] for place in places)
    if (number := whole_number(position)) is None:
        why = f"the position is {position[:40]!r}"
        raise RecordError("not a variant", where=record.where, why=why, fix="write a whole number, from 1")
    if "" in (contig, ref, alt):
        why = "the contig, the reference or the alternative is empty"
        raise RecordError("not a variant", where=record.where, why=why, fix="write all of them")
    name = record.cells[names[0]] if names else ""
    alts = () if alt == "." else tuple(alt.split(","))
    return Variant(
        contig, number, name, ref, alts, record.where, dict(zip(header, record.cells, strict=False))
    )

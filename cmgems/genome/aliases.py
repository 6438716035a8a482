"""Other names of contigs: chr1, 1, CM000663.2 and NC_000001.11 are one and the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from cmgems.errors import DataError
from cmgems.reading import Line, read_lines

# Of an assembly report; its other columns hold no names, or names that several contigs share.
NCBI_NAMES = ("Sequence-Name", "GenBank-Accn", "RefSeq-Accn", "UCSC-style-name")
NO_NAME = ("", "na")


def read_aliases(path: Path, names: Collection[str]) -> dict[str, str]:
    """Which contig of a store is meant by the other names in a table.

    Args:
        path: An assembly report of NCBI (``*_assembly_report.txt``); or tab- or comma-separated text in which every row
            has the names of one contig, such as two columns, the other name and the store's. Lines that begin with
            ``#`` are comments.
        names: Of the contigs of the store.

    Returns:
        The store's name for every name that it does not have itself.

    Raises:
        DataError: if the file cannot be read, a name stands for two contigs, or no row has a contig of the store.
    """
    aliases: dict[str, str] = {}
    known = frozenset(names)
    found = False
    for line, row in _rows(path):
        ours = [name for name in row if name in known]
        found |= bool(ours)
        for contig in ours:
            for name in row:
                if name not in known and aliases.setdefault(name, contig) != contig:
                    raise DataError(
                        f"ambiguous contig name {name!r}",
                        where=line.where,
                        why=f"it stands for {aliases[name]} and {contig}",
                        fix="leave one of them out",
                    )
    if not found:
        raise DataError(
            "no contig of the store", where=path, why="no row has a name of the store", fix="check the table"
        )
    return aliases


def _rows(path: Path) -> Iterator[tuple[Line, list[str]]]:
    """The names in each row."""
    places: list[int] | None = None  # of the names; None if every cell is one
    for line in read_lines(path):
        cells = [cell.strip() for cell in line.text.split("\t" if "\t" in line.text else ",")]
        if line.text.startswith("#"):
            cells[0] = cells[0].lstrip("# ")
            if cells[0] == NCBI_NAMES[0]:
                places = [i for i, title in enumerate(cells) if title in NCBI_NAMES]
        elif line.text.strip():
            row = cells if places is None else [cells[i] for i in places if i < len(cells)]
            yield line, [name for name in dict.fromkeys(row) if name not in NO_NAME]

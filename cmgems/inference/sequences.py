"""Sequences to use a model on: text, FASTA, tables with a column ``sequence``, or BED intervals of a genome store."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cmgems.data.label_files import MISSING
from cmgems.errors import DataError, RecordError, few
from cmgems.genome import (
    Contigs,
    GenomeStore,
    check_sequence,
    checked_codes,
    decode,
    encode,
    read_fasta,
    reverse_complement,
)
from cmgems.genome.alphabet import Codes
from cmgems.genome.letters import bases_of
from cmgems.inference.bed import Interval, looks_like_bed, read_bed
from cmgems.inference.sequence_table import TableRow, first_line, read_table, refuse_other_text
from cmgems.reading import TABLE_FORMATS, Invalid, split_name

BED = ".bed"
SEQUENCE = "sequence"
COMPARED_NAMES = 100_000  # so many names are remembered, to tell of those used more than once


@dataclass(frozen=True, eq=False)
class NamedSequence:
    """One sequence.

    Attributes:
        name: Of the record, row or interval.
        codes: uint8[L], A, T, C, G = 0..3, 255 for any other letter.
        where: File and record or line, for messages.
        turned: Whether ``codes`` are the other strand of what was given.
    """

    name: str
    codes: Codes
    where: str
    turned: bool = False

    @property
    def bases(self) -> str:
        """Upper-case bases, N where ambiguous."""
        return decode(self.codes)

    def other_strand(self) -> NamedSequence:
        """Its reverse complement, of the same name."""
        return NamedSequence(self.name, reverse_complement(self.codes), self.where, not self.turned)


Sequences = str | Path | Iterable[str] | Iterable[NamedSequence]  # what the methods of a model take


def named_sequences(
    given: Sequences,
    contigs: Contigs | None = None,
    invalid: Invalid | None = None,
    column: str = SEQUENCE,
    *,
    quiet: bool = False,
) -> Iterator[NamedSequence]:
    """Whatever holds sequences, as named sequences.

    Args:
        given: A file (``iter_sequences``); or bases, one string or several, named 1, 2 and so on; or named
            sequences, which come back as they are. A string of letters only is bases, any other one names a file.
        contigs: What the intervals of a BED file lie in.
        invalid: What to do about a sequence that cannot be used; None to stop there.
        column: Which column of a table holds the sequences.
        quiet: Do not warn of what is odd.

    Raises:
        DataError: as ``iter_sequences``.
        RecordError: as ``iter_sequences``.
    """
    if isinstance(given, str):
        given = [given] if given.isalpha() else Path(given)
    if isinstance(given, Path):
        yield from iter_sequences(given, contigs, invalid, column, quiet=quiet)
        return
    invalid = invalid or Invalid()
    for number, item in enumerate(given, start=1):
        if isinstance(item, NamedSequence):
            yield item
        elif sequence := invalid.judge(_from_text, str(number), item, f"sequence {number}"):
            yield sequence


def read_sequences(
    path: Path, store: str | Path | GenomeStore | None = None, aliases: Path | None = None
) -> list[NamedSequence]:
    """All sequences of a file.

    Args:
        path: The file, as for ``iter_sequences``.
        store: Genome store that the intervals of a BED file lie in.
        aliases: Table of other names of its contigs (``cmgems.genome.read_aliases``).

    Raises:
        DataError: as ``iter_sequences``; or if the file holds no sequence.
        RecordError: as ``iter_sequences``.
    """
    found = list(iter_sequences(path, None if store is None else Contigs.of(store, aliases)))
    if not found:
        raise Invalid().none_left("sequences", path)
    return found


def iter_sequences(
    path: Path,
    contigs: Contigs | None = None,
    invalid: Invalid | None = None,
    column: str = SEQUENCE,
    *,
    quiet: bool = False,
) -> Iterator[NamedSequence]:
    """The sequences of a file, one by one, plain or compressed; warns at its end of names used more than once.

    Args:
        path: FASTA, told by its first letter; BED, if there are contigs; else a table (text, JSON lines or Parquet)
            with a column ``sequence`` and perhaps ``name`` or ``id``; rows without a name are named by their number.
        contigs: What the intervals of a BED file lie in.
        invalid: What to do about a record that cannot be used; None to stop there.
        column: Which column of a table holds the sequences.
        quiet: Do not warn.

    Raises:
        DataError: if the file is missing or of another kind.
        RecordError: if a record cannot be used.
    """
    names: Counter[str] = Counter()
    for sequence in _records(path, contigs, invalid or Invalid(), column, quiet):
        if not quiet and (len(names) < COMPARED_NAMES or sequence.name in names):
            names[sequence.name] += 1
        yield sequence
    if repeated := [name for name, count in names.items() if count > 1]:
        plural = "names are" if len(repeated) > 1 else "name is"
        warnings.warn(
            f"{path}: {len(repeated):,} {plural} used more than once: {few(repeated)}", stacklevel=2
        )


def usable_sequences(
    sequences: Iterable[NamedSequence], least_bases: int, invalid: Invalid | None = None
) -> Iterator[NamedSequence]:
    """The sequences in which a model has something to read.

    Args:
        sequences: What was read.
        least_bases: The shortest stretch of A, C, G, T that makes a token (bp).
        invalid: What to do about the others; None to stop at the first.

    Raises:
        RecordError: for a sequence that is shorter or has no such stretch.
    """

    def usable(sequence: NamedSequence) -> NamedSequence:
        check_sequence(sequence.codes, least_bases, sequence.where)
        return sequence

    invalid = invalid or Invalid()
    return (sequence for sequence in sequences if invalid.judge(usable, sequence))


def _records(
    path: Path, contigs: Contigs | None, invalid: Invalid, column: str, quiet: bool
) -> Iterator[NamedSequence]:
    first = first_line(path)
    is_fasta = first.startswith((">", ";"))
    is_bed = not is_fasta and (split_name(path)[1] == BED or looks_like_bed(first))
    is_table = split_name(path)[1] in TABLE_FORMATS and not is_bed and not first.startswith("#")
    if (is_bed and contigs is None) or (contigs is not None and (is_fasta or is_table)):
        raise DataError(
            "BED without a genome store" if contigs is None else "a store without BED",
            where=path,
            fix="give a BED file with its genome store (--store), or FASTA or a table without",
        )
    if contigs is not None:
        for interval in read_bed(path, invalid, quiet=quiet):
            if sequence := invalid.judge(_from_interval, interval, contigs):
                yield sequence
    elif is_fasta:
        for record in read_fasta(path, invalid):
            yield NamedSequence(record.name, encode(record.sequence), f"{path}, {record.name}")
    else:
        refuse_other_text(path, first)
        for row in read_table(path, column, invalid):
            if sequence := invalid.judge(_from_row, row):
                yield sequence


def _from_text(name: str, text: object, where: str) -> NamedSequence:
    if not isinstance(text, str):
        why = f"found {type(text).__name__}"
        raise RecordError("not a sequence", where=where, why=why, fix="give strings of bases")
    return NamedSequence(name, checked_codes(bases_of(text, where), where), where)


def _from_row(row: TableRow) -> NamedSequence:
    if row.text.lower() in MISSING:
        why = f"{row.text!r} stands for nothing"
        raise RecordError("no sequence", where=row.where, why=why, fix="write its bases")
    return _from_text(row.name, row.text, row.where)


def _from_interval(interval: Interval, contigs: Contigs) -> NamedSequence:
    start, end, whole = interval.start, interval.end, contigs.find(interval.contig, interval.where)
    if end > len(whole):
        raise RecordError(
            "interval out of range",
            where=interval.where,
            why=f"{start}-{end}, {interval.contig} has {len(whole):,} bp",
            fix="give the genome that the intervals are of",
        )
    codes = whole[start:end]
    name = interval.name or f"{interval.contig}:{start}-{end}"
    return NamedSequence(name, reverse_complement(codes) if interval.strand == "-" else codes, interval.where)

"""Sequences to use a model on: text, FASTA, CSV with a column ``sequence``, or BED intervals of a genome store."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cmgems.errors import DataError
from cmgems.genome import GenomeStore, decode, encode, read_fasta, reverse_complement
from cmgems.genome.alphabet import Codes
from cmgems.genome.letters import LETTERS
from cmgems.inference.bed import read_bed
from cmgems.reading.delimited import LONGEST_CELL
from cmgems.registry import did_you_mean

CONTIGS_COMPARED = 50  # a draft genome has a hundred thousand, and looking for near misses is slow
BED = (".bed", ".bed.gz", ".bed.bgz")


@dataclass(frozen=True, eq=False)
class NamedSequence:
    """One sequence.

    Attributes:
        name: Of the record, row or interval.
        codes: uint8[L], A, T, C, G = 0..3, 255 for any other letter.
        where: File and record or line, for messages.
    """

    name: str
    codes: Codes
    where: str

    @property
    def bases(self) -> str:
        """Upper-case bases, N where ambiguous."""
        return decode(self.codes)


Sequences = str | Path | Iterable[str] | Iterable[NamedSequence]  # what the methods of a model take


def named_sequences(given: Sequences, store: Path | GenomeStore | None = None) -> list[NamedSequence]:
    """Whatever holds sequences, as named sequences.

    Args:
        given: A file (``read_sequences``); or bases, one string or several, named 1, 2 and so on; or named
            sequences, which come back as they are. A string of letters only is bases, any other one names a file.
        store: Genome store that the intervals of a BED file lie in.

    Raises:
        DataError: as ``read_sequences``.
        CmgemsError: likewise.
    """
    if isinstance(given, str):
        given = [given] if given.isalpha() else Path(given)
    if isinstance(given, Path):
        return read_sequences(given, store)
    found = [
        item if isinstance(item, NamedSequence) else _from_text(item, number)
        for number, item in enumerate(given, start=1)
    ]
    if not found:
        raise DataError("no sequences", fix="give at least one")
    return found


def read_sequences(path: Path, store: Path | GenomeStore | None = None) -> list[NamedSequence]:
    """Read a file of sequences, told apart by its name: ``.csv``, ``.bed``, ``.bed.gz``, anything else is FASTA.

    Args:
        path: The file. CSV needs a column ``sequence`` and may have ``name``; rows without are named by their number.
        store: Genome store that the intervals of a BED file lie in.

    Raises:
        DataError: if the file is missing or of another kind, holds no sequence, or a letter is no nucleotide code.
        CmgemsError: if bx-python, which reads BED, is not installed.
    """
    is_csv = path.suffix.lower() == ".csv"
    if (store is None) == path.name.lower().endswith(BED):
        raise DataError(
            "BED without a genome store" if store is None else "a store without BED",
            where=path,
            fix="give a BED file with its genome store (--store), or FASTA or CSV without",
        )
    if is_csv and not path.is_file():
        raise DataError("no such file", where=path, fix="check the path")
    if store is not None:
        sequences = list(_from_bed(path, open_store(store)))
    elif is_csv:
        sequences = list(_read_csv(path))
    else:
        sequences = [
            NamedSequence(record.name, encode(record.sequence), f"{path}, {record.name}")
            for record in read_fasta(path)
        ]
    if not sequences:
        raise DataError("no sequences", where=path, fix="give at least one")
    return sequences


def open_store(store: str | Path | GenomeStore) -> GenomeStore:
    """The store itself, or the one in a folder."""
    return store if isinstance(store, GenomeStore) else GenomeStore.open(Path(store))


def check_sequences(sequences: Sequence[NamedSequence], least_bases: int) -> None:
    """Check that the model has something to read in every sequence.

    Args:
        sequences: What was read.
        least_bases: The shortest stretch of A, C, G, T that makes a token (bp).

    Raises:
        DataError: for the first that is shorter or has no such stretch.
    """
    for sequence in sequences:
        if len(sequence.codes) < least_bases:
            raise DataError(
                "sequence shorter than k",
                where=sequence.where,
                why=f"{len(sequence.codes)} bp, k is {least_bases}",
                fix="correct it, or leave it out",
            )
        edges = np.flatnonzero(np.diff(sequence.codes < 4, prepend=False, append=False))
        if (edges[1::2] - edges[::2]).max(initial=0) < least_bases:
            noun = "no A, C, G or T" if least_bases == 1 else f"no stretch of {least_bases} bases A, C, G, T"
            raise DataError(noun, where=sequence.where, fix="correct it, or leave it out")


@dataclass(frozen=True, eq=False)
class Contigs:
    """The contigs of a store by name.

    Attributes:
        store: The genome.
    """

    store: GenomeStore

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.store.names)}

    def find(self, name: str, where: str) -> Codes:
        """The codes of the contig called ``name``, memory-mapped.

        Raises:
            DataError: if the store has none; near misses are named.
        """
        if name not in self._index:
            fix = did_you_mean(name, self.store.names[:CONTIGS_COMPARED])
            raise DataError(f"contig {name!r} is not in the store", where=where, fix=fix)
        start, end = self.store.offsets[self._index[name] :][:2]
        return self.store.codes[start:end]


def _read_csv(path: Path) -> Iterator[NamedSequence]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as handle:
            csv.field_size_limit(LONGEST_CELL)
            reader = csv.DictReader(handle)
            columns = {name.strip().lower(): name for name in reader.fieldnames or ()}
            if "sequence" not in columns:
                raise DataError(
                    "no column `sequence`",
                    where=f"{path}:1",
                    why=f"it has {', '.join(columns) or 'none'}",
                    fix="name the column of the bases sequence",
                )
            for number, row in enumerate(reader, start=1):
                where = f"{path}:{reader.line_num}"
                if row.get(None):
                    fix = "quote cells that hold a comma"
                    raise DataError("more cells than columns", where=where, fix=fix)
                bases = (row[columns["sequence"]] or "").strip()
                name = row[columns["name"]] if "name" in columns else str(number)
                yield NamedSequence(name or str(number), _encode(bases, where), where)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError("cannot read", where=path, why=str(error)) from error


def _from_text(bases: object, number: int) -> NamedSequence:
    where = f"sequence {number}"
    if not isinstance(bases, str):
        raise DataError(
            "not a sequence", where=where, why=f"found {type(bases).__name__}", fix="give strings of bases"
        )
    return NamedSequence(str(number), _encode(bases.strip(), where), where)


def _encode(bases: str, where: str) -> Codes:
    if not bases:
        raise DataError("no sequence", where=where, fix="correct the row, or leave it out")
    for position, letter in enumerate(bases, start=1):
        if letter.encode() not in LETTERS:
            raise DataError(
                "not DNA",
                where=f"{where}, position {position:,}",
                why=f"found {letter!r}",
                fix="only A, C, G, T, N and the IUPAC codes R Y S W K M B D H V are bases",
            )
    return encode(bases.encode())


def _from_bed(path: Path, store: GenomeStore) -> Iterator[NamedSequence]:
    intervals, contigs = read_bed(path), Contigs(store)
    for interval in intervals:
        start, end, whole = interval.start, interval.end, contigs.find(interval.contig, interval.where)
        if not 0 <= start < end <= len(whole):
            raise DataError(
                "interval out of range",
                where=interval.where,
                why=f"{start}-{end}, {interval.contig} has {len(whole):,} bp",
            )
        codes = whole[start:end]
        name = interval.name or f"{interval.contig}:{start}-{end}"
        yield NamedSequence(
            name, reverse_complement(codes) if interval.strand == "-" else codes, interval.where
        )

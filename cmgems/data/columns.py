"""Which columns of a table hold the sequences, or name intervals of a genome, and which the labels."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from textwrap import shorten

from cmgems.data.intervals import COLUMNS, Intervals, are_intervals
from cmgems.errors import DataError, few
from cmgems.genome.letters import bases_of, foreign_letter
from cmgems.reading import Invalid, Table

LABEL_NAMES = ("label", "labels", "target", "targets", "class", "y", "category")
OTHER_NAMES = ("", "id", "name", "index", "split", "task", *chain.from_iterable(COLUMNS.values()))
ANY = "*"  # in the name of a label column: any text
LEAST_BASES = 6  # a shorter word of these letters may be anything


@dataclass(frozen=True)
class Columns:
    """Names of columns; case is ignored if no column has exactly that name.

    Attributes:
        sequence: Holds the bases.
        labels: Hold the labels. A name with ``*`` is a pattern; ``spelt_out`` says which columns it stands for.
        options: How a user names the two, for messages.
        intervals: Where the bases come from, if a row names an interval of a genome; ``sequence`` is not used then.
    """

    sequence: str = "sequence"
    labels: tuple[str, ...] = ("label",)
    options: tuple[str, str] = ("data.sequence", "data.labels")
    intervals: Intervals | None = None

    @property
    def has_patterns(self) -> bool:
        """Whether a label column is given by a pattern."""
        return any(ANY in name for name in self.labels)

    def spelt_out(self, table: Table) -> Columns:
        """The same with the columns of a table in place of patterns: ``*`` alone stands for all that may hold labels.

        Those are all but the sequence's and those that are named in ``OTHER_NAMES``. A name that a column has to the
        letter is no pattern.

        Raises:
            DataError: if there is no such column.
        """
        found = dict.fromkeys(label for name in self.labels for label in self._meant(table, name))
        return replace(self, labels=tuple(found))

    def _meant(self, table: Table, name: str) -> Iterator[str]:
        """The label columns that a name or pattern stands for."""
        if ANY not in name or name in table.header:
            yield name
            return
        pattern = re.compile(re.escape(name).replace(re.escape(ANY), ".*"), re.IGNORECASE)
        no_labels = (self.sequence.lower(), *OTHER_NAMES)
        others = [label for label in table.header if label.lower().removeprefix("#") not in no_labels]
        found = [label for label in others if pattern.fullmatch(label)]
        if not found:
            why = f"no column is called {name}" + (f"; labels may be in {few(others)}" if others else "")
            fix = f"name them in {self.options[1]}"
            raise DataError("no label columns", where=table.where, why=why, fix=fix)
        yield from found

    def find(self, table: Table) -> list[int]:
        """The indices of the columns that say what the bases are, and of the labels'.

        Raises:
            DataError: if one is missing, with the columns that may be meant; or if one is there twice.
        """
        if self.intervals is not None:
            return [*self.intervals.find(table), *self._named(table, self.labels)]
        return self._named(table, (self.sequence, *self.labels))

    def bases(self, cells: Sequence[str], where: str) -> str:
        """The bases of a row, a letter each.

        Args:
            cells: Those in front of the labels'.
            where: File and line, for messages.

        Raises:
            RecordError: if there are none, or a letter is no nucleotide code.
        """
        if self.intervals is not None:
            return self.intervals.bases(cells, where)
        bases = bases_of(cells[0], where)
        if problem := foreign_letter(bases.encode(), where):
            raise problem
        return bases

    def _named(self, table: Table, names: Sequence[str]) -> list[int]:
        places = [_places(table.header, name) for name in names]
        for name, found in zip(names, places, strict=True):
            if len(found) > 1:
                fix = "name every column otherwise"
                raise DataError(f"column {name!r} appears twice", where=table.where, fix=fix)
        if not all(places):
            raise self._missing(table, [name for name, found in zip(names, places, strict=True) if not found])
        return [index for (index,) in places]

    def _missing(self, table: Table, names: list[str]) -> DataError:
        header = table.header
        if self.labels and self.sequence in names and are_intervals(header):
            store = "data.store=" if self.options[0].startswith("data.") else "--store "
            return DataError(
                "intervals, and no genome",
                where=table.where,
                why=f"its columns are {', '.join(header)[:60]}",
                fix=f"name the genome that they are of: {store}STORE (cmgems genome build)",
            )
        if any(map(_are_bases, header)):
            fix = f"write the names of the columns above it: {','.join((self.sequence, *self.labels))}"
            return DataError("no header", where=table.where, why="the first line is a row", fix=fix)
        likely = self._likely(table, [self.sequence in names, any(name in names for name in self.labels)])
        shown = shorten(", ".join(map(repr, names)), 80, placeholder=" ...")
        return DataError(
            "columns missing",
            where=table.where,
            why=f"no {shown}; it has {', '.join(header)[:60]}",
            fix="rename them, or say which they are: " + " ".join(likely),
        )

    def _likely(self, table: Table, missing: list[bool]) -> list[str]:
        """The options that name the missing columns, as words of a command line."""
        header = table.header
        first = next(table.records(range(len(header)), Invalid("", skip=True)), None)
        lengths = {
            name: len(cell)
            for name, cell in zip(header, first.cells if first else (), strict=False)
            if _are_bases(cell)
        }
        bases = self.sequence if not missing[0] else max(lengths, key=lengths.__getitem__, default="COLUMN")
        others = [name for name in header if name.lower() not in (bases.lower(), *OTHER_NAMES)]
        known = [name for name in others if name.lower() in LABEL_NAMES]
        label = (known or others)[0] if known or len(others) == 1 else "COLUMN"
        guesses = zip(self.options, (bases, label), missing, strict=True)
        return [shlex.quote(f"{option}={name}") for option, name, is_missing in guesses if is_missing]


def _places(header: list[str], name: str) -> list[int]:
    """The indices of the columns that are called so."""
    exactly = [i for i, found in enumerate(header) if found == name]
    return exactly or [i for i, found in enumerate(header) if found.lower() == name.lower()]


def _are_bases(cell: str) -> bool:
    letters = "".join(cell.split())
    return len(letters) >= LEAST_BASES and foreign_letter(letters.encode(), "") is None

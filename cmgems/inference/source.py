"""What a model reads: gone through once to check and count it, and again to use it, so that no file is held in memory.

A bad record in the last line stops the work before it begins, and progress knows its end.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeAlias, TypedDict, TypeVar, cast

from cmgems.errors import CmgemsError
from cmgems.genome import Contigs, GenomeStore
from cmgems.inference.engine import Advance, ignore
from cmgems.inference.sequences import SEQUENCE, NamedSequence, Sequences, named_sequences, usable_sequences
from cmgems.inference.variant_table import read_variants
from cmgems.inference.variants import Allele, check_variants
from cmgems.inference.vcf import Variant
from cmgems.progress import progress
from cmgems.reading import Invalid

Store: TypeAlias = str | Path | GenomeStore
T = TypeVar("T")


class Reading(TypedDict, total=False):
    """How sequences are read.

    Attributes:
        store: Genome store that the intervals of a BED file lie in.
        aliases: Table of other names of its contigs (``cmgems.genome.read_aliases``).
        column: Which column of a table holds the sequences; ``sequence`` if left out.
        skip_invalid: Leave sequences out that cannot be used, with a warning that counts them; an ``Invalid`` lists
            them, without a warning.
    """

    store: Store | None
    aliases: str | Path | None
    column: str
    skip_invalid: bool | Invalid


@dataclass(frozen=True, eq=False)
class Checked(Generic[T]):
    """Records that were checked, and are read anew each time.

    Attributes:
        read: Reads the usable ones; told what to do about the others, and whether to be quiet.
        count: How many there are.
        size: How large they are together (bp, or the number of them).
        skips: Whether unusable ones are left out.
    """

    read: Callable[[Invalid, bool], Iterator[T]]
    count: int
    size: int
    skips: bool

    def __iter__(self) -> Iterator[T]:
        # What was left out is known and told of since the check.
        return self.read(Invalid(skip=self.skips), True)


def checked(
    read: Callable[[Invalid, bool], Iterator[T]],
    size_of: Callable[[T], int],
    skip_invalid: bool | Invalid,
    noun: str,
    where: object,
    show: bool,
) -> Checked[T]:
    """Read all records once, and warn of what is odd.

    Args:
        read: As in ``Checked``.
        size_of: How large a record is.
        skip_invalid: As in ``Reading``.
        noun: What the records are ("sequences").
        where: Their file, "" if there is none.
        show: Show progress.

    Raises:
        DataError: if none can be used.
        RecordError: for the first that cannot, unless they are skipped.
    """
    count = size = 0
    with _judged(skip_invalid) as invalid, watched("checking", None, noun, show) as advance:
        for record in read(invalid, False):
            count += 1
            size += size_of(record)
            advance(1)
    if not count:
        raise invalid.none_left(noun, where)
    return Checked(read, count, size, invalid.skip)


def checked_sequences(
    given: Sequences,
    least_bases: int,
    *,
    store: Store | None = None,
    aliases: str | Path | None = None,
    column: str = SEQUENCE,
    skip_invalid: bool | Invalid = False,
    show: bool = False,
) -> Checked[NamedSequence]:
    """Sequences in which a model has something to read; the keywords are those of ``Reading``.

    Args:
        given: A file, which is read twice, or what is in memory.
        least_bases: The shortest stretch of A, C, G, T that makes a token (bp).
        show: Show progress.

    Raises:
        CmgemsError: for aliases without a store.
        DataError: as ``checked``; or for a file that cannot be read.
        RecordError: as ``checked``.
    """
    if aliases is not None and store is None:
        fix = "give both with a BED file (--aliases, --store)"
        raise CmgemsError("names of contigs without a genome store", where=aliases, fix=fix)
    contigs = None if store is None else Contigs.of(store, aliases)
    again = given if isinstance(given, str | Path | Sequence) else cast(Sequences, list(given))

    def read(invalid: Invalid, quiet: bool) -> Iterator[NamedSequence]:
        named = named_sequences(again, contigs, invalid, column, quiet=quiet)
        return usable_sequences(named, least_bases, invalid)

    where = given if isinstance(given, str | Path) else ""
    return checked(read, lambda sequence: len(sequence.codes), skip_invalid, "sequences", where, show)


def checked_alleles(
    variants: str | Path | Sequence[Variant],
    contigs: Contigs,
    skip_invalid: bool | Invalid,
    show: bool = False,
    *,
    swapped: bool = False,
) -> Checked[Allele]:
    """The alleles of variants that agree with the genome.

    Args:
        variants: A VCF file or table (``read_variants``), which is read twice, or its records.
        contigs: The genome.
        skip_invalid: As in ``Reading``, of records.
        show: Show progress.
        swapped: As for ``check_variants``.

    Raises:
        DataError: as ``checked``; or for a file that cannot be read.
        RecordError: as ``checked``.
    """
    is_file = isinstance(variants, str | Path)

    def read(invalid: Invalid, quiet: bool) -> Iterator[Allele]:
        records = read_variants(Path(variants), invalid) if isinstance(variants, str | Path) else variants
        return check_variants(records, contigs, invalid, swapped=swapped)

    return checked(read, lambda _: 1, skip_invalid, "variants", variants if is_file else "", show)


def watched(label: str, total: float | None, unit: str, show: bool) -> AbstractContextManager[Advance]:
    """``cmgems.progress.progress``, if it is to be shown."""
    return progress(label, total, unit) if show else nullcontext(ignore)


@contextmanager
def _judged(skip_invalid: bool | Invalid) -> Iterator[Invalid]:
    """What judges records; warns at the end of those it left out, unless the caller has brought it."""
    if isinstance(skip_invalid, Invalid):
        yield skip_invalid
        return
    invalid = Invalid("skip_invalid=True", skip_invalid)
    yield invalid
    if invalid.skipped:
        where, reason = invalid.skipped[0]
        count = f"{len(invalid.skipped):,} left out that cannot be used"
        warnings.warn(f"{count}; the first: {where}: {reason}", stacklevel=6)

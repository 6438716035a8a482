"""Zero-shot scores of variants: how much less likely the model finds the alternative than the reference base.

For a single-base variant the score is log p(alternative | context) - log p(reference | context) (nats), the context
being every other base of a window centred on it. Both alleles share the context, so this is the log of the ratio of
the two whole sequences' probabilities. Alleles of different lengths share none: their pseudo-likelihoods are sums of
different numbers of terms, and a longer sequence is less likely for its length alone. They are skipped by name.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cmgems.distributed import in_turns
from cmgems.errors import RecordError
from cmgems.genome import AMBIGUOUS, Contigs, decode, encode
from cmgems.genome.alphabet import COMPLEMENT, IUPAC, Codes
from cmgems.inference.engine import Advance, Engine, ignore
from cmgems.inference.pseudo_likelihood import MaskedRow, ask, masked_rows
from cmgems.inference.tables import open_csv
from cmgems.inference.vcf import Variant
from cmgems.iteration import batched
from cmgems.reading import Invalid

if TYPE_CHECKING:
    from cmgems.inference.labelled_variants import LabelledVariants

SYMBOLIC = frozenset("<>[].")  # <DEL>, and breakends such as A[chr2:9[ and A.
SHOWN_BP = 40  # of an allele in a message


@dataclass(frozen=True)
class Allele:
    """One alternative of one record, and what came of it.

    Attributes:
        variant: The record.
        alt: The alternative allele; "." if the record has none.
        skipped: Why it has no score, in two words; empty if it has one.
        offset: Where in the alleles the one changed base is (bp).
        swapped: Whether the genome has the alternative and not the reference, and that is allowed. The score asks for
            both bases at a hidden place, so it is that of the record all the same.
        score: log p(alt) - log p(ref) (nats), NaN if skipped.
    """

    variant: Variant
    alt: str
    skipped: str
    offset: int = 0
    swapped: bool = False
    score: float = float("nan")

    def with_score(self, score: float) -> Allele:
        """The allele and what came of it; NaN if the model knew no token around it."""
        return replace(self, score=score, skipped="ambiguous neighbours" if math.isnan(score) else "")


def check_variants(
    variants: Iterable[Variant], contigs: Contigs, invalid: Invalid | None = None, *, swapped: bool = False
) -> Iterator[Allele]:
    """Compare the records with the genome, and sort out what cannot be scored.

    Args:
        variants: The records, any number.
        contigs: The genome.
        invalid: What to do about a record that cannot be used; None to stop there.
        swapped: Use a record if the store has its only alternative in place of its reference.

    Raises:
        RecordError: if a contig is not in the store, a position is beyond its end, a letter is no nucleotide code, or a
            reference base is not the store's.
    """
    invalid = invalid or Invalid()
    for variant in variants:
        yield from invalid.judge(_alleles, variant, contigs, swapped) or []


def score_alleles(
    engine: Engine,
    alleles: Iterable[Allele],
    contigs: Contigs,
    *,
    both_strands: bool = False,
    advance: Advance = ignore,
) -> Iterator[Allele]:
    """The alleles with their scores, in the same order; several processes take turns at them, see ``Engine.through``.

    Args:
        engine: Of a masked language model.
        alleles: Of ``check_variants``, any number.
        contigs: The genome.
        both_strands: Read the reverse complement too, and take the mean of the two scores.
        advance: Told the number of alleles done.
    """
    strands = (False, True) if both_strands else (False,)

    def score(chunk: list[Allele]) -> list[Allele]:
        asked = [allele for allele in chunk if not allele.skipped]
        scores = np.mean([_log_ratios(engine, asked, contigs, reverse) for reverse in strands], axis=0)
        coming = iter(scores.tolist())
        return [allele if allele.skipped else allele.with_score(next(coming)) for allele in chunk]

    size = max(1, engine.chunk_tokens // engine.cutter.max_positions)
    for chunk, scored in in_turns(engine.world, batched(alleles, size), score):
        advance(len(chunk))
        yield from scored


@dataclass
class AlleleTotals:
    """What was scored.

    Attributes:
        alleles: How many there were.
        skipped: How many of them have no score, by the reason.
        swapped: Of how many the genome has the alternative and not the reference.
    """

    alleles: int = 0
    swapped: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """In words: "5 of 8 alleles scored, skipped 2 deletion, 1 symbolic"."""
        scored = f"{self.alleles - self.skipped.total():,} of {self.alleles:,} alleles scored"
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.skipped.most_common())
        swapped = f"; REF and ALT of {self.swapped:,} are swapped in the genome" if self.swapped else ""
        return (f"{scored}, skipped {reasons}" if reasons else scored) + swapped


def write_variants(
    path: Path, alleles: Iterable[Allele], labelled: LabelledVariants | None = None
) -> AlleleTotals:
    """Write alleles as CSV, whole or not at all: a row each, without a score if it was skipped.

    Args:
        path: File to write.
        alleles: Written as they come.
        labelled: Takes note of each, and has columns of its own.
    """
    totals = AlleleTotals()
    columns = ["contig", "position", "id", "ref", "alt", "score", "skipped"]
    with open_csv(path, [*columns, *(labelled.columns if labelled else ())]) as writerows:
        for allele in alleles:
            variant = allele.variant
            score = "" if allele.skipped else f"{allele.score:.6f}"
            place = [variant.contig, variant.position, variant.id, variant.ref, allele.alt]
            more = labelled.add(allele) if labelled else ()
            writerows([[*place, score, allele.skipped, *more]])
            totals.alleles += 1
            totals.swapped += allele.swapped
            if allele.skipped:
                totals.skipped[allele.skipped] += 1
    return totals


def _alleles(variant: Variant, contigs: Contigs, may_be_swapped: bool) -> list[Allele]:
    """The alleles of a record that agrees with the genome."""
    _check_letters(variant)
    swapped = _is_swapped(variant, contigs.find(variant.contig, variant.where))
    if swapped and not may_be_swapped:
        raise RecordError(
            "REF and ALT are swapped",
            where=variant.where,
            why=f"{variant.contig}:{variant.position} is {variant.alts[0][:SHOWN_BP]} in the store, not "
            f"{variant.ref[:SHOWN_BP]}",
            fix="score it as it is written (--swapped), or give the genome the variants were called on",
        )
    alleles = [_sort_out(variant, alt) for alt in variant.alts or (".",)]
    return [replace(allele, swapped=swapped) for allele in alleles]


def _check_letters(variant: Variant) -> None:
    spelt = [alt for alt in variant.alts if alt != "*" and not set(alt) & SYMBOLIC]
    for allele in (variant.ref, *spelt):
        if not allele or not IUPAC.issuperset(allele):
            why, fix = f"found {allele[:40]!r}", "write it in A, C, G, T or N"
            raise RecordError("not an allele", where=variant.where, why=why, fix=fix)


def _is_swapped(variant: Variant, codes: Codes) -> bool:
    """Whether the genome has the only alternative in place of the reference; raises if it has neither."""
    place = f"{variant.contig}:{variant.position}"
    start, end = variant.position - 1, variant.position - 1 + len(variant.ref)
    if not 0 <= start < end <= len(codes):
        raise RecordError(
            "position out of range",
            where=variant.where,
            why=f"{place} {variant.ref[:SHOWN_BP]}, the contig has {len(codes):,} bp",
            fix="give the genome the variants were called on",
        )
    ours = codes[start:end]
    if _agrees(ours, variant.ref):
        return False
    if len(variant.alts) == 1 and len(variant.alts[0]) == len(ours) and _agrees(ours, variant.alts[0]):
        return True
    raise RecordError(
        "reference base disagrees",
        where=variant.where,
        why=f"{place} is {variant.ref[:SHOWN_BP]} there, {decode(ours)[:SHOWN_BP]} in the store",
        fix="give the genome the variants were called on",
    )


def _agrees(ours: Codes, allele: str) -> bool:
    """Whether no known base of an allele differs from the genome's."""
    theirs = encode(allele.encode())
    return not ((ours != theirs) & (ours != AMBIGUOUS) & (theirs != AMBIGUOUS)).any()


def _sort_out(variant: Variant, alt: str) -> Allele:
    ref = variant.ref.upper()
    if alt == ".":
        return Allele(variant, alt, "no alternative")
    if alt == "*":
        return Allele(variant, alt, "spanning deletion")
    if set(alt) & SYMBOLIC:
        return Allele(variant, alt, "symbolic")
    if len(alt) != len(ref):
        return Allele(variant, alt, "insertion" if len(alt) > len(ref) else "deletion")
    changed = [i for i, (a, b) in enumerate(zip(ref, alt.upper(), strict=True)) if a != b]
    if len(changed) != 1:
        return Allele(variant, alt, "several bases" if changed else "no change")
    if not set(ref[changed[0]] + alt[changed[0]].upper()) <= set("ACGT"):
        return Allele(variant, alt, "ambiguous base")
    return Allele(variant, alt, "", changed[0])


def _log_ratios(engine: Engine, alleles: Sequence[Allele], contigs: Contigs, reverse: bool) -> list[float]:
    """The score of each allele on one strand, NaN where no token around the base is known."""
    rows: list[MaskedRow] = []
    owners: list[int] = []
    for i, allele in enumerate(alleles):
        asked = _rows(engine, allele, contigs, reverse)
        rows += asked
        owners += [i] * len(asked)
    ratios = [float("nan")] * len(alleles)
    for chosen, answers_E4 in ask(engine, rows):
        ends = np.cumsum([len(rows[r].bases_E) for r in chosen])
        for r, answers_4 in zip(chosen, np.split(answers_E4, ends[:-1]), strict=True):
            allele = alleles[owners[r]]
            alleles_2 = encode((allele.alt[allele.offset] + allele.variant.ref[allele.offset]).encode())
            alt, ref = answers_4.mean(0)[COMPLEMENT[alleles_2] if reverse else alleles_2]
            ratios[owners[r]] = float(np.log(alt) - np.log(ref))
    return ratios


def _rows(engine: Engine, allele: Allele, contigs: Contigs, reverse: bool) -> list[MaskedRow]:
    """The row that asks for the changed base in the window around it; none if no token there is known."""
    codes = contigs.find(allele.variant.contig, allele.variant.where)
    position = allele.variant.position - 1 + allele.offset
    ids_S, at = engine.cutter.around(codes, position, reverse=reverse)
    return list(masked_rows(engine.cutter.tokens, ids_S, 0, at, at + 1))

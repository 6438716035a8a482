"""Scores of variants against their labels, beside what needs no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from cmgems.files import without_nan, write_json
from cmgems.genome import Contigs, GenomeStore
from cmgems.inference.variant_labels import VariantLabels
from cmgems.inference.variant_sites import Sites
from cmgems.inference.variants import Allele
from cmgems.reading import Invalid
from cmgems.tasks.ranking import Ranking, rank

# What ranks the alleles, and what it takes for a positive one. The directions are fixed, not chosen on the labels.
MODEL = "model"
PREDICTORS = {
    MODEL: "its score is low",
    "gc": "GC within 250 bp is high",
    "cpg": "it is a CpG site",
    "trinucleotide": "the store has it less often than the reference's",
}


@dataclass(frozen=True)
class Group:
    """Alleles that were ranked together.

    Attributes:
        positives, negatives: How many there are.
        rankings: By the names of ``PREDICTORS``; none where there is one class only.
    """

    positives: int
    negatives: int
    rankings: Mapping[str, Ranking]


@dataclass(frozen=True)
class VariantResults:
    """How well scores tell positive alleles from negative ones.

    Attributes:
        labels: What was asked for.
        overall: All labelled alleles with a score.
        groups: By the values of ``labels.by``, the largest first; an allele may be in several.
        skipped: How many alleles, or records that could not be used, were left out, by the reason.
        swapped: How many of the ranked alleles have REF and ALT swapped in the genome.
    """

    labels: VariantLabels
    overall: Group
    groups: Mapping[str, Group]
    skipped: Mapping[str, int]
    swapped: int

    def write(self, path: Path) -> None:
        """Write JSON; what is undefined is null."""
        labels = {
            "key": self.labels.key,
            "positive": sorted(self.labels.positive),
            "negative": sorted(self.labels.negative),
            "by": self.labels.by or None,
        }
        write_json(path, {**without_nan(asdict(self)), "labels": labels, "positive_if": PREDICTORS})


@dataclass
class LabelledVariants:
    """Takes note of alleles as they are written.

    Attributes:
        labels: Which are positive.
        sites: Looks up their places.
    """

    columns: ClassVar[Sequence[str]] = ("label", "gc", "cpg", "trinucleotide")

    labels: VariantLabels
    sites: Sites

    @classmethod
    def of(
        cls, labels: VariantLabels, store: str | Path | GenomeStore, aliases: str | Path | None = None
    ) -> LabelledVariants:
        """With the places of a genome, whose trinucleotides are counted.

        Args:
            labels: Which are positive.
            store: Genome store the variants were called on.
            aliases: Table of other names of its contigs.
        """
        return cls(labels, Sites.of(Contigs.of(store, aliases)))

    _held: list[bool] = field(default_factory=list)
    _values: list[tuple[float, ...]] = field(default_factory=list)
    _members: dict[str, list[int]] = field(default_factory=dict)
    _skipped: Counter[str] = field(default_factory=Counter)
    _swapped: int = 0

    def add(self, allele: Allele) -> list[str]:
        """Take note of an allele; returns its ``columns`` for a table, empty if it is not ranked."""
        label = self.labels.label(allele.variant, allele.alt)
        if allele.skipped or isinstance(label, str):
            self._skipped[allele.skipped or str(label)] += 1
            return [""] * len(self.columns)
        site = self.sites.site(allele)
        for name in self.labels.groups(allele.variant, allele.alt):
            self._members.setdefault(name, []).append(len(self._held))
        self._held.append(label)
        self._values.append((-allele.score, site.gc, site.cpg, -site.trinucleotide))
        self._swapped += allele.swapped
        return [str(int(label)), f"{site.gc:.4f}", str(int(site.cpg)), f"{site.trinucleotide:.6f}"]

    def results(self, invalid: Invalid | None = None) -> VariantResults:
        """Rank what was added.

        Args:
            invalid: Names the records that could not be used.
        """
        left_out = Counter(reason.split(":")[0] for _, reason in (invalid.skipped if invalid else ()))
        held_N = np.array(self._held, np.bool_)
        values_NP = np.array(self._values, np.float64).reshape(len(held_N), len(PREDICTORS))
        largest = sorted(self._members, key=lambda name: -len(self._members[name]))
        return VariantResults(
            self.labels,
            _group(held_N, values_NP),
            {name: _group(held_N[(rows := self._members[name])], values_NP[rows]) for name in largest},
            dict((self._skipped + left_out).most_common()),
            self._swapped,
        )


def _group(held_N: np.ndarray, values_NP: np.ndarray) -> Group:
    positives = int(held_N.sum())
    negatives = len(held_N) - positives
    scores = dict(zip(PREDICTORS, values_NP.T, strict=True))
    return Group(positives, negatives, rank(held_N, scores) if positives and negatives else {})


def labels_path(out: Path) -> Path:
    """The JSON file beside an output: ``scores.csv`` has ``scores.labels.json``."""
    return out.with_name(out.name.removesuffix(".csv") + ".labels.json")

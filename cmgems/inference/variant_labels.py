"""Labels of variants, and the groups they are reported by: what records say of themselves."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from cmgems.errors import CmgemsError, DataError, few
from cmgems.inference.variant_table import read_variants
from cmgems.inference.vcf import Variant
from cmgems.reading import Invalid

INFO = "INFO/"
MISSING = ("", ".")
PARTS = re.compile(r"[,|]")
ONTOLOGY = re.compile(r"SO:\d+\|")  # before the name of a consequence, in ClinVar's MC
MOST_GROUPS = 200
FIX = "write it as INFO/CLNSIG=Pathogenic,Likely_pathogenic:Benign, or COLUMN=1:0 of a table"
NO_LABEL, BOTH_LABELS = "no label", "both labels"


@dataclass(frozen=True)
class VariantLabels:
    """Which variants are positive and which negative.

    Attributes:
        key: ``INFO/KEY`` of a VCF, or the column of a table.
        positive, negative: The values that say so.
        by: A key whose values are groups to report apart; "" for none.
    """

    key: str
    positive: frozenset[str]
    negative: frozenset[str]
    by: str = ""

    @classmethod
    def parse(cls, text: str, by: str = "") -> VariantLabels:
        """From ``KEY=POSITIVE:NEGATIVE``, several values of each separated by commas.

        Raises:
            CmgemsError: if it is not written so, or a value is on both sides.
        """
        key, _, sides = text.partition("=")
        values = [frozenset(filter(None, map(str.strip, side.split(",")))) for side in sides.split(":")]
        if not key.strip() or len(values) != 2 or not all(values):
            raise CmgemsError("not labels of variants", where="--labels", why=f"found {text!r}", fix=FIX)
        if twice := sorted(values[0] & values[1]):
            why = f"{twice[0]!r} is on both sides of the colon"
            raise CmgemsError("not labels of variants", where="--labels", why=why, fix=FIX)
        return cls(key.strip(), values[0], values[1], by)

    def label(self, variant: Variant, alt: str) -> bool | str:
        """True if an allele is positive, False if negative; else why it is neither.

        The whole value counts; if that is no label, its parts between commas or bars.
        """
        value = value_of(variant, alt, self.key)
        for given in ({value}, {part.strip() for part in PARTS.split(value)}):
            held, not_held = not given.isdisjoint(self.positive), not given.isdisjoint(self.negative)
            if held and not_held:
                return BOTH_LABELS
            if held or not_held:
                return held
        return NO_LABEL

    def groups(self, variant: Variant, alt: str) -> list[str]:
        """The groups of an allele; none if the record does not say."""
        value = value_of(variant, alt, self.by) if self.by else ""
        parts = value.split(",") if self.by.startswith(INFO) else [value]
        names = (ONTOLOGY.sub("", part.strip()) for part in parts)
        return list(dict.fromkeys(name for name in names if name not in MISSING))

    def check(self, path: Path) -> None:
        """Look through a file for labels before anything is scored.

        Raises:
            DataError: if no record has the key, one class has no allele, or there are too many groups.
        """
        labels, values, groups = Counter[bool | str](), Counter[str](), set[str]()
        invalid = Invalid(skip=True)  # what is wrong with records is said where they are scored
        try:
            for variant in read_variants(path, invalid):
                for alt in variant.alts:
                    labels[self.label(variant, alt)] += 1
                    values[value_of(variant, alt, self.key)] += 1
                    groups.update(self.groups(variant, alt))
        except DataError:
            if not invalid.skipped:
                raise
            return
        del values[""]
        if not values:
            raise DataError(f"no record has {self.key}", where=path, fix="name a key that they have")
        for held, wanted in ((True, self.positive), (False, self.negative)):
            if not labels[held]:
                there = few([f"{value} ({count:,})" for value, count in values.most_common()])
                why = f"none is {' or '.join(sorted(wanted))}; {self.key} is {there}"
                raise DataError("one class only", where=path, why=why, fix="name values of both classes")
        if self.by and not groups:
            raise DataError(f"no record has {self.by}", where=path, fix="name a key that they have")
        if len(groups) > MOST_GROUPS:
            why = f"{self.by} has {len(groups):,} values"
            raise DataError("too many groups", where=path, why=why, fix="name a key with few values")


def asked_labels(text: str | None, by: str | None, path: Path) -> VariantLabels | None:
    """The labels that a command asks for, once it is sure that the file has them; None if it asks for none.

    Args:
        text: As ``VariantLabels.parse`` takes it.
        by: A key whose values are groups.
        path: The variants.

    Raises:
        CmgemsError: for groups without labels, or as ``VariantLabels.parse``.
        DataError: as ``VariantLabels.check``.
    """
    if text is None:
        if by is not None:
            raise CmgemsError("groups without labels", where="--by", fix="give --labels too")
        return None
    labels = VariantLabels.parse(text, by or "")
    labels.check(path)
    return labels


def value_of(variant: Variant, alt: str, key: str) -> str:
    """What a record says under a key of an allele; "" if nothing, ``yes`` for a flag of INFO."""
    if not key.startswith(INFO):
        value = variant.fields.get(key, "")
    else:
        name = key.removeprefix(INFO)
        items = (item.partition("=") for item in variant.fields.get("INFO", "").split(";"))
        value = next((text if sign else "yes" for found, sign, text in items if found == name), "")
        if name in variant.per_alt and len(parts := value.split(",")) == len(variant.alts):
            value = parts[variant.alts.index(alt)]
    return "" if value in MISSING else value

"""What yardsticks are taken of: sequences and their labels, without tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmgems.data import LabelledSet
from cmgems.data.columns import Columns
from cmgems.data.label_files import RowReader, spelt_out
from cmgems.data.labels import LabelKind, Labels, encode_labels
from cmgems.data.layouts import find_layout
from cmgems.reading import Invalid


@dataclass(frozen=True, eq=False)
class Examples:
    """Sequences and their labels.

    Attributes:
        bases: N sequences, in capitals.
        labels: int64 (N,), the class, or float64 (N, C), quantities or 0 and 1 for each label. All 0 where every base
            has its own: no yardstick compares those.
    """

    bases: Sequence[str]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.bases)

    @classmethod
    def of(cls, labelled: LabelledSet) -> Examples:
        """Those of a set that was read for a model."""
        return cls(labelled.bases, _of_rows(labelled.labels))

    def take(self, rows: np.ndarray) -> Examples:
        """Some of them, by their indices."""
        return Examples([self.bases[row] for row in rows], self.labels[rows])


@dataclass(frozen=True, eq=False)
class ExampleSet:
    """A labelled set.

    Attributes:
        splits: train and test, and dev if there is one.
        names: Classes, labels or quantities.
    """

    splits: dict[str, Examples]
    names: tuple[str, ...]

    @property
    def known(self) -> Examples:
        """Train and dev together: what a model is trained and chosen on."""
        train, dev = self.splits["train"], self.splits.get("dev")
        if dev is None:
            return train
        return Examples([*train.bases, *dev.bases], np.concatenate([train.labels, dev.labels]))


def read_examples(folder: Path, kind: LabelKind, columns: Columns, invalid: Invalid) -> ExampleSet:
    """Read a labelled set in any layout (``cmgems.data.layouts``).

    Raises:
        DataError: if there is no train or test set, a file or column is missing or bad, there is one class only, or a
            row cannot be used and is not left out.
    """
    layout = find_layout(folder)
    columns = spelt_out(columns, layout)
    rows = RowReader(columns, invalid, kind.may_be_empty, kind.check).read(layout)
    names = kind.names(rows["train"], columns.labels)
    splits = {}
    for split, of_split in rows.items():
        known, labels = encode_labels(kind, of_split, names, invalid)
        if not known:
            raise invalid.none_left("rows", of_split[0].path)
        splits[split] = Examples([row.bases.upper() for row in known], _of_rows(labels))
    return ExampleSet(splits, names)


def _of_rows(labels: Labels) -> np.ndarray:
    return labels if isinstance(labels, np.ndarray) else np.zeros(len(labels), np.int64)

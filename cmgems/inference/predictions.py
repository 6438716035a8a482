"""Predictions as the cells of a table: one row a sequence, or for classifiers of tokens one row a base."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from cmgems.inference.sequences import NamedSequence
from cmgems.models import Head

HOLDS = 0.5  # labels above this probability are listed


def column_names(head: Head, labels: Sequence[str]) -> list[str]:
    """The columns for a model with ``head`` whose outputs are ``labels``."""
    probabilities = [f"p_{label}" for label in labels]
    if head == "regression":
        return ["name", *labels]
    if head == "multi_label":
        return ["name", "labels", *probabilities]
    if head == "token_classification":
        return ["name", "position", "base", "label", *probabilities]
    return ["name", "label", *probabilities]


def sequence_cells(
    sequence: NamedSequence, head: Head, labels: Sequence[str], values_C: npt.NDArray[np.float32]
) -> list[str]:
    """The row of a sequence: its class, labels parted by ``;``, or quantities, in the order of the columns."""
    if head == "regression":
        return [sequence.name, *(f"{value:.7g}" for value in values_C)]
    if head == "multi_label":
        found = ";".join(label for label, p in zip(labels, values_C, strict=True) if p > HOLDS)
    else:
        found = labels[int(values_C.argmax())]
    return [sequence.name, found, *(f"{p:.6f}" for p in values_C)]


def base_cells(
    sequence: NamedSequence, labels: Sequence[str], probabilities_LC: npt.NDArray[np.float32]
) -> Iterator[list[str]]:
    """A row for every base: position (bp, from 1), base, class, probabilities; these empty where they are NaN."""
    nothing = [""] * (len(labels) + 1)
    for i, (base, p_C) in enumerate(zip(sequence.bases, probabilities_LC, strict=True)):
        known = not np.isnan(p_C[0])
        answer = [labels[int(p_C.argmax())], *(f"{p:.6f}" for p in p_C)] if known else nothing
        yield [sequence.name, str(i + 1), base, *answer]

"""What a fine-tuned model predicts: of each sequence, or of each of its bases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmgems.inference.classify import base_logits, class_logits
from cmgems.inference.engine import Advance, Engine, ignore
from cmgems.inference.sequences import NamedSequence
from cmgems.inference.strands import on_both_strands
from cmgems.inference.tables import open_csv
from cmgems.models import Head
from cmgems.tasks import activate

Values = npt.NDArray[np.float32]

HOLDS = 0.5  # labels above this probability are listed


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model predicts of one sequence.

    Attributes:
        name: Of the sequence.
        bases: Upper-case, N where ambiguous.
        labels: The class; of a multi-label model all labels of probability above 0.5; empty for quantities; of a
            classifier of bases one for each base, "" where there is no known token.
        values: float32 (C,), the probability of each of the model's labels, or the quantities; of a classifier of
            bases (L, C), NaN where there is no known token.
    """

    name: str
    bases: str
    labels: tuple[str, ...]
    values: Values

    @property
    def label(self) -> str:
        """The class; several labels separated by semicolons."""
        return ";".join(self.labels)


def predictions(
    engine: Engine,
    sequences: Iterable[NamedSequence],
    advance: Advance = ignore,
    *,
    both_strands: bool = False,
) -> Iterator[Prediction]:
    """The prediction of each sequence in turn.

    Args:
        engine: Of a fine-tuned model.
        sequences: Checked ones (``usable_sequences``), any number.
        advance: Told the number of bases done.
        both_strands: Read the reverse complement too, and take the mean of the two: of probabilities, so that each
            strand has one vote; a mean of logits would let the surer strand outvote the other.
    """
    per_base = engine.head == "token_classification"
    logits = base_logits if per_base else class_logits

    def values_of(sequences: Iterable[NamedSequence]) -> Iterator[tuple[NamedSequence, Values]]:
        for sequence, found in logits(engine, sequences, advance):
            yield sequence, activate(found, engine.head)

    turn = np.flipud if per_base else np.asarray
    found = on_both_strands(sequences, values_of, turn) if both_strands else values_of(sequences)
    for sequence, values in found:
        yield Prediction(sequence.name, sequence.bases, _labels(values, engine.head, engine.labels), values)


def _labels(values: Values, head: Head, names: Sequence[str]) -> tuple[str, ...]:
    if head == "regression":
        return ()
    if head == "multi_label":
        return tuple(name for name, p in zip(names, values, strict=True) if p > HOLDS)
    rows = values if head == "token_classification" else values[None]
    return tuple("" if np.isnan(p_C[0]) else names[int(p_C.argmax())] for p_C in rows)


def write_predictions(path: Path, found: Iterable[Prediction], head: Head, names: Sequence[str]) -> int:
    """Write predictions as CSV, whole or not at all: a row a sequence, or of a classifier of bases a row a base.

    Args:
        path: File to write.
        found: Of a model with ``head``; written as they come.
        head: What its outputs mean.
        names: The names of its outputs.

    Returns:
        How many sequences there were.
    """
    count = 0
    with open_csv(path, _columns(head, names)) as writerows:
        for prediction in found:
            writerows(_rows(prediction, head))
            count += 1
    return count


def _columns(head: Head, names: Sequence[str]) -> list[str]:
    probabilities = [f"p_{name}" for name in names]
    if head == "regression":
        return ["name", *names]
    if head == "multi_label":
        return ["name", "labels", *probabilities]
    if head == "token_classification":
        return ["name", "position", "base", "label", *probabilities]
    return ["name", "label", *probabilities]


def _rows(prediction: Prediction, head: Head) -> Iterator[list[str]]:
    """Positions count from 1 (bp); cells without a value are empty."""
    if head == "regression":
        yield [prediction.name, *(f"{value:.7g}" for value in prediction.values)]
    elif head == "token_classification":
        rows = zip(prediction.bases, prediction.labels, prediction.values, strict=True)
        for position, (base, label, p_C) in enumerate(rows, start=1):
            yield [
                prediction.name, str(position), base, label,
                *("" if np.isnan(p) else f"{p:.6f}" for p in p_C),
            ]  # fmt: skip
    else:
        yield [prediction.name, prediction.label, *(f"{p:.6f}" for p in prediction.values)]

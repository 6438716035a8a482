"""What is odd about a labelled set without being wrong: a line each, with counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from cmgems.data.labelled import LabelledConfig, LabelledSet
from cmgems.tokenization import IGNORE

SHOWN = 5


def data_notes(config: LabelledConfig, splits: Mapping[str, LabelledSet]) -> list[str]:
    """What a user should know of the sets that ``read_splits`` found.

    No dev set to choose the epoch by, where that is not the few-shot protocol; sequences cut to the model's length;
    classes of train that dev or test lack, so that scores are undefined; labels and quantities that are the same in
    every row; whole numbers as classes with one left out.
    """
    train = splits["train"]
    notes = []
    if "dev" not in splits and config.shots is None:
        notes.append(f"no dev file in {config.dir}: the last epoch counts")
    for name, split in splits.items():
        if split.cut:
            notes.append(f"{split.cut} {name} sequences cut to {max(map(len, split.ids))} tokens")
        values = split.targets
        notes += _of_columns(name, values, split.names) if values.ndim > 1 else _of_classes(name, split)
    if train.targets.ndim == 1 and (left_out := _gaps(train.names)):
        notes.append(f"classes {_some(train.names)} leave out {_some(left_out)}: no training row has it")
    return notes


def _of_classes(name: str, split: LabelledSet) -> Iterator[str]:
    found = np.unique(split.targets[split.targets != IGNORE])
    missing = [repr(label) for index, label in enumerate(split.names) if index not in found]
    auc = isinstance(split.labels, np.ndarray)  # there is none of the classes of bases
    if len(found) == 1:
        yield f"{name} has one class only, {split.names[found[0]]!r}: MCC is 0" + auc * " and AUC undefined"
    elif missing:
        yield f"{name} has no row of class {_some(missing)}" + auc * ": AUC is undefined"


def _of_columns(name: str, values_NC: np.ndarray, columns: tuple[str, ...]) -> Iterator[str]:
    constant = [
        f"{column} ({values_N[0]:g})"
        for column, values_N in zip(columns, values_NC.T, strict=True)
        if np.ptp(values_N) == 0
    ]
    if constant:
        why = "there is nothing to learn of it" if name == "train" else "AUC and correlation leave it out"
        yield f"every {name} row has the same {_some(constant)}: {why}"


def _gaps(names: tuple[str, ...]) -> list[str]:
    """The whole numbers left out between the first and the last class, where counting starts at 0 or 1."""
    if not all(name.isdecimal() for name in names):
        return []
    numbers = sorted(map(int, names))
    if numbers[0] > 1 or numbers[-1] > 10 * len(numbers):  # codes, not counted from 0 or 1
        return []
    return [str(number) for number in range(numbers[0], numbers[-1]) if number not in numbers]


def _some(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")

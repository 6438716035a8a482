"""What is odd about a labelled set without being wrong: a line each, with counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

import numpy as np

from cmgems.data.label_files import MISSING
from cmgems.data.labelled import LabelledConfig, LabelledSet
from cmgems.data.labels import are_measured
from cmgems.data.layouts import find_layout
from cmgems.tokenization import IGNORE

SHOWN = 5
MANY, ROWS_A_CLASS = 10, 3  # more classes than ten, of fewer than three rows each, are no classes


def data_notes(
    config: LabelledConfig, splits: Mapping[str, LabelledSet], without_dev: str = "the last epoch counts"
) -> list[str]:
    """What a user should know of the sets that ``read_splits`` found.

    Files that look like splits and are not read; no dev set to choose the epoch by, where that is not the few-shot
    protocol; two splits that are the same; sequences cut to the model's length, or there twice; labels that may stand
    for missing ones; classes of train that dev or test lack, so that scores are undefined; labels and quantities that
    are the same in every row; whole numbers as classes with one left out; classes that look like quantities.

    Args:
        config: The run's data section.
        splits: All that were read.
        without_dev: What happens where there is no dev set.
    """
    train = splits["train"]
    notes = [f"{path.name} is not read" for path in find_layout(config.dir).unread]
    if "dev" in splits and splits["dev"].drawn:
        notes.append(f"no dev file in {config.dir}: {len(splits['dev']):,} rows of train are the dev set")
    if "dev" not in splits and config.shots is None:
        notes.append(f"no dev file in {config.dir}: {without_dev}")
    notes += [
        f"{one} and {other} hold the same sequences"
        for one, other in combinations(splits, 2)
        if splits[one].bases and sorted(splits[one].bases) == sorted(splits[other].bases)
    ]
    for name, split in splits.items():
        if split.cut:
            at = ", at their start" if config.cut == "start" else ""
            notes.append(f"{split.cut} {name} sequences cut to {max(map(len, split.ids))} tokens{at}")
        notes += _of_repeats(name, split)
        notes += _of_missing(name, split)
        values = split.targets
        notes += _of_columns(name, values, split.names) if values.ndim > 1 else _of_classes(name, split)
    if train.targets.ndim == 1 and (left_out := _gaps(train.names)):
        notes.append(f"classes {_some(train.names)} leave out {_some(left_out)}: no training row has it")
    if isinstance(train.labels, np.ndarray) and train.labels.ndim == 1 and _are_quantities(train):
        notes.append(f"{len(train.names)} numbers are taken as classes; for quantities set task=regression")
    return notes


def _of_repeats(name: str, split: LabelledSet) -> Iterator[str]:
    """Sequences that are there more than once, and those of them with different labels."""
    labels_of = defaultdict(set)
    for bases, label in zip(split.bases, split.labels, strict=False):
        labels_of[bases].add(np.asarray(label).tobytes())
    repeated = len(split.bases) - len(labels_of)
    differing = sum(len(labels) > 1 for labels in labels_of.values())
    if repeated:
        differ = f"; labels differ for {differing} of these sequences" if differing else ""
        yield f"{repeated} {name} rows repeat the sequence of another{differ}"


def _of_missing(name: str, split: LabelledSet) -> Iterator[str]:
    """Labels that may stand for missing ones."""
    for index, label in enumerate(split.names):
        if label.lower() in MISSING and (count := _rows_with(split, index)):
            yield f"{count} {name} rows have the label {label!r}: remove them if it stands for a missing one"


def _rows_with(split: LabelledSet, index: int) -> int:
    """How many rows have a label."""
    if isinstance(split.labels, list):
        return sum(bool((classes_S == index).any()) for classes_S in split.labels)
    has_it = split.labels == index if split.labels.ndim == 1 else split.labels[:, index] == 1
    return int(has_it.sum())


def _are_quantities(train: LabelledSet) -> bool:
    """Whether classes are numbers with decimals, or nearly as many whole numbers as rows."""
    numbers = all(name.removeprefix("-").isdecimal() for name in train.names)
    return are_measured(train.names) or (numbers and len(train.names) > max(MANY, len(train) / ROWS_A_CLASS))


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

"""What is said of a labelled set that can be trained on but is odd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmgems.data import LabelledConfig, LabelledSet, data_notes
from cmgems.tokenization import IGNORE

CONFIG = LabelledConfig(Path("data"))


def made(labels, names=("0", "1"), cut=0):
    return LabelledSet([np.zeros(7, np.int32)] * len(labels), labels, names, cut)


def classes(*labels, **options):
    return made(np.array(labels, np.int64), **options)


GOOD = classes(0, 1)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """The folder of CONFIG."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({}, None),
        ({"train": classes(0, 1, cut=2)}, "2 train sequences cut to 7 tokens"),
        ({"dev": None}, "no dev file in data: the last epoch counts"),
        ({"test": classes(1, 1)}, "test has one class only, '1': MCC is 0 and AUC undefined"),
        ({"dev": classes(0)}, "dev has one class only, '0': MCC is 0 and AUC undefined"),
    ],
)
def test_two_classes(changed, note):
    splits = {"train": GOOD, "dev": GOOD, "test": GOOD} | changed
    found = data_notes(CONFIG, {name: split for name, split in splits.items() if split is not None})
    assert found == ([] if note is None else [note])


def test_few_shots_have_no_dev_set():
    assert data_notes(LabelledConfig(Path("data"), shots=1), {"train": GOOD, "test": GOOD}) == []


def test_a_class_that_test_lacks():
    names = ("acceptor", "donor", "neither")
    train, test = classes(0, 1, 2, names=names), classes(0, 2, names=names)
    assert data_notes(CONFIG, {"train": train, "dev": train, "test": test}) == [
        "test has no row of class 'donor': AUC is undefined"
    ]


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (("0", "2"), "classes 0, 2 leave out 1: no training row has it"),
        (("1", "2", "5"), "classes 1, 2, 5 leave out 3, 4: no training row has it"),
        (("0", "15"), "classes 0, 15 leave out 1, 2, 3, 4, 5 and 9 more: no training row has it"),
        (("0", "1", "2"), None),
        (("1", "2"), None),
        (("-1", "1"), None),
        (("5", "7"), None),
        (("0", "100"), None),
        (("a", "c"), None),
    ],
)
def test_gaps_in_whole_numbers(names, note):
    train = classes(*range(len(names)), names=names)
    found = data_notes(CONFIG, {"train": train, "dev": train, "test": train})
    assert found == ([] if note is None else [note])


def test_columns_without_contrast():
    train = made(np.array([[0.0, 1], [0, 0]]), names=("a", "b"))
    test = made(np.array([[0.0, 1], [1, 1]]), names=("a", "b"))
    assert data_notes(CONFIG, {"train": train, "dev": train, "test": test}) == [
        "every train row has the same a (0): there is nothing to learn of it",
        "every dev row has the same a (0): AUC and correlation leave it out",
        "every test row has the same b (1): AUC and correlation leave it out",
    ]


def test_classes_of_bases():
    names = ("exon", "intron")
    train = made([np.array([IGNORE, 0, 1, IGNORE])], names=names)
    test = made([np.array([IGNORE, 1, 1, IGNORE])], names=names)
    assert data_notes(CONFIG, {"train": train, "dev": train, "test": test}) == [
        "test has one class only, 'intron': MCC is 0"
    ]


def test_files_that_are_not_read(data):
    for name in ("train.csv", "train_2.csv"):
        (data / name).touch()
    assert data_notes(CONFIG, {"train": GOOD, "dev": GOOD, "test": GOOD}) == ["train_2.csv is not read"]


@pytest.mark.parametrize("word", ["nan", "NA", "None", "?", "."])
def test_labels_that_may_be_missing(word):
    note = f"2 train rows have the label {word!r}: remove them if it stands for a missing one"

    def notes(labels):
        split = made(labels, names=("a", "b", word))
        return data_notes(CONFIG, {"train": split, "dev": split, "test": split})

    assert note in notes(np.array([0, 1, 2, 2]))
    assert note in notes(np.array([[0.0, 1, 1], [1, 0, 0], [1, 0, 1]]))
    assert note in notes([np.array([IGNORE, 0, 2, 2]), np.array([2]), np.array([0, 1])])
    assert not any("missing" in note for note in notes(np.array([0, 1])))


def test_sequences_that_repeat_others():
    def split(*rows):
        labels = np.array([label for _, label in rows])
        return LabelledSet(
            [np.zeros(7, np.int32)] * len(rows), labels, ("0", "1"), 0, [row[0] for row in rows]
        )

    train = split(("AC", 0), ("AC", 1), ("GT", 1), ("GT", 1), ("GT", 1), ("TT", 0))
    test = split(("AA", 0), ("AA", 0), ("CC", 1))
    notes = data_notes(CONFIG, {"train": train, "dev": split(("A", 0), ("C", 1)), "test": test})
    assert notes == [
        "3 train rows repeat the sequence of another; labels differ for 1 of these sequences",
        "1 test rows repeat the sequence of another",
    ]


def test_two_splits_that_are_the_same():
    one = LabelledSet(GOOD.ids, GOOD.labels, GOOD.names, 0, ["AC", "GT"])
    other = LabelledSet(GOOD.ids, GOOD.labels, GOOD.names, 0, ["GT", "AC"])
    assert data_notes(CONFIG, {"train": one, "dev": GOOD, "test": other}) == [
        "train and test hold the same sequences"
    ]


@pytest.mark.parametrize(
    ("names", "rows", "said"),
    [
        (("0.11", "1.01", "3.5"), 30, True),
        (tuple(map(str, range(100, 120))), 30, True),
        (tuple(map(str, range(100, 120))), 300, False),
        (("0", "1", "2"), 3, False),
        (("a", "b", "1.5"), 3, False),
    ],
)
def test_quantities_taken_as_classes(names, rows, said):
    split = classes(*(n % len(names) for n in range(rows)), names=names)
    notes = data_notes(CONFIG, {"train": split, "dev": split, "test": split})
    assert notes == [f"{len(names)} numbers are taken as classes; for quantities set task=regression"] * said

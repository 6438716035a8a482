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

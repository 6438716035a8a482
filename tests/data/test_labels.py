"""What cells mean, by hand, and every way in which they can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmgems.data.label_files import Row
from cmgems.data.labels import ClassPerBase, LabelSet, OneClass, Quantities, are_measured, encode_labels
from cmgems.errors import CmgemsError, DataError, RecordError
from cmgems.reading import Invalid

STOP = Invalid("")


def rows(*cells, bases="ACGT"):
    """Rows from line 2 on; a cell or a tuple of cells each."""
    return [
        Row(Path("t.csv"), f"t.csv:{line}", bases, cell if isinstance(cell, tuple) else (cell,))
        for line, cell in enumerate(cells, start=2)
    ]


def learn(kind, *cells, columns=("label",)):
    found = rows(*cells)
    for row in found:
        kind.check(row)
    names = kind.names(found, columns)
    known, labels = encode_labels(kind, found, names, STOP)
    assert known == found
    return names, labels


def encode(kind, *cells, names):
    return encode_labels(kind, rows(*cells), names, STOP)[1]


@pytest.mark.parametrize(
    ("cells", "names", "labels"),
    [
        (("10", "9", "10"), ("9", "10"), [1, 0, 1]),
        (("-1", "0", "2"), ("-1", "0", "2"), [0, 1, 2]),
        (("0", "2"), ("0", "2"), [0, 1]),
        (("donor", "acceptor"), ("acceptor", "donor"), [1, 0]),
        (("²", "1"), ("1", "²"), [1, 0]),
    ],
)
def test_one_class(cells, names, labels):
    found, encoded = learn(OneClass(), *cells)
    assert found == names
    assert encoded.tolist() == labels
    assert encoded.dtype == np.int64


def test_quantities():
    names, targets_NC = learn(Quantities(), ("1.5", "-2e3"), ("0", "7"), columns=("b", "a"))
    assert names == ("b", "a")
    assert targets_NC.tolist() == [[1.5, -2000], [0, 7]]
    assert targets_NC.dtype == np.float64


def test_label_names_in_one_column():
    names, labels_NC = learn(LabelSet(), "b;a", "", " c ; b;", "b;b")
    assert names == ("a", "b", "c")
    assert labels_NC.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 1], [0, 1, 0]]


def test_the_only_name_there_is():
    names, labels_NC = learn(LabelSet(), "x", "")
    assert names == ("x",)
    assert labels_NC.tolist() == [[1], [0]]


def test_labels_as_columns_of_0_and_1():
    names, labels_NC = learn(LabelSet(), ("1", "0"), ("0", "0"), columns=("y", "x"))
    assert names == ("y", "x")
    assert labels_NC.tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize("cells", [("0120", "0000"), ("0 1 2 0", "0 0 0 0")])
def test_a_class_for_every_base(cells):
    names, labels = learn(ClassPerBase(), *cells)
    assert names == ("0", "1", "2")
    assert [classes_L.tolist() for classes_L in labels] == [[0, 1, 2, 0], [0, 0, 0, 0]]


def test_words_for_every_base():
    names, labels = learn(ClassPerBase(), "intron intron exon exon")
    assert names == ("exon", "intron")
    assert labels[0].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("kind", "cells", "message"),
    [
        (OneClass(), ("a", "a"), "one class only in t.csv: every label is 'a'"),
        (ClassPerBase(), ("aaaa", "aaaa"), "one class only in t.csv"),
        (ClassPerBase(), ("aabb", "aab"), "wrong number of labels in t.csv:3: 3 for 4 bases"),
        (ClassPerBase(), ("aabb", "a b a b a"), "wrong number of labels in t.csv:3: 5 for 4 bases"),
        (LabelSet(), ("", " ; "), "no labels in t.csv: every cell is empty"),
        (Quantities(), ("1", "two"), "not a number in t.csv:3: found 'two'"),
        (Quantities(), ("1", "nan"), "label missing in t.csv:3: found 'nan'"),
        (Quantities(), ("1", "N/A"), "label missing in t.csv:3: found 'N/A'"),
        (Quantities(), ("-inf", "1"), "not a number in t.csv:2: found '-inf'"),
        (Quantities(), ("1", "1e39"), "not a number in t.csv:3"),
        (Quantities(), ("3.5", "3.50", "3.5"), "constant target in t.csv: label is 3.5 in every row"),
        (Quantities(), ("0.1", "0.1", "0.1"), "constant target"),
        (Quantities(), ("0", "0"), "constant target"),
        (Quantities(), ("1000000", "1000000.01"), "constant target"),
    ],
)
def test_bad_training_labels(kind, cells, message):
    with pytest.raises(DataError, match=message):
        learn(kind, *cells)


def test_the_constant_one_of_several_targets_is_named():
    with pytest.raises(DataError, match="b is 2 in every row"):
        learn(Quantities(), ("1", "2"), ("3", "2"), columns=("a", "b"))


def test_small_but_varying_targets_are_no_constants():
    learn(Quantities(), "1e-30", "2e-30")


def test_neither_0_nor_1():
    with pytest.raises(DataError, match=r"label neither 0 nor 1 in t.csv:3: found '0.5'"):
        learn(LabelSet(), ("1", "0"), ("0", "0.5"), columns=("a", "b"))


@pytest.mark.parametrize(
    ("kind", "cell"),
    [(OneClass(), "z"), (LabelSet(), "a;z"), (ClassPerBase(), "abza"), (ClassPerBase(), "a b z a")],
)
def test_labels_that_training_lacks(kind, cell):
    with pytest.raises(DataError, match=r"label 'z' not in train in t\.csv:2: train has a, b;"):
        encode(kind, cell, names=("a", "b"))


def test_of_many_names_only_a_few_are_listed():
    with pytest.raises(DataError) as error:
        encode(OneClass(), "z", names=tuple(f"n{i}" for i in range(1000)))
    assert error.value.why == "train has n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 ..."


@pytest.mark.parametrize("kind", [OneClass(), ClassPerBase()])
def test_classes_stand_in_one_column(kind):
    with pytest.raises(CmgemsError, match=r"several label columns in data.labels"):
        learn(kind, ("aaaa", "b"), columns=("x", "y"))


# The same value in two spellings, as one tool and another write it.
SPELLINGS = [
    ("0", "0.0"),
    ("1", "01"),
    ("1", "+1"),
    ("10", "1e1"),
    ("yes", "Yes"),
    ("y", "Y"),
    ("a b", "A  b"),
]


@pytest.mark.parametrize("pair", SPELLINGS)
@pytest.mark.parametrize("kind", [OneClass(), LabelSet()])
def test_a_label_is_spelt_in_one_way(kind, pair):
    one, other = pair
    with pytest.raises(
        DataError, match=r"a label spelt in two ways in t.csv: .* are the same value"
    ) as error:
        learn(kind, one, "x", other)
    assert "regression" not in error.value.line()
    for there, here in (pair, reversed(pair)):
        with pytest.raises(
            DataError, match=r"a label spelt in two ways in t.csv:2: .* of train are"
        ) as error:
            encode(kind, here, names=("x", there))
        assert "regression" not in error.value.line()


@pytest.mark.parametrize(
    "labels",
    [("0", "1"), ("010", "100"), ("a", "b"), ("1", "1.5"), ("1234567890123456789", "1234567890123456788")],
)
def test_labels_that_differ(labels):
    assert set(learn(OneClass(), *labels)[0]) == set(labels)


def test_classes_of_bases_may_differ_in_case():
    assert learn(ClassPerBase(), "EeIi")[0] == ("E", "I", "e", "i")
    with pytest.raises(DataError, match="spelt in two ways"):
        learn(ClassPerBase(), "exon exon Exon intron")


@pytest.mark.parametrize(
    ("labels", "measured"),
    [
        (("0.11", "1.01", "3.54"), True),
        (("0.11", "1.01", "3.54", "NaN"), True),
        (("0.5", "1", "1.5", "2.5"), True),
        (("1.0", "2.0", "3.0"), False),
        (("0.5", "1.5"), False),
        (("0.1", "0.2", "0.3", "x"), False),
        (("1", "2", "3"), False),
        (("1" * 40, "1" + "0" * 39, "1e30"), False),
        (("1" * 40 + ".5", "1" * 40 + ".25", "3"), True),
    ],
)
def test_quantities_have_decimals(labels, measured):
    assert are_measured(labels) is measured


def test_only_numbers_advise_regression():
    for cell, advised in (("7", True), ("7.5", True), ("z", False)):
        with pytest.raises(RecordError, match="not in train") as error:
            encode(OneClass(), cell, names=("a", "b"))
        assert ("task=regression" in error.value.line()) is advised


@pytest.mark.parametrize(
    ("kind", "cells", "names"),
    [
        (OneClass(), ("a", "z", "b"), ("a", "b")),
        (LabelSet(), ("a", "a;z", ""), ("a", "b")),
        (LabelSet(), (("0", "1"), ("0", "?"), ("1", "1")), ("x", "y")),
        (Quantities(), ("1", "two", "3"), ("label",)),
        (ClassPerBase(), ("aabb", "aazz", "bbaa"), ("a", "b")),
        (ClassPerBase(), ("aabb", "aab", "bbaa"), ("a", "b")),
    ],
)
def test_rows_with_unusable_labels_are_left_out(kind, cells, names):
    given, skipping = rows(*cells), Invalid("", skip=True)
    known, labels = encode_labels(kind, given, names, skipping)
    assert known == [given[0], given[2]]
    assert len(labels) == 2
    assert [where for where, _ in skipping.skipped] == ["t.csv:3"]


def test_no_row_is_left():
    assert encode_labels(OneClass(), rows("z"), ("a",), Invalid("", skip=True)) == ([], [])

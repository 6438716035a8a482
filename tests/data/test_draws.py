"""Few examples of each class: ours keep clear of the test set, published ones are found in their file."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.data import (
    LabelledConfig,
    LabelledSet,
    count_draws,
    draw_shots,
    few_shot,
    leaked_rows,
    published_draw,
    read_splits,
)
from cmgems.data.columns import Columns
from cmgems.errors import CmgemsError, DataError
from cmgems.tokenization import TOKENIZERS

KMER6 = TOKENIZERS.get("kmer6")


def labelled(rows, names=("a", "b")):
    """A set of (bases, class)."""
    bases = [row[0] for row in rows]
    classes_N = np.array([row[1] for row in rows], np.int64)
    return LabelledSet([KMER6.encode(sequence) for sequence in bases], classes_N, names, bases=bases)


def distinct(count, seed=0):
    draw = random.Random(seed)
    found = set()
    while len(found) < count:
        found.add("".join(draw.choices("ACGT", k=12)))
    return sorted(found, key=lambda _: draw.random())


def test_a_draw_has_no_row_of_the_test_set_and_none_twice():
    bases = distinct(12)
    train = labelled([(sequence, n % 2) for n, sequence in enumerate(bases)] + [(bases[0], 1), (bases[1], 1)])
    test = labelled([(bases[2], 1), (bases[3], 1)])
    for seed in range(30):
        draw = few_shot(train, 5, seed, test)
        assert np.bincount(draw.labels).tolist() == [5, 5]
        assert len(set(draw.bases)) == 10
        assert not leaked_rows(draw, test).any()


def test_without_a_test_set_repeats_alone_are_barred():
    bases = distinct(4)
    train = labelled([(bases[0], 0), (bases[0], 0), (bases[1], 0), (bases[2], 1), (bases[3], 1)])
    assert sorted(few_shot(train, 2, 0).bases) == sorted(bases)
    with pytest.raises(
        DataError, match=r"2 training examples of class 'a', and 1 more .*; 3 shots were requested"
    ):
        few_shot(train, 3, 0)


def test_too_few_are_left():
    bases = distinct(4)
    train = labelled([(bases[0], 0), (bases[1], 0), (bases[2], 1), (bases[3], 1)])
    message = (
        r"fewer rows than shots in data\.shots: 1 training examples of class 'b', and 1 more that repeat a row or "
        r"are in the test set; 2 shots were requested; ask for fewer"
    )
    with pytest.raises(DataError, match=message):
        few_shot(train, 2, 0, labelled([(bases[3], 0)]))


@given(st.integers(1, 4), st.integers(1, 4), st.integers(2, 3), st.randoms(use_true_random=False))
def test_published_draws_part_the_rows_into_balanced_ones(shots, draws, classes, shuffle):
    bases = distinct(shots * draws * classes)
    rows = [(sequence, n % classes) for n, sequence in enumerate(bases)]
    shuffle.shuffle(rows)
    train = labelled(rows, tuple("abc"[:classes]))
    found = [published_draw(train, shots, draw) for draw in range(draws)]
    assert sorted(sequence for draw in found for sequence in draw.bases) == sorted(bases)
    for draw in found:
        assert np.bincount(draw.labels).tolist() == [shots] * classes
        places = [train.bases.index(sequence) for sequence in draw.bases]
        assert places == sorted(places)


def test_balanced_blocks_are_the_draws():
    bases = distinct(12)
    rows = [
        (sequence, label) for sequence, label in zip(bases, [0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1, 0], strict=True)
    ]
    train = labelled(rows)
    for draw in range(3):
        assert published_draw(train, 2, draw).bases == bases[4 * draw : 4 * draw + 4]


@pytest.mark.parametrize(
    ("rows", "shots", "draw", "message"),
    [
        (
            [4, 4],
            2,
            2,
            r"no such draw in data\.draw: 2 was requested, the training set holds 2 of 2 .* choose 0 to 1",
        ),
        ([4, 6], 2, 0, "not whole draws in the training set: class 'b' has 6 rows, 2 x 2 were expected"),
        ([5, 5], 2, 0, "class 'a' has 5 rows, 2 x 2 were expected"),
        ([1, 2], 2, 0, "class 'a' has 1 rows, 1 x 2 were expected"),
    ],
)
def test_files_that_hold_no_such_draw(tmp_path, rows, shots, draw, message):
    bases = iter(distinct(20))
    train = labelled([(next(bases), index) for index, count in enumerate(rows) for _ in range(count)])
    with pytest.raises(DataError, match=message):
        published_draw(train, shots, draw)


def test_count_draws(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("sequence,y\n" + "ACGTACGT,1\nACGTACGT,0\n" * 6)
    assert [count_draws(tmp_path, shots, Columns(labels=("y",))) for shots in (1, 2, 3, 6)] == [6, 3, 2, 1]
    with pytest.raises(DataError, match=r"not whole draws in .*train\.csv: class '0' has 6 rows, 1 x 4 were"):
        count_draws(tmp_path, 4, Columns(labels=("y",)))


@pytest.mark.parametrize(("shots", "draw", "rows"), [(None, None, 8), (3, None, 6), (2, 1, 4), (4, 0, 8)])
def test_what_the_config_asks_for(shots, draw, rows):
    train = labelled([(sequence, n % 2) for n, sequence in enumerate(distinct(8))])
    test = labelled([("ACGTACGTACGT", 0)])
    found = draw_shots(LabelledConfig(Path("data"), shots=shots, draw=draw), train, test, seed=0)
    assert len(found) == rows
    assert (found is train) == (shots is None)
    if draw is not None:
        assert found.bases == published_draw(train, shots, draw).bases


@pytest.mark.parametrize("options", [{"draw": 0}, {"draw": -1, "shots": 5}])
def test_draws_of_nothing(options):
    with pytest.raises(CmgemsError, match="`draw`"):
        LabelledConfig(Path("data"), **options)


@pytest.mark.parametrize(
    ("name", "shots", "draws"),
    [("Splice-40", 10, 10), ("Splice-40", 100, 10), ("Silencer", 10, 10), ("Prom-core", 50, 1)],
)
def test_published_files(shared_data, name, shots, draws):
    config = LabelledConfig(shared_data / f"fewshot/{name}/{shots}")
    assert count_draws(config.dir, shots) == draws
    train = read_splits(config, KMER6, 512)["train"]
    for draw in range(draws):
        assert set(np.bincount(published_draw(train, shots, draw).labels)) == {shots}

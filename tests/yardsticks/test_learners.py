"""Baselines' learners beside plain references, and that none sees what it is scored on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.errors import DataError
from cmgems.tasks import TASKS
from cmgems.yardsticks.baselines import _at_most
from cmgems.yardsticks.examples import Examples
from cmgems.yardsticks.features import KmerCounts, PositionedKmers
from cmgems.yardsticks.judge import Judge
from cmgems.yardsticks.learners import Linear, MarkovChains, TwinLabels

rows = st.lists(st.text("ACGTN", min_size=1, max_size=9), min_size=1, max_size=8)


def number(word):
    return sum("ATCG".index(base) << 2 * i for i, base in enumerate(reversed(word)))


@given(rows, st.integers(1, 3))
@settings(deadline=None)
def test_features_are_counted_word_by_word(bases, k):
    counts = np.zeros((len(bases), 4**k))
    placed = np.zeros((len(bases), 5, 4**k))
    for n, row in enumerate(bases):
        for i in range(len(row) - k + 1):
            if "N" not in (word := row[i : i + k]):
                counts[n, number(word)] += 1
                if i < 5:
                    placed[n, i, number(word)] = 1
    assert np.array_equal(KmerCounts(k)(bases).toarray(), counts)
    assert np.array_equal(PositionedKmers(k, 5)(bases).toarray(), placed.reshape(len(bases), -1))


def test_chains_give_the_likelier_class():
    train, labels = ["AACA", "AAAA", "CGCG"], np.array([0, 0, 1])
    counts = KmerCounts(2)
    found = MarkovChains(1, 2).fit(counts(train), labels)(counts(["AAC"]))
    # Class 0 has AA 4 times, AC and CA once; class 1 has CG twice, GC once; all once more.
    of_0, of_1 = 5 / (5 + 2 + 1 + 1) * 2 / (5 + 2 + 1 + 1), 1 / 4 * 1 / 4
    expected = 3 * of_0 / (3 * of_0 + 2 * of_1)
    assert found[0] == pytest.approx([expected, 1 - expected], rel=1e-5)


def test_twins_tell_the_label_and_others_get_the_commonest():
    train = np.array(["ACCAGATTTT", "ACGTACGTTT", "GGGGG"], dtype=object)
    asked = np.array(["AGACCATTTT", "TTTTT"], dtype=object)
    labels = np.array([0, 1, 1])
    assert TwinLabels(True, 2).fit(train, labels)(asked).argmax(1).tolist() == [0, 1]
    assert TwinLabels(False, 2).fit(train, labels)(asked).argmax(1).tolist() == [1, 1]


@pytest.mark.parametrize("head", ["classification", "multi_label", "regression"])
def test_linear_models_learn_what_is_linear(head):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, 5)).astype(np.float32)
    values = inputs @ rng.normal(size=(5, 2))
    labels = {"classification": values.argmax(1), "multi_label": (values > 0) * 1.0, "regression": values}[
        head
    ]
    found = Linear(head, 2, 1.0).fit(inputs[:150], labels[:150])(inputs[150:])
    assert found.shape == (50, 2)
    if head == "regression":
        assert np.abs(found - values[150:]).max() < 0.2
    else:
        guessed = found.argmax(1) if head == "classification" else found > 0.5
        assert (guessed == labels[150:]).mean() > 0.9


@pytest.mark.parametrize("labels", [[0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]])
def test_a_single_label_has_one_probability(labels):
    found = Linear("multi_label", 1, 0.1).fit(np.eye(4), np.array(labels)[:, None])(np.eye(4))
    assert found.shape == (4, 1)
    assert ((found[:, 0] > 0.5) == np.array(labels)).all()


def test_a_class_that_train_lacks_has_probability_0():
    found = Linear("classification", 3, 1.0).fit(np.eye(4), np.array([0, 2, 0, 2]))(np.eye(4))
    assert found.shape == (4, 3)
    assert not found[:, 1].any()


class Memory:
    """Knows what it has seen, and nothing else."""

    def fit(self, inputs, labels):
        known = dict(zip(inputs.tolist(), labels.tolist(), strict=True))
        return lambda others: np.array(
            [[known.get(x) == 0, known.get(x) == 1] for x in others.tolist()], float
        )


def test_cross_validation_never_asks_for_what_was_learnt():
    task, labels = TASKS.get("classification"), np.arange(40) % 2
    judge = Judge.of(task, labels, None)
    assert judge.chosen_on == "5-fold cross-validation of train"
    assert sorted(np.bincount(judge.folds)) == [8] * 5
    assert all(labels[judge.folds == fold].mean() == 0.5 for fold in range(5))
    assert judge.score(Memory(), np.arange(40), None) == 0
    assert Judge.of(task, labels, labels).score(Memory(), np.arange(40), np.arange(40)) == 1


def test_an_undefined_score_is_worse_than_any():
    task = TASKS.get("regression")
    judge = Judge.of(task, np.arange(6.0)[:, None], np.ones((3, 1)))
    assert judge.score(Linear("regression", 1, 1.0), np.eye(6), np.eye(6)[:3]) == -math.inf


@pytest.mark.parametrize("labels", [np.array([0, 1, 1]), np.array([[1.0]])])
def test_one_row_is_too_few_to_choose_by(labels):
    with pytest.raises(
        DataError, match="nothing to choose by in train: there is no dev set, and too few rows"
    ):
        Judge.of(TASKS.get("classification"), labels, None)


def test_of_a_large_set_some_rows_are_drawn():
    train = Examples([f"{'A' * (n % 5 + 1)}" for n in range(100)], np.arange(100))
    assert _at_most(train, 300) is train
    some = _at_most(train, 100)
    assert 80 < sum(map(len, some.bases)) <= 100
    assert [train.bases[n] for n in some.labels] == list(some.bases)
    assert len(_at_most(train, 0)) == 1

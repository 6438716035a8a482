from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from cmgems.tasks import ranking
from cmgems.tasks.ranking import rank


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(ranking, "RESAMPLES", 20)


ITEMS = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40)


@settings(deadline=None, max_examples=50)
@given(ITEMS)
def test_areas_are_those_of_scikit_learn(items):
    held_N, scores_N = np.array([held for held, _ in items]), np.array([float(score) for _, score in items])
    if held_N.all() or not held_N.any():
        return
    found = rank(held_N, {"a": scores_N, "turned": -scores_N})
    assert found["a"].auroc.value == pytest.approx(roc_auc_score(held_N, scores_N))
    assert found["a"].auprc.value == pytest.approx(average_precision_score(held_N, scores_N))
    assert found["turned"].auroc.value == pytest.approx(1 - found["a"].auroc.value)
    for area in (found["a"].auroc, found["a"].auprc):
        assert 0 <= area.low <= area.high <= 1


def test_resamples_count_items_as_often_as_they_are_drawn():
    """The first resample by hand."""
    rng = np.random.default_rng(0)
    held_N, scores_N = rng.random(50) < 0.4, rng.integers(0, 9, 50).astype(float)
    weights_N = rng.multinomial(50, np.full(50, 1 / 50))
    drawn_N = np.repeat(np.arange(50), weights_N)
    roc, precision = ranking._areas(*ranking._sorted(held_N, scores_N), weights_N)
    assert roc == pytest.approx(roc_auc_score(held_N[drawn_N], scores_N[drawn_N]))
    assert precision == pytest.approx(average_precision_score(held_N[drawn_N], scores_N[drawn_N]))


def test_the_seed_decides_and_scores_share_resamples(monkeypatch):
    rng = np.random.default_rng(1)
    held_N, scores_N = rng.random(60) < 0.5, rng.normal(size=60)
    one = rank(held_N, {"a": scores_N})
    assert rank(held_N, {"b": -scores_N, "a": scores_N})["a"].auroc == one["a"].auroc
    assert rank(held_N, {"a": scores_N}, seed=1)["a"].auroc.low != one["a"].auroc.low
    assert rank(held_N, {"a": scores_N}, seed=1)["a"].auroc.value == one["a"].auroc.value


def test_differences_are_over_the_same_resamples():
    rng = np.random.default_rng(3)
    held_N, good_N = rng.random(200) < 0.5, rng.normal(size=200)
    good_N += held_N
    found = rank(held_N, {"first": good_N, "same": good_N, "poor": rng.normal(size=200)})
    assert [found["same"].behind.low, found["same"].behind.high] == [0, 0]
    assert found["first"].behind.value == 0
    assert found["poor"].behind.value == pytest.approx(found["first"].auroc.value - found["poor"].auroc.value)
    assert 0 < found["poor"].behind.low < found["poor"].behind.value < found["poor"].behind.high


def test_intervals_hold_the_truth(monkeypatch):
    """Of scores that know nothing, half, in about 95 of 100 samples."""
    monkeypatch.setattr(ranking, "RESAMPLES", 200)
    rng = np.random.default_rng(2)
    held_N = np.arange(80) % 2 == 0
    areas = [rank(held_N, {"a": rng.normal(size=80)}, seed)["a"].auroc for seed in range(60)]
    assert 52 <= sum(area.low <= 0.5 <= area.high for area in areas) <= 60


def test_one_class_is_undefined():
    found = rank(np.array([True, True]), {"a": np.array([1.0, 2.0])})["a"]
    assert np.isnan([found.auroc.value, found.auroc.low, found.auprc.value]).all()

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.evaluation.statistics import MeanSD, paired_difference

figures = st.lists(st.floats(-1, 1), min_size=2, max_size=12)


def test_mean_and_sd_by_hand():
    assert MeanSD.of([1.0, 2.0, 4.0]) == MeanSD(pytest.approx(7 / 3), pytest.approx(math.sqrt(7 / 3)), 3)


def test_one_value_has_no_sd():
    found = MeanSD.of([0.5])
    assert found.mean == 0.5
    assert math.isnan(found.sd)


@settings(deadline=None, max_examples=20)
@given(figures, st.floats(-1, 1))
def test_the_interval_holds_the_mean_and_stays_within_the_differences(values, shift):
    ours = np.array(values)
    theirs = ours[::-1] + shift
    found = paired_difference(ours.tolist(), theirs.tolist())
    differences = ours - theirs
    assert found.mean == pytest.approx(differences.mean())
    slack = 1e-12
    assert differences.min() - slack <= found.low <= found.high <= differences.max() + slack


def test_the_sign_turns_with_the_sides():
    ours, theirs = [0.3, 0.5, 0.4, 0.7], [0.2, 0.1, 0.3, 0.2]
    there, back = paired_difference(ours, theirs), paired_difference(theirs, ours)
    assert there.mean == pytest.approx(-back.mean)
    assert there.clear
    assert there.low > 0
    assert back.high < 0


def test_a_shift_common_to_both_sides_of_a_pair_does_not_widen_the_interval():
    hard, easy = [0.1, 0.5, 0.9], [0.2, 0.6, 1.0]
    found = paired_difference(easy, hard)
    assert found.high - found.low < 1e-12


def test_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        ours, theirs = rng.normal(0.2, 1, 40), rng.normal(0, 1, 40)
        found = paired_difference(ours.tolist(), theirs.tolist())
        hits += found.low <= 0.2 <= found.high
    assert 50 <= hits <= 60


def test_a_single_pair_has_no_interval():
    found = paired_difference([0.5], [0.25])
    assert found.mean == 0.25
    assert math.isnan(found.low)
    assert not found.clear


def test_unpaired_values_are_refused():
    with pytest.raises(ValueError, match="pairs need as many values on both sides"):
        paired_difference([1.0], [1.0, 2.0])

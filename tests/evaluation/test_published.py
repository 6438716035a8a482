"""The published table: averages as they were published."""

from __future__ import annotations

import pytest

from cmgems.evaluation.benchmarks import GUE
from cmgems.evaluation.published import average, published_gue


def test_it_covers_the_28_sets():
    published = published_gue()
    assert set(published) == set(GUE)
    assert {len(figures) for figures in published.values()} == {10}
    assert published["virus/covid"]["DNABERT-2"] == 71.02


def test_averages_are_the_published_ones():
    assert average(GUE) == pytest.approx(
        {
            "DNABERT-3mer": 61.62,
            "DNABERT-4mer": 61.14,
            "DNABERT-5mer": 60.05,
            "DNABERT-6mer": 60.51,
            "NT-500M-human": 55.43,
            "NT-500M-1000g": 57.79,
            "NT-2500M-1000g": 61.41,
            "NT-2500M-multi": 66.93,
            "DNABERT-2": 66.81,
            "DNABERT-2-FPT": 67.78,
        },
        abs=0.011,  # the published ones are cut or rounded to two digits
    )


def test_averages_of_some_sets_and_of_none():
    assert average(["tf/0", "tf/1"])["DNABERT-2"] == pytest.approx((71.99 + 76.06) / 2)
    assert average([]) == {}


def test_it_is_the_reference(shared_data):
    import cmgems.evaluation.published as ours

    there = (shared_data / "reference" / "gue_published.csv").read_text()
    assert (ours.files("cmgems.evaluation") / "gue_published.csv").read_text() == there

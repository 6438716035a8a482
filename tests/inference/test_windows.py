"""Cutting and putting together, on lengths and numbers alone."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.errors import CmgemsError
from cmgems.inference import WindowMean, split
from cmgems.inference.windows import Window


@st.composite
def cuts(draw):
    unit = draw(st.integers(1, 7))
    window = draw(st.integers(2, 30)) * unit + draw(st.integers(0, unit - 1))
    overlap = draw(st.integers(0, (window // unit - 1) * unit))
    return draw(st.integers(1, 500)), window, overlap, unit


@given(cuts())
def test_the_own_parts_tile_the_sequence(cut):
    length, window_bp, _, unit = cut
    windows = list(split(*cut))
    assert [w.own_start for w in windows] == [0, *(w.own_end for w in windows[:-1])]
    assert windows[-1].own_end == length
    for w in windows:
        assert 0 <= w.start <= w.own_start < w.own_end <= w.end <= length
        assert w.end - w.start <= window_bp
        assert w.start % unit == 0
        assert w.own_start % unit == 0


@given(cuts())
def test_neighbours_share_what_was_asked_for_with_no_window_too_many(cut):
    length, window_bp, overlap_bp, unit = cut
    windows = list(split(*cut))
    shared = -(-overlap_bp // unit) * unit
    for left, right in pairwise(windows):
        # A window that ends with the sequence may end within a unit.
        assert left.end - right.start >= min(shared, length - right.start)
    if len(windows) > 1:
        wide = window_bp // unit * unit
        reach_of_one_less = wide + (len(windows) - 2) * (wide - shared)
        assert reach_of_one_less < length


@given(cuts())
def test_the_owner_is_the_window_in_which_a_base_is_farthest_from_a_cut(cut):
    length, *_, unit = cut
    windows = list(split(*cut))

    def distance(w, base):
        left = base - w.start if w.start else length
        right = w.end - 1 - base if w.end < length else length
        return min(left, right)

    for w in windows:
        for base in range(w.own_start, w.own_end):
            best = max(distance(v, base) for v in windows if v.start <= base < v.end)
            # Seams lie on the units' grid and right of the middle, so the owner may be the second best by that much.
            assert distance(w, base) >= best - unit


def test_by_hand():
    assert list(split(510, 510, 255)) == [Window(0, 510, 0, 510)]
    assert list(split(14, 10, 6)) == [Window(0, 10, 0, 7), Window(4, 14, 7, 14)]
    assert list(split(13, 6, 0, unit=3)) == [Window(0, 6, 0, 3), Window(3, 9, 3, 9), Window(9, 13, 9, 13)]


@pytest.mark.parametrize("overlap", [10, 11, -1])
def test_an_overlap_without_room_is_refused(overlap):
    with pytest.raises(CmgemsError, match="give 0 to 9 bp"):
        next(split(100, 10, overlap))


@pytest.mark.parametrize(("weights", "expected"), [((1, 1), [2, 20]), ((3, 1), [1.5, 15]), ((0, 1), [3, 30])])
def test_means_by_hand(weights, expected):
    mean = WindowMean()
    for row_C, weight in zip(np.float32([[1, 10], [3, 30]]), weights, strict=True):
        mean.add(row_C, weight)
    assert mean.value().tolist() == expected
    assert mean.value().dtype == np.float32

"""Stretches of high signal."""

import numpy as np

from cmgems.motifs import high_bases


def test_stretches_above_the_mean_that_are_long_enough():
    signal_L = np.array([0, 9, 9, 0, 9, 9, 9, 0, np.nan, 9, 9, 9, 9.0])
    assert np.flatnonzero(high_bases(signal_L, 3)).tolist() == [4, 5, 6, 9, 10, 11, 12]
    assert np.flatnonzero(high_bases(signal_L, 2)).tolist() == [1, 2, 4, 5, 6, 9, 10, 11, 12]
    assert not high_bases(signal_L, 5).any()


def test_a_flat_line_is_nowhere_high():
    assert not high_bases(np.ones(20), 1).any()

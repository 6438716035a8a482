from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from cmgems.masking.random import philox, turned_rows, uniform


@njit
def _philox(c0, c1, c2, c3, k0, k1):
    return philox(c0, c1, c2, c3, k0, k1)


# Known answers published with Random123 (counter, key, result).
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_gives_the_published_answers(counter, key, expected):
    words = _philox(*(np.uint64(word) for word in (*counter, *key)))
    assert tuple(int(word) for word in words) == expected


def test_draws_depend_on_the_sample_alone():
    samples = np.array([3, 2**40 + 7, 0], np.uint64)
    whole = uniform(5, samples, 0, 100)
    alone = uniform(5, samples[1:2], 0, 100)
    assert np.array_equal(whole[1], alone[0])
    assert np.array_equal(uniform(5, samples, 0, 33), whole[:, :33])


def test_seeds_samples_and_streams_are_independent():
    samples = np.arange(50, dtype=np.uint64)
    base = uniform(0, samples, 0, 200).ravel()
    for other in (
        uniform(1, samples, 0, 200),
        uniform(0, samples + np.uint64(50), 0, 200),
        uniform(0, samples, 1, 200),
    ):
        assert abs(np.corrcoef(base, other.ravel())[0, 1]) < 0.05


def test_draws_are_uniform_in_the_open_interval():
    draws = uniform(9, np.arange(1000, dtype=np.uint64), 0, 500).ravel()
    assert 0 < draws.min() < 1e-4
    assert 1 - 1e-4 < draws.max() < 1
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    assert np.abs(counts / len(draws) - 0.05).max() < 0.002


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_rows_are_turned_as_often_as_asked_and_by_their_sample_alone(share):
    samples = np.arange(20_000, dtype=np.uint64) + np.uint64(2**40)
    turned_B = turned_rows(7, samples, share)
    assert abs(turned_B.mean() - share) < 0.01
    assert np.array_equal(turned_rows(7, samples[500:600], share), turned_B[500:600])

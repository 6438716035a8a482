from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cmgems.genome import AMBIGUOUS, gather, reverse_complement, turn_rows
from cmgems.genome.kernels import hash_windows, soft_masked, walk

genomes = hnp.arrays(np.uint8, st.integers(1, 60), elements=st.sampled_from([0, 1, 2, 3, 3, AMBIGUOUS]))


def reference(codes: np.ndarray, start: int, length: int) -> np.ndarray:
    tail = codes[start:]
    return tail[tail != AMBIGUOUS][:length]


@settings(deadline=None)
@given(codes=genomes, data=st.data())
def test_gather(codes: np.ndarray, data: st.DataObject) -> None:
    width = data.draw(st.integers(0, 30))
    windows = st.tuples(st.integers(0, len(codes) - 1), st.integers(0, width))
    rows = np.array(data.draw(st.lists(windows, max_size=6)), dtype=np.int64).reshape(-1, 2)
    out_BL = np.full((len(rows), width), 9, dtype=np.uint8)
    gather(codes, rows[:, 0].copy(), rows[:, 1].astype(np.int32), out_BL)
    for row, (start, length) in zip(out_BL, rows, strict=True):
        expected = reference(codes, start, length)
        assert row[: len(expected)].tolist() == expected.tolist()
        assert (row[len(expected) :] == AMBIGUOUS).all()


@settings(deadline=None)
@given(data=st.data(), shape=st.tuples(st.integers(1, 5), st.integers(1, 12)))
def test_rows_are_turned_as_one_by_one(data: st.DataObject, shape: tuple[int, int]) -> None:
    codes_BL = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 3, AMBIGUOUS])))
    lengths_B = data.draw(hnp.arrays(np.int32, shape[0], elements=st.integers(0, shape[1])))
    turned_B = data.draw(hnp.arrays(np.bool_, shape[0]))
    found_BL = codes_BL.copy()
    turn_rows(found_BL, lengths_B, turned_B)
    for row, before, length, turned in zip(found_BL, codes_BL, lengths_B, turned_B, strict=True):
        expected = reverse_complement(before[:length]) if turned else before[:length]
        assert row.tolist() == [*expected, *before[length:]]


@settings(deadline=None)
@given(codes=genomes, data=st.data())
def test_soft_masked_bases_are_those_that_gather_copies(codes: np.ndarray, data: st.DataObject) -> None:
    soft = np.array(data.draw(st.lists(st.booleans(), min_size=len(codes), max_size=len(codes))))
    # Stretches of one base each, side by side as at the ends of contigs, or of all that lie together.
    joined = data.draw(st.booleans())
    edges = np.flatnonzero(np.diff(np.concatenate([[0], soft, [0]])))
    borders = edges if joined else np.stack([np.flatnonzero(soft), np.flatnonzero(soft) + 1], axis=1).ravel()
    start, length = data.draw(st.integers(0, len(codes) - 1)), data.draw(st.integers(0, 30))
    out_BL = np.ones((1, 30), np.bool_)
    soft_masked(codes, borders.astype(np.int64), np.array([start]), np.array([length], np.int32), out_BL)
    expected = soft[start:][codes[start:] != AMBIGUOUS][:length]
    assert out_BL[0].tolist() == [*expected.tolist(), *[False] * (30 - len(expected))]


@settings(deadline=None)
@given(codes=genomes, data=st.data())
def test_equal_hashes_mean_equal_windows(codes: np.ndarray, data: st.DataObject) -> None:
    starts = np.array(data.draw(st.lists(st.integers(0, len(codes) - 1), min_size=2, max_size=20)))
    lengths = np.full(len(starts), data.draw(st.integers(0, 10)), dtype=np.int32)
    hashes = hash_windows(codes, starts.astype(np.int64), lengths)
    contents = [
        reference(codes, start, length).tobytes() for start, length in zip(starts, lengths, strict=True)
    ]
    assert len(set(hashes.tolist())) == len(set(contents))


@settings(deadline=None)
@given(
    stretches=st.lists(st.integers(0, 50), max_size=10),
    drawn=st.lists(st.integers(1, 20), min_size=1, max_size=40),
)
def test_walk(stretches: list[int], drawn: list[int]) -> None:
    first = walk(np.array(stretches, dtype=np.int64), np.concatenate([[0], np.cumsum(drawn)]))
    step, expected = 0, [0]
    for stretch in stretches:
        walked = 0
        while walked < stretch and step < len(drawn):
            walked, step = walked + drawn[step], step + 1
        if walked < stretch:
            assert first[-1] == len(drawn) + 1
            break
        expected.append(step)
    assert first.tolist()[: len(expected)] == expected

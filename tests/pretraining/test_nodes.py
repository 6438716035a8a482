"""An error of a data thread arrives whole, whatever thread it was in."""

from __future__ import annotations

import traceback

import numpy as np
import pytest

from cmgems.errors import DataError
from cmgems.pretraining.nodes import IdBatch, WindowNode, masked_stream


class NoMasker:
    """Gives the ids as they are."""

    def mask(self, ids_BS, samples_B, step, soft_BS):
        return ids_BS[0, 0]


class Odd(Exception):  # noqa: N818
    """Made of two arguments, so it cannot be made again of its text."""

    def __init__(self, what, number):
        super().__init__(what, number)
        self.number = number


def user_mistake():
    raise DataError("damaged genome store", where="store", why="a: b", fix="build it again")


def our_mistake():
    raise Odd("out of bounds", 5)


@pytest.mark.parametrize(("prefetch", "workers"), [(0, 0), (2, 0), (2, 2)])
@pytest.mark.parametrize("in_windows", [False, True])
@pytest.mark.parametrize("fail", [user_mistake, our_mistake])
def test_an_error_arrives_whole(fail, in_windows, prefetch, workers):
    def epoch_windows(epoch):
        if in_windows and epoch == 3:
            fail()
        return np.array([epoch]), np.array([6], np.int32)

    def tokenize(batch):
        if not in_windows and batch.starts_B[0] == 3:
            fail()
        return IdBatch(batch.starts_B[:, None], batch.samples_B)

    windows = WindowNode(epoch_windows, 1, lambda bases: 8)
    stream = masked_stream(windows, tokenize, NoMasker(), prefetch, workers)
    stream.reset()
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises((DataError, Odd)) as stopped:
        next(stream)
    error = stopped.value
    if fail is user_mistake:
        assert (error.what, error.where, error.why) == ("damaged genome store", "store", "a: b")
        assert error.fix == "build it again"
    else:
        assert error.number == 5
    assert fail.__name__ in "".join(traceback.format_exception(error))  # where it was raised, for --debug

import time

import numpy as np
import pytest
import torch

from cmgems.training import Clock, LateCopy, Later, seconds_between


@pytest.mark.parametrize("tensor", [torch.tensor(2.5), torch.arange(6).reshape(2, 3)])
def test_values_arrive_whole(tensor):
    assert np.array_equal(LateCopy(tensor).array(), tensor.numpy())
    assert LateCopy(tensor.double().requires_grad_()).array().dtype == np.float64


@pytest.mark.parametrize(("behind", "looked_at"), [(0, "abc"), (1, "ab"), (2, "a"), (3, "")])
def test_what_waits_is_looked_at_in_order(behind, looked_at):
    seen: list[str] = []
    later = Later(seen.append, behind)
    for letter in "abc":
        later.add(letter)
    assert "".join(seen) == looked_at
    later.catch_up()
    assert "".join(seen) == "abc"


def test_a_clock():
    clock = Clock(torch.device("cpu"))
    first = clock.now()
    time.sleep(0.01)
    assert 0.01 <= seconds_between(first, clock.now()) < 5
    assert seconds_between(first, first) > 0

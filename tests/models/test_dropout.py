import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.models.dropout import Dropout, dropout


@settings(deadline=None, max_examples=30)
@given(
    p=st.floats(0.01, 0.95),
    shape=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_what_is_kept_is_scaled_and_so_is_its_gradient(p, shape, seed):
    torch.manual_seed(seed)
    x = torch.ones(shape, requires_grad=True)
    y = dropout(x, p)
    assert y.shape == x.shape
    kept = y[y != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)), rtol=1e-3, atol=0)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_is_p_and_neighbours_are_independent(p):
    torch.manual_seed(0)
    dropped = (dropout(torch.ones(1_000_003), p) == 0).float()
    assert dropped.mean().item() == pytest.approx(p, abs=0.003)
    for distance in (1, 2, 3, 4, 64):
        both = (dropped[:-distance] * dropped[distance:]).mean().item()
        assert both == pytest.approx(p * p, abs=0.003)


def test_the_generator_decides():
    def draw(seed):
        torch.manual_seed(seed)
        return dropout(torch.ones(64), 0.5)

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_a_module_drops_in_training_only_and_keeps_the_dtype():
    module = Dropout(0.5)
    x = torch.ones(256, dtype=torch.bfloat16)
    assert (module(x) == 0).any()
    assert module(x).dtype == torch.bfloat16
    assert module.eval()(x) is x
    assert dropout(x, 0.0).equal(x)
    assert str(module) == "Dropout(p=0.5)"


def test_some_levels_are_always_kept():
    assert torch.isfinite(dropout(torch.ones(9), 0.9999999)).all()

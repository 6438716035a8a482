from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.masking import STRATEGIES, Ranks, TokenBatch
from cmgems.masking.stats import HIDDEN, PARTLY, VISIBLE, base_states, mask_stats
from cmgems.tokenization import KmerTokenizer
from tests.masking.common import random_ranks


def states_of(tokens, known, k, stride):
    """Base by base, from the definition."""
    length = (len(tokens) - 1) * stride + k
    states = []
    for base in range(length):
        over = [t for t in range(len(tokens)) if t * stride <= base < t * stride + k and known[t]]
        masked = [tokens[t] for t in over]
        states.append(HIDDEN if over and all(masked) else PARTLY if any(masked) else VISIBLE)
    return states


@given(st.data())
def test_states_of_bases_follow_the_definition(data):
    k = data.draw(st.integers(1, 6))
    stride = data.draw(st.sampled_from([1, k]))
    known = data.draw(st.lists(st.booleans(), min_size=1, max_size=30))
    masked = [m and ok for m, ok in zip(data.draw(st.lists(st.booleans(), min_size=30, max_size=30)), known)]  # noqa: B905
    rows = [np.array([[False, *row, False]]) for row in (masked, known)]
    assert base_states(*rows, k, stride)[0].tolist() == states_of(masked, known, k, stride)


def test_six_neighbours_hide_one_base():
    mask_BS, every_BS = np.zeros((1, 22), bool), np.ones((1, 22), bool)
    every_BS[0, [0, -1]] = False
    mask_BS[0, 8:14] = True
    states = base_states(mask_BS, every_BS, 6)[0]
    assert np.flatnonzero(states == HIDDEN).tolist() == [12]
    assert np.flatnonzero(states == PARTLY).tolist() == [7, 8, 9, 10, 11, 13, 14, 15, 16, 17]


def test_tenths():
    assert random_ranks(3, 0).tenths(np.array([1, 6, 7, 58, 64, 65], np.int32)).tolist() == [0, 0, 0, 8, 9, 9]


@pytest.mark.parametrize("rank_by", ["token", "position"])
def test_figures(rank_by):
    rng = np.random.default_rng(0)
    tokenizer = KmerTokenizer(6)
    codes_BL = rng.integers(0, 4, (300, 510)).astype(np.uint8)
    ids_BS = tokenizer.encode_batch(codes_BL, np.full(300, 510, np.int32), 507)
    samples_B = np.arange(300, dtype=np.uint64)
    batch = TokenBatch(ids_BS, samples_B, random_ranks(6, 0), rate=0.15, seed=0, rank_by=rank_by)
    strategy = STRATEGIES.get("global_pmi")
    figures = mask_stats(batch, "global_pmi", strategy, rank_by)
    assert figures.token_share == strategy.select(batch)[:, 1:-1].mean()
    assert 0.05 < figures.hidden_share < figures.token_share
    assert (figures.sequences, figures.positions) == (300, 505)
    assert sum(figures.histogram) == pytest.approx(1)
    if rank_by == "token":
        assert figures.positions_covered > 480
        assert figures.mean_rank < 1950
        assert figures.histogram[0] > 0.15
    else:  # the same places, whatever the tokens there
        assert figures.positions_covered < 200
        assert abs(figures.mean_rank - 2048) < 60


def test_without_ranks_there_are_no_figures_of_them():
    tokenizer = KmerTokenizer(3)
    ids_BS = np.array([[2, 7, 8, 9, 3, 0]], np.int32)
    batch = TokenBatch(ids_BS, np.zeros(1, np.uint64), Ranks.of(None, tokenizer), rate=0.9, seed=0)
    figures = mask_stats(batch, "uniform", STRATEGIES.get("uniform"))
    assert (figures.mean_rank, figures.histogram, figures.rank_by) == (None, None, None)

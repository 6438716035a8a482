from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.errors import CmgemsError
from cmgems.masking import (
    STRATEGIES,
    Annealed,
    GlobalPMI,
    LossWeighted,
    RandomSpan,
    Ranks,
    TokenBatch,
    UniformRate,
    needs_ranks,
)
from cmgems.masking.random import STREAM_CENTRES, STREAM_GUMBEL, STREAM_RATE
from cmgems.tokenization import TOKENIZERS, KmerTokenizer
from tests.masking import reference
from tests.masking.common import random_ranks

FOLLOWING_RATE = ["uniform", "random_span", "genemask", "global_pmi", "annealed", "loss_weighted"]
SHIPPED = [*FOLLOWING_RATE, "uniform_rate"]


def batch_of(ids_BS, *, k=6, rate=0.15, seed=0, first_sample=0):
    """k-mers that are ranked in the order of their ids."""
    order = np.arange(1, 4**k + 2, dtype=np.int32)
    in_order = Ranks(KmerTokenizer(k), np.append(np.full(5, np.int32(10**6)), order[:-1]), order)
    samples_B = np.arange(first_sample, first_sample + len(ids_BS), dtype=np.uint64)
    return TokenBatch(np.asarray(ids_BS, np.int32), samples_B, in_order, rate, seed)


@st.composite
def batches(draw):
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 90))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    k = draw(st.sampled_from([3, 4, 5, 6]))
    ids = rng.integers(5, draw(st.sampled_from([8, 60, 5 + 4**k])), (rows, columns))
    for b in range(rows):
        length = rng.integers(0, columns + 1)
        ids[b, length:] = 0
        ids[b, rng.random(columns) < draw(st.sampled_from([0.0, 0.2]))] = 1
        ids[b, 0] = 2
    return batch_of(
        ids, k=k, rate=draw(st.sampled_from([0.05, 0.15, 0.6])),
        seed=draw(st.integers(0, 2**63)), first_sample=draw(st.integers(0, 2**40)),
    )  # fmt: skip


@pytest.mark.parametrize("name", FOLLOWING_RATE)
@given(batch=batches())
@settings(max_examples=300, deadline=None)
def test_equals_the_straight_line_reference(name, batch):
    check_against_reference(name, batch, batch.ranks_BS.tolist())


@given(batch=batches(), wider=st.integers(0, 20))
@settings(max_examples=200, deadline=None)
def test_wider_spans_equal_the_reference(batch, wider):
    check_against_reference("random_span", batch, batch.ranks_BS.tolist(), wider=wider)


weights = st.lists(st.sampled_from([0.0, 0.1, 0.7, 1.0, 3.3, 8.0]), min_size=10, max_size=10).map(tuple)


@given(batch=batches(), weights=weights)
@settings(max_examples=300, deadline=None)
def test_weighted_spans_equal_the_reference(batch, weights):
    check_against_reference("loss_weighted", batch, batch.ranks_BS.tolist(), weights=weights)


@given(batch=batches(), weight=st.sampled_from([0.25, 1.0, 4.0]))
@settings(max_examples=100, deadline=None)
def test_equal_weights_are_random_spans(batch, weight):
    masked_BS = LossWeighted((weight,) * 10).select(batch)
    assert np.array_equal(masked_BS, RandomSpan().select(batch))


def test_centres_are_drawn_in_proportion_to_the_weights():
    batch = batch_of(np.random.default_rng(8).integers(5, 4101, (600, 507)))
    batch = replace(batch, ranks=random_ranks(6, 0, TOKENIZERS.get("nt_v1")))
    given = (1, 0, 1, 2, 3, 4, 1, 1, 1, 6)
    masked_BS = LossWeighted(given).select(batch)
    tenths_M = (batch.ranks_BS[masked_BS] - 1) * 10 // 4096
    shares = np.bincount(tenths_M, minlength=10) / len(tenths_M)
    assert np.allclose(shares, np.array(given) / sum(given), atol=0.005)
    assert abs(masked_BS.mean() - 0.15) < 0.003


@pytest.mark.parametrize(
    "weights", [(1.0,) * 9, (-1.0,) + (1.0,) * 9, (float("nan"),) * 10, (float("inf"),) * 10]
)
def test_bad_weights_are_refused(weights):
    with pytest.raises(CmgemsError, match="`weights` must be 10 numbers"):
        LossWeighted(weights)


def check_against_reference(name, batch, ranks, **options):
    masked_BS = STRATEGIES.build(name, **options).select(batch)
    draws, gumbel = batch.uniform(STREAM_CENTRES), batch.uniform(STREAM_GUMBEL)
    for b in range(len(masked_BS)):
        expected = getattr(reference, name)(
            batch.maskable_BS[b].tolist(),
            ranks[b],
            batch.k,
            batch.rate,
            draws[b].tolist(),
            gumbel[b].tolist(),
            **options,
        )
        assert set(np.flatnonzero(masked_BS[b])) == expected


@pytest.mark.parametrize("rank_by", ["token", "position"])
@pytest.mark.parametrize("name", ["genemask", "global_pmi", "annealed"])
@given(k=st.sampled_from([3, 4, 5, 6]), seed=st.integers(0, 2**32), columns=st.integers(1, 90))
@settings(max_examples=200, deadline=None)
def test_both_ways_to_rank_equal_the_reference(name, rank_by, k, seed, columns):
    table = random_ranks(k, seed)
    ids_BS = np.random.default_rng(seed).integers(0, 5 + 4**k, (3, columns), np.int32)
    samples_B = np.arange(3, dtype=np.uint64)
    batch = TokenBatch(ids_BS, samples_B, table, rate=0.2, seed=seed, rank_by=rank_by)
    ranks = [reference.ranks_of(row, table.of_words.tolist(), rank_by) for row in ids_BS.tolist()]
    check_against_reference(name, batch, ranks)


@pytest.mark.parametrize("name", SHIPPED)
@given(batch=batches())
@settings(max_examples=50, deadline=None)
def test_never_masks_specials_and_never_depends_on_the_batch(name, batch):
    strategy = STRATEGIES.get(name)
    masked_BS = strategy.select(batch)
    assert not masked_BS[~batch.maskable_BS].any()
    last = replace(batch, ids_BS=batch.ids_BS[-1:], samples_B=batch.samples_B[-1:])
    assert np.array_equal(strategy.select(last)[0], masked_BS[-1])


@given(batch=batches(), ends=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted))
@settings(max_examples=300, deadline=None)
def test_uniform_rate_equals_the_reference(batch, ends):
    masked_BS = UniformRate(*ends).select(batch)
    draws_BS, rates_B = batch.uniform(STREAM_CENTRES), batch.uniform(STREAM_RATE)[:, 0]
    for b, mask_S in enumerate(masked_BS):
        maskable, draws = batch.maskable_BS[b].tolist(), draws_BS[b].tolist()
        assert set(np.flatnonzero(mask_S)) == reference.uniform_rate(maskable, draws, rates_B[b], *ends)
        assert mask_S.any() == any(maskable)  # there is something to guess in every sequence
    assert np.array_equal(UniformRate(*ends).select(replace(batch, rate=0.9)), masked_BS)


@pytest.mark.parametrize(("lowest", "highest"), [(0.0, 1.0), (0.0, 0.3), (0.15, 0.15)])
def test_rates_are_uniform_between_their_ends(lowest, highest):
    masked_BS = UniformRate(lowest, highest).select(
        batch_of(np.random.default_rng(6).integers(5, 4101, (4000, 507)))
    )
    share_B = np.sort(masked_BS.mean(1))
    expected_B = np.linspace(lowest, highest, 4000)
    assert abs(share_B - expected_B).mean() < 0.015
    assert abs(share_B.mean() - (lowest + highest) / 2) < 0.01


@pytest.mark.parametrize("wider", [0, 2, 8])
def test_wider_spans_mask_the_same_share_in_fewer_pieces(wider):
    batch = batch_of(np.random.default_rng(7).integers(5, 4101, (400, 507)))
    masked_BS = RandomSpan(wider).select(batch)
    assert abs(masked_BS.mean() - 0.14) < 0.006
    starts = np.count_nonzero(masked_BS[:, 1:] > masked_BS[:, :-1])
    assert masked_BS.sum() / starts == pytest.approx(
        (6 + wider) * 1.08, rel=0.03
    )  # now and then two spans touch


def test_a_span_of_negative_width_is_refused():
    with pytest.raises(CmgemsError, match="`wider` must be 0 or more, but is -1"):
        RandomSpan(-1)


@pytest.mark.parametrize("ends", [(-0.1, 1), (0.5, 0.4), (0, 1.1), (float("nan"), 1)])
def test_bad_ends_are_refused(ends):
    with pytest.raises(CmgemsError, match="`lowest` and `highest`"):
        UniformRate(*ends)


# Realised shares on shuffled ranks, 505 k-mers in a row.
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("uniform", 0.147, 0.153),
        ("random_span", 0.134, 0.146),
        ("genemask", 0.145, 0.16),
        ("global_pmi", 0.115, 0.145),
        ("annealed", 0.125, 0.15),
        ("loss_weighted", 0.134, 0.146),
    ],
)
def test_share_of_masked_tokens(name, low, high):
    rng = np.random.default_rng(1)
    batch = batch_of(rng.integers(5, 4101, (400, 507)))
    share = STRATEGIES.get(name).select(batch).mean()
    assert low < share < high


def test_annealed_spans_uniform_and_global_pmi():
    rng = np.random.default_rng(2)
    batch = batch_of(rng.integers(5, 4101, (200, 507)))
    hardest = GlobalPMI().select(batch)
    assert np.array_equal(Annealed(0.0).select(batch), hardest)
    assert (Annealed(0.01).select(batch) == hardest).mean() > 0.999
    assert np.array_equal(Annealed(1e-30).select(batch), hardest)

    def mean_rank(mask_BS):
        return batch.ranks_BS[mask_BS].mean()

    ranks = [mean_rank(Annealed(t).select(batch)) for t in (1e6, 1000.0, 100.0, 1.0)]
    assert ranks == sorted(ranks, reverse=True)
    assert abs(ranks[0] - 2050) < 40


def test_global_pmi_masks_the_best_ranked_kmers():
    rng = np.random.default_rng(3)
    batch = batch_of(rng.integers(5, 4101, (50, 507)), rate=0.3)
    masked_BS = GlobalPMI().select(batch)
    best_B = batch.ranks_BS.argmin(1)
    assert masked_BS[np.arange(50), best_B].all()


@dataclass(frozen=True)
class Longer(KmerTokenizer):
    """7-mers of a plugin."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", 7)


@pytest.mark.parametrize("name", ["random_span", "genemask"])
def test_kmers_without_a_known_span_are_refused(name):
    batch = replace(batch_of([[2, 7, 8, 3]]), ranks=random_ranks(7, 0, Longer()))
    with pytest.raises(CmgemsError, match="k = 7"):
        STRATEGIES.get(name).select(batch)


@pytest.mark.parametrize("name", FOLLOWING_RATE)
@pytest.mark.parametrize("rate", [0.9, 30.0])
def test_high_rates_mask_more_and_at_last_everything(name, rate):
    batch = batch_of(np.random.default_rng(4).integers(5, 4101, (5, 1400)), rate=rate)
    share = STRATEGIES.get(name).select(batch).mean()
    assert share == 1 if rate == 30 else 0.4 < share < 1


def test_long_rows_draw_a_binomial_count():
    """More tokens than one draw serves."""
    batch = batch_of(np.random.default_rng(5).integers(5, 4101, (300, 1300)), k=3, rate=0.05)
    batch = replace(batch, ranks=random_ranks(6, 0, TOKENIZERS.get("nt_v1")))
    counts = GlobalPMI().select(batch).sum(1)
    assert abs(counts.mean() - 65) < 2
    assert abs(counts.var() - 65 * 0.95) < 13


def test_which_strategies_need_a_table():
    assert [name for name in SHIPPED if not needs_ranks(name)] == ["uniform", "random_span", "uniform_rate"]


@pytest.mark.parametrize("temperature", [-1.0, float("nan"), float("inf")])
def test_bad_temperatures_are_refused(temperature):
    with pytest.raises(CmgemsError, match="temperature"):
        Annealed(temperature)

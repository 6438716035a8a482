"""Single bases: the k-mer that starts at a position is ranked in its place, and hidden whole."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from cmgems.config import Component
from cmgems.errors import CmgemsError, DataError
from cmgems.genome import encode
from cmgems.masking import (
    STRATEGIES,
    Annealed,
    GlobalPMI,
    LossWeighted,
    Masker,
    MaskingConfig,
    Ranks,
    TokenBatch,
    mask_batch,
)
from cmgems.masking.random import STREAM_CENTRES, STREAM_GUMBEL
from cmgems.masking.stats import mask_stats
from cmgems.pmi import PMITable
from cmgems.pmi.definitions import rank
from cmgems.tokenization import BaseTokenizer, KmerTokenizer
from tests.masking import reference

BASES, KMERS = BaseTokenizer(), KmerTokenizer(6)
SPANS = ["random_span", "genemask", "global_pmi", "annealed", "loss_weighted"]


def table_of(k: int, seed: int = 0) -> PMITable:
    scores = np.random.default_rng(seed).random(4**k)
    return PMITable(k, "exact", False, np.ones(4**k, np.int64), scores, scores, rank(scores))


TABLE = table_of(6)


def batch_of(
    rows: list[str], table: PMITable = TABLE, tokenizer=BASES, *, rate=0.15, seed=0, first=0
) -> TokenBatch:
    codes_BL = np.full((len(rows), max(map(len, rows))), 255, np.uint8)
    for codes_L, row in zip(codes_BL, rows, strict=True):
        codes_L[: len(row)] = encode(row.encode())
    lengths_B = np.array([len(row) for row in rows], np.int32)
    ids_BS = tokenizer.encode_batch(codes_BL, lengths_B, tokenizer.token_count(codes_BL.shape[1]))
    samples_B = np.arange(first, first + len(rows), dtype=np.uint64)
    return TokenBatch(ids_BS, samples_B, Ranks.of(table, tokenizer), rate=rate, seed=seed)


def random_rows(count: int, bases: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(row) for row in rng.choice(list("ACGT"), (count, bases))]


letters = st.text("ACGT", min_size=1, max_size=90) | st.text("ACGTN", min_size=1, max_size=90)


@pytest.mark.parametrize("name", ["uniform", *SPANS])
@given(
    rows=st.lists(letters, min_size=1, max_size=3),
    k=st.integers(3, 6),
    rate=st.sampled_from([0.05, 0.15, 0.6]),
    seed=st.integers(0, 2**63),
    first=st.integers(0, 2**40),
)
@settings(max_examples=60, deadline=None)
def test_equals_the_straight_line_reference(name, rows, k, rate, seed, first):
    table = table_of(k)
    batch = batch_of(rows, table, rate=rate, seed=seed, first=first)
    rank_of = {"".join(kmer): table.rank[n] for n, kmer in enumerate(itertools.product("ATCG", repeat=k))}
    draws_BS, gumbel_BS = batch.uniform(STREAM_CENTRES), batch.uniform(STREAM_GUMBEL)
    strategy = STRATEGIES.get(name)
    masked_BS = strategy.select(batch)
    for b, row in enumerate(rows):
        ranks = reference.ranks_of_bases(row, rank_of, k)
        assert batch.ranks_BS[b, 1 : len(row) + 1].tolist() == ranks
        around = [4**k + 1] * (batch.ids_BS.shape[1] - len(row) - 1)
        expected = getattr(reference, name)(
            batch.maskable_BS[b].tolist(), [4**k + 1, *ranks, *around], k, rate,
            draws_BS[b].tolist(), gumbel_BS[b].tolist(), single=True,
        )  # fmt: skip
        assert set(np.flatnonzero(masked_BS[b])) == expected
        alone = batch_of([row], table, rate=rate, seed=seed, first=first + b)
        assert np.array_equal(strategy.select(alone)[0], masked_BS[b, : len(row) + 2])


def test_a_position_has_the_rank_of_the_6_mer_there():
    rows = [*random_rows(5, 80), "ACGTACGNACGTTGCAAG", "ACGTA"]
    bases, kmers = batch_of(rows), batch_of(rows, tokenizer=KMERS)
    tokens = kmers.ids_BS.shape[1]
    assert np.array_equal(bases.ranks_BS[:, :tokens], kmers.ranks_BS)
    assert (bases.ranks_BS[:, tokens:] == 4097).all()
    assert bases.worst_rank == kmers.worst_rank == 4096
    assert (bases.word, kmers.word) == (6, 1)
    assert bases.span == bases.wide_span == (0, 5)


@pytest.mark.parametrize("strategy", [GlobalPMI(), Annealed(100.0)])
def test_6_mers_hide_the_tokens_that_hold_a_hidden_base(strategy):
    rows = random_rows(400, 200)
    kmers = batch_of(rows, tokenizer=KMERS)
    bases = batch_of(rows, rate=0.15 * 6 / 11)  # as many centres a token
    tokens_BT, hidden_BL = strategy.select(kmers)[:, 1:-1], strategy.select(bases)[:, 1:-1]
    holding_BT = sliding_window_view(hidden_BL, 6, axis=1).any(2)
    same_B = (tokens_BT == holding_BT).all(1)
    # A row of bases has five positions more, so now and then a centre more, the next one in the same order.
    assert same_B.mean() > 0.9
    assert (tokens_BT <= holding_BT).all()


@pytest.mark.parametrize("name", ["random_span", "genemask", "global_pmi", "loss_weighted"])
@given(seed=st.integers(0, 2**32), rate=st.sampled_from([0.05, 0.15, 0.4]))
@settings(max_examples=30, deadline=None)
def test_whole_k_mers_are_hidden(name, seed, rate):
    rows = random_rows(4, 120, seed)
    masked_BS = STRATEGIES.get(name).select(batch_of(rows, rate=rate, seed=seed))
    for mask_S in masked_BS[:, 1:-1]:
        steps = np.flatnonzero(np.diff(np.concatenate([[0], mask_S.astype(int), [0]])))
        for start, stop in steps.reshape(-1, 2):
            assert stop - start >= 6 or stop == 120  # a span that starts near the end is cut


@pytest.mark.parametrize("name", SPANS)
def test_share_of_masked_bases(name):
    share = STRATEGIES.get(name).select(batch_of(random_rows(400, 505)))[:, 1:-1].mean()
    assert 0.125 < share < 0.155


def test_hot_annealing_is_even_and_global_pmi_takes_the_best():
    batch = batch_of(random_rows(200, 505))
    best = STRATEGIES.get("global_pmi").select(batch)
    assert np.array_equal(Annealed(0.0).select(batch), best)

    def mean_rank(mask_BS: np.ndarray) -> float:
        starts_BS = mask_BS & ~np.roll(mask_BS, 1, 1)
        return float(batch.ranks_BS[starts_BS].mean())

    ranks = [mean_rank(Annealed(t).select(batch)) for t in (1e6, 1000.0, 100.0, 1.0)]
    assert ranks == sorted(ranks, reverse=True)
    assert abs(ranks[0] - 2050) < 60
    assert mean_rank(best) < 120
    of_best = LossWeighted((1.0,) + (0.0,) * 9).select(replace(batch, rate=0.05))
    assert mean_rank(of_best) < 250  # two spans that touch hide where the second starts


@pytest.mark.parametrize("k", [3, 8])
def test_the_table_says_how_many_bases(k):
    table = table_of(k)
    batch = batch_of(random_rows(3, 60), table)
    assert batch.word == k
    assert batch.worst_rank == 4**k
    assert STRATEGIES.get("random_span").select(batch).any()


@dataclass(frozen=True)
class Alphabetical(BaseTokenizer):
    """Single bases of a plugin, in another order."""

    def vocabulary(self) -> list[str]:
        return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"ACGTN"]


def test_bases_may_have_other_ids():
    batch, turned = batch_of(["ACGTTGCAAC"]), np.array([0, 1, 2, 3, 4, 5, 8, 6, 7, 9], np.int32)
    ranks_BS = Ranks.of(TABLE, Alphabetical()).look_up(turned[batch.ids_BS])
    assert np.array_equal(ranks_BS, batch.ranks_BS)


def test_without_a_table_spans_are_of_six_bases():
    rows = random_rows(20, 200)
    ids_BS = batch_of(rows).ids_BS
    samples_B = np.arange(20, dtype=np.uint64)
    masked = [
        mask_batch(ids_BS, samples_B, Ranks.of(table, BASES), named, rate=0.15, seed=0).positions_M
        for table in (None, TABLE)
        for named in [("random_span", STRATEGIES.get("random_span"))]
    ]
    assert np.array_equal(*masked)


def test_maskers_of_bases(small_genome):
    config = MaskingConfig(Component("loss_weighted", {}), small_genome.table)
    masker, table = Masker(config, BASES, steps=10, seed=0), PMITable.load(small_genome.table)
    batch = batch_of(random_rows(20, 200), table)
    masked = masker.mask(batch.ids_BS, batch.samples_B, 0)
    ranks_M = batch.ranks_BS.flat[masked.positions_M]
    assert masker.tenths is not None
    assert masker.tenths(masked).tolist() == np.minimum((ranks_M - 1) * 10 // 4096, 9).tolist()
    assert set(masked.labels_M) == {5, 6, 7, 8}
    with pytest.raises(CmgemsError, match=r"no rank by position in masking\.rank_by"):
        Masker(replace(config, rank_by="position"), BASES, steps=10, seed=0)


def test_a_target_rate_is_reached(small_genome):
    config = MaskingConfig(Component("fixed", {"masking": "genemask"}), small_genome.table, target_rate=0.2)
    masker, batch = Masker(config, BASES, steps=10, seed=0), batch_of(random_rows(100, 500))
    masker.calibrate([batch.ids_BS])
    assert len(masker.mask(batch.ids_BS, batch.samples_B, 0).positions_M) / 50_000 == pytest.approx(
        0.2, abs=0.01
    )


def test_figures_of_bases():
    batch = batch_of(random_rows(100, 300))
    named = "global_pmi", STRATEGIES.get("global_pmi")
    found = mask_stats(batch, *named)
    assert found.hidden_share == found.token_share  # a base is its token
    assert found.mean_rank is not None
    assert found.mean_rank == pytest.approx(batch.ranks_BS[named[1].select(batch)].mean())


def test_a_table_ranks_no_single_base():
    with pytest.raises(DataError, match="no rank of single bases"):
        TABLE.token_ranks(BASES)

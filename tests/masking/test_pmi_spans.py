"""`pmi_spans`: neighbouring tokens that NPMI binds are hidden together, whatever their length."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.config import Component
from cmgems.errors import CmgemsError
from cmgems.genome import encode
from cmgems.masking import Masker, MaskingConfig, PMISpans, Ranks, TokenBatch, Uniform
from cmgems.masking.random import STREAM_CENTRES
from cmgems.masking.stats import strategy_stats
from cmgems.pmi import PMITable
from cmgems.pmi.definitions import rank
from cmgems.tokenization import TOKENIZERS, BaseTokenizer, BpeTokenizer, KmerTokenizer, Tokenizer
from tests.masking import reference


def table_of(k: int, best: tuple[str, ...] = ()) -> PMITable:
    """A table in a random order, the k-mers ``best`` first."""
    kmers = ["".join(kmer) for kmer in itertools.product("ATCG", repeat=k)]
    scores = np.random.default_rng(k).random(4**k) + [kmer in best for kmer in kmers]
    return PMITable(k, "exact", False, np.ones(4**k, np.int64), scores, scores, rank(scores))


@cache
def ranks_of(tokenizer: Tokenizer, k: int) -> Ranks:
    return Ranks.of(table_of(k), tokenizer)


def batch_of(rows: list[str], ranks: Ranks, *, rate=0.15, seed=0) -> TokenBatch:
    codes_BL = np.full((len(rows), max(map(len, rows))), 255, np.uint8)
    for codes_L, row in zip(codes_BL, rows, strict=True):
        codes_L[: len(row)] = encode(row.encode())
    lengths_B = np.array([len(row) for row in rows], np.int32)
    ids_BS = ranks.tokenizer.encode_batch(codes_BL, lengths_B, codes_BL.shape[1] + 2)
    samples_B = np.arange(len(rows), dtype=np.uint64)
    return TokenBatch(ids_BS, samples_B, ranks, rate=rate, seed=seed)


@pytest.fixture(scope="module", params=["bpe", "base", "nt_v2"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    if request.param == "bpe":
        return BpeTokenizer(request.getfixturevalue("small_bpe"))
    return TOKENIZERS.get(request.param)


letters = st.text("ACGT", min_size=6, max_size=90) | st.text("ACGTN", min_size=6, max_size=90)


@given(
    k=st.sampled_from([5, 6]),
    rows=st.lists(letters, min_size=1, max_size=3),
    tightest=st.sampled_from([0.0, 0.2, 0.7, 1.0]),
    longest=st.sampled_from([1, 2, 6, 100]),
    rate=st.sampled_from([0.15, 0.6, 2.0]),
    seed=st.integers(0, 2**63),
)
@settings(max_examples=80, deadline=None)
def test_equals_the_straight_line_reference(tokenizer, k, rows, tightest, longest, rate, seed):
    if tokenizer.k > 1:
        k = tokenizer.k
    ranks = ranks_of(tokenizer, k)
    batch = batch_of(rows, ranks, rate=rate, seed=seed)
    rank_of = {"".join(kmer): ranks.of_kmers[n] for n, kmer in enumerate(itertools.product("ATCG", repeat=k))}
    strategy = PMISpans(tightest, longest)
    masked_BS, draws_BS = strategy.select(batch), batch.uniform(STREAM_CENTRES)
    vocabulary = tokenizer.vocabulary()
    for b, ids_S in enumerate(batch.ids_BS.tolist()):
        tokens = [vocabulary[i] if set(vocabulary[i]) <= set("ACGT") else "?" for i in ids_S]
        maskable, draws = batch.maskable_BS[b].tolist(), draws_BS[b].tolist()
        expected = reference.pmi_spans(tokens, maskable, rank_of, k, rate, draws, tightest, longest)
        assert set(np.flatnonzero(masked_BS[b])) == expected
        # A row knows nothing of its batch.
        alone = replace(batch, ids_BS=batch.ids_BS[b : b + 1], samples_B=batch.samples_B[b : b + 1])
        assert np.array_equal(strategy.select(alone)[0], masked_BS[b])


def random_rows(count: int, bases: int) -> list[str]:
    return ["".join(row) for row in np.random.default_rng(1).choice(list("ACGT"), (count, bases))]


def test_where_nothing_is_bound_it_masks_single_tokens(tokenizer):
    batch = batch_of(random_rows(20, 300), ranks_of(tokenizer, 6))
    assert np.array_equal(PMISpans(0.0).select(batch), Uniform().select(batch))
    assert np.array_equal(PMISpans(1.0, longest=1).select(batch), Uniform().select(batch))


@pytest.mark.parametrize("tightest", [0.25, 0.8])
def test_the_share_is_the_rate_whatever_the_spans(tokenizer, tightest):
    batch = batch_of(random_rows(400, 500), ranks_of(tokenizer, 6))
    masked_BS = PMISpans(tightest).select(batch)
    assert abs(masked_BS[batch.maskable_BS].mean() - 0.15) < 0.01


def test_a_bound_motif_is_hidden_whole_or_not_at_all():
    """Each border inside it lies in one of the best 6-mers, and none around it."""
    motif = "ACGTTGCA"
    row = ("C" * 12 + motif) * 20 + "C" * 12
    inside = tuple(row[start : start + 6] for start in range(12 - 2, 12 + 8 - 3))
    batch = batch_of([row] * 50, Ranks.of(table_of(6, inside), BaseTokenizer()), rate=0.3)
    masked_BL = PMISpans(len(inside) / 4096, longest=100).select(batch)[:, 1 : len(row) + 1]
    hidden = [masked_BL[:, start : start + 8] for start in range(12, len(row), 20) if start + 8 < len(row)]
    assert {tuple(mask) for mask_BL in hidden for mask in mask_BL.tolist()} == {(True,) * 8, (False,) * 8}


def test_a_masker_of_pieces(small_genome, small_bpe):
    tokenizer = BpeTokenizer(small_bpe)
    config = MaskingConfig(Component("fixed", {"masking": "pmi_spans"}), small_genome.table, target_rate=0.2)
    masker = Masker(config, tokenizer, steps=10, seed=0)
    batch = batch_of(random_rows(200, 400), masker.ranks)
    masker.calibrate([batch.ids_BS])
    masked = masker.mask(batch.ids_BS, batch.samples_B, 0)
    assert len(masked.positions_M) / batch.maskable_BS.sum() == pytest.approx(0.2, abs=0.01)


def test_overlapping_k_mers_are_refused(small_genome):
    config = MaskingConfig(Component("fixed", {"masking": "pmi_spans"}), small_genome.table)
    with pytest.raises(CmgemsError, match=r"for tokens that share no base in masking\.curriculum"):
        Masker(config, KmerTokenizer(6), steps=10, seed=0)
    table = PMITable.load(small_genome.table)
    with pytest.raises(CmgemsError, match="for tokens that share no base in strategies"):
        strategy_stats("ACGT" * 50, table, ["pmi_spans"])
    assert "pmi_spans" in [row.strategy for row in strategy_stats("ACGT" * 50, table, k=1)]
    assert "pmi_spans" not in [row.strategy for row in strategy_stats("ACGT" * 50, table)]


@pytest.mark.parametrize(("options", "what"), [({"tightest": 1.1}, "tightest"), ({"longest": 0}, "longest")])
def test_bad_options_are_refused(options, what):
    with pytest.raises(CmgemsError, match=f"`{what}` must be"):
        PMISpans(**options)

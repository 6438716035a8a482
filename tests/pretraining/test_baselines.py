from __future__ import annotations

import dataclasses
import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.config import Component
from cmgems.genome import GenomeStore, Split, decode
from cmgems.masking import STRATEGIES, MaskedBatch, Ranks, mask_batch
from cmgems.pretraining import FixedValidation, GenomeData, PretrainingData, measure_baselines
from cmgems.pretraining.baselines import (
    KEPT,
    Speller,
    guess_blindly,
    guess_by_chains,
    has_kmers,
    token_shares,
)
from cmgems.pretraining.chain_kernels import HIDDEN, guess_beside, guess_read_off
from cmgems.pretraining.chains import MOST_ORDER, Chains
from cmgems.runs.health import NEIGHBOURS, UNIGRAM, markov
from cmgems.tokenization import TOKENIZERS

OTHER = 0.01
KMER3, KMER6, NT = (TOKENIZERS.get(name) for name in ("kmer3", "kmer6", "nt_v2"))


def random_chain(order, seed=0, sharpness=0.5):
    """float64 (4^order, 4), and the share of each stretch of ``order`` bp in the long run."""
    rng = np.random.default_rng(seed)
    next_S4 = rng.dirichlet(np.full(4, sharpness), 4**order)
    shares_S = np.full(4**order, 4.0**-order)
    for _ in range(500):
        shares_S = (shares_S[:, None] * next_S4).reshape(4, -1, 4).sum(0).ravel() if order else shares_S
    return next_S4, shares_S


def draw(next_S4, rows, bases, seed=0):
    """uint8 (rows, bases) sequences of the chain, past its beginning."""
    rng, states = np.random.default_rng(seed), len(next_S4)
    sums_S4, state_B = next_S4.cumsum(1), np.zeros(rows, np.int64)
    codes_BL = np.empty((rows, bases + 50), np.uint8)
    for t in range(bases + 50):
        codes_BL[:, t] = (rng.random(rows)[:, None] > sums_S4[state_B]).sum(1).clip(0, 3)
        state_B = (4 * state_B + codes_BL[:, t]) % states
    return codes_BL[:, 50:]


def entropy(shares):
    return float(-(shares * np.log(shares)).sum())


def chain_of(order, bases=None, sequences=None):
    rng = np.random.default_rng(order)
    codes_BL = (
        rng.choice(4, (20, 300), p=[0.4, 0.3, 0.2, 0.1]).astype(np.uint8) if sequences is None else sequences
    )
    chains = Chains.fit(codes_BL, np.full(len(codes_BL), codes_BL.shape[1], np.int32))
    bases = order if bases is None else bases
    return chains.transitions(order, bases), chains.start(order, bases)


# --- the chains


@pytest.mark.parametrize("order", range(MOST_ORDER + 1))
def test_a_fitted_chain_approaches_the_one_that_made_the_sequences(order):
    next_S4, _ = random_chain(order, sharpness=2)
    codes_BL = draw(next_S4, 400, 2000)
    fitted = Chains.fit(codes_BL, np.full(400, 2000, np.int32)).by_order[order]
    assert np.abs(fitted - next_S4).mean() < 0.02


def test_an_order_that_has_seen_nothing_is_the_one_below():
    chains = Chains.fit(np.zeros((1, 400), np.uint8), np.array([400], np.int32))
    assert chains.by_order[3][63] == pytest.approx(chains.by_order[0][0])
    assert all(np.allclose(table.sum(1), 1) for table in chains.by_order)
    assert chains.start(2, 4).sum() == pytest.approx(1)


def test_what_is_left_of_a_row_is_not_counted():
    codes = np.array([[0, 1, 2, 3, 0, 1, 2, 3], [0, 1, 2, 3, 0, 1, 255, 255]], np.uint8)
    short = Chains.fit(codes, np.array([6, 6], np.int32))
    assert np.array_equal(short.by_order[1], Chains.fit(codes[:, :6], np.array([6, 6], np.int32)).by_order[1])


# --- the guesses, against all sequences there are


@functools.cache
def likelihoods(order):
    """Every sequence of 6 bp, int64 (N, 6), and its probability by the chain of ``order``."""
    sequences_N6 = np.array(list(itertools.product(range(4), repeat=6)))
    next_S4, start_S = chain_of(order)
    state_NS = np.tile(np.arange(len(start_S)), (len(sequences_N6), 1))
    p_NS = np.tile(start_S, (len(sequences_N6), 1))
    for base_N in sequences_N6.T:
        p_NS = p_NS * next_S4[state_NS, base_N[:, None]]
        state_NS = (4 * state_NS + base_N[:, None]) % len(start_S)
    return sequences_N6, p_NS.sum(1)


def numbers(bases_NK):
    """Base-4 numbers of rows."""
    return bases_NK @ 4 ** np.arange(bases_NK.shape[1])[::-1]


def number(bases):
    return int("".join(map(str, bases)), 4)


def expected(weights, truth):
    weights = np.array(weights)
    return math.log(weights.sum() / weights[truth]), weights.argmax() == truth


@settings(max_examples=50, deadline=None)
@given(
    order=st.integers(1, 3),
    codes=st.lists(st.sampled_from([0, 1, 2, 3, HIDDEN, HIDDEN]), min_size=6, max_size=6),
    start=st.integers(0, 3),
    length=st.integers(1, 3),
    shown=st.integers(-1, 3),
    truth=st.integers(0, 3),
)
def test_a_guess_from_both_sides_is_bayes_rule(order, codes, start, length, shown, truth):
    sequences_N6, p_N = likelihoods(order)
    beside = [i for i in range(6) if not start <= i < start + length and codes[i] != HIDDEN]
    fits_N = (sequences_N6[:, beside] == np.array(codes)[beside]).all(1)
    token_N = numbers(sequences_N6[:, start : start + length])
    seen_N = 1 if shown < 0 else KEPT * (token_N == shown) + OTHER
    weights = np.bincount(token_N, p_N * fits_N * seen_N, 4**length)
    visible_L = np.array(codes, np.uint8)
    arrays = [np.array([value]) for value in (start, length, truth, shown)]
    nats_T, right_T = guess_beside(visible_L, *arrays, *chain_of(order), KEPT, OTHER)
    loss, right = expected(weights, truth)
    assert nats_T[0] == pytest.approx(loss)
    assert right_T[0] == right


@settings(max_examples=50, deadline=None)
@given(
    order=st.integers(1, 3),
    true=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    masked=st.lists(st.booleans(), min_size=5, max_size=5),
    shown=st.lists(st.integers(-1, 15), min_size=5, max_size=5),
)
def test_reading_off_is_bayes_rule(order, true, masked, shown):
    """2-mers of 6 bp."""
    masked = [*masked[:4], True]
    visible = np.full(6, HIDDEN, np.uint8)
    for i in (i for i in range(5) if not masked[i]):
        visible[i : i + 2] = true[i : i + 2]
    evidence = [seen if hide else -1 for seen, hide in zip(shown, masked, strict=True)]
    sequences_N6, p_N = likelihoods(order)
    known = visible != HIDDEN
    p_N = p_N * (sequences_N6[:, known] == visible[known]).all(1)
    token_5N = [numbers(sequences_N6[:, i : i + 2]) for i in range(5)]
    for token_N, seen in zip(token_5N, evidence, strict=True):
        p_N = p_N * (1 if seen < 0 else KEPT * (token_N == seen) + OTHER)
    weights = [np.bincount(token_N, p_N, 16) for token_N in token_5N]
    starts_T = np.flatnonzero(masked)
    truths_T = np.array([number(true[i : i + 2]) for i in starts_T])
    nats_T, right_T = guess_read_off(
        visible, starts_T, truths_T, np.array([-1, *evidence]), 2, *chain_of(order), KEPT, OTHER
    )
    for i, truth, nats, right in zip(starts_T, truths_T, nats_T, right_T, strict=True):
        assert (nats, right) == (
            pytest.approx(expected(weights[i], truth)[0], abs=1e-9),
            expected(weights[i], truth)[1],
        )


# --- what they come to


def test_single_bases_of_a_known_chain_cost_its_entropy():
    next_44, shares_4 = random_chain(1, sharpness=1)
    # The entropy of a base between two others: of three in a row, less that of the outer two.
    three = shares_4[:, None, None] * next_44[:, :, None] * next_44[None]
    outer, given = three.sum(1), entropy(three)
    codes_BL = draw(next_44, 300, 1500, seed=1)
    places = np.arange(10, 1490, 5)
    chain = chain_of(1, sequences=draw(next_44, 300, 1500, seed=2))
    found = []
    for codes_L in codes_BL:
        ones, none = np.ones(len(places), np.int64), np.full(len(places), -1)
        hidden_L = codes_L.copy()
        hidden_L[places] = HIDDEN
        truths = codes_L[places].astype(np.int64)
        found.append(guess_beside(hidden_L, places, ones, truths, none, *chain, KEPT, OTHER)[0].mean())
    assert np.mean(found) == pytest.approx(given - entropy(outer), abs=0.01)


@pytest.mark.parametrize("order", [2, 4])
def test_the_loss_of_tokens_falls_to_the_entropy_of_the_order_that_made_them(order):
    next_S4, _ = random_chain(order, sharpness=0.7)
    chains = Chains.fit(draw(next_S4, 300, 1000, seed=1), np.full(300, 1000, np.int32))
    codes_BL = draw(next_S4, 60, 600, seed=2)
    batch = masked(codes_BL, NT, "uniform")
    found = guess_by_chains(chains, [batch], NT)
    losses = [found[markov(n)].loss for n in range(1, MOST_ORDER + 1)]
    assert losses[:order] == sorted(losses[:order], reverse=True)
    assert losses[order - 2] > losses[order - 1] + 0.1
    assert losses[order:] == pytest.approx([losses[order - 1]] * (MOST_ORDER - order), abs=0.08)


def masked(codes_BL, tokenizer, strategy, rate=0.15):
    rows, bases = codes_BL.shape
    ids_BS = tokenizer.encode_batch(codes_BL, np.full(rows, bases, np.int32), tokenizer.token_count(bases))
    named = strategy, STRATEGIES.get(strategy)
    samples_B = np.arange(rows, dtype=np.uint64)
    return mask_batch(ids_BS, samples_B, Ranks.of(None, tokenizer), named, rate=rate, seed=1)


def test_neighbours_that_reveal_all_are_read_off_exactly():
    """Single 6-mers are masked: the five bases from either side leave none of the six unknown."""
    codes_BL = np.random.default_rng(0).integers(0, 4, (30, 100)).astype(np.uint8)
    batch = masked(codes_BL, KMER6, "uniform", rate=0.05)
    row_M, column_M = np.divmod(batch.positions_M, batch.ids_BS.shape[1])
    near = [(row_M == r) & (abs(column_M - c) < 6) for r, c in zip(row_M, column_M, strict=True)]
    alone = np.sum(near, axis=1) == 1
    inner = alone & (column_M > 6) & (column_M < 90)
    ids_BS = batch.ids_BS.copy()
    ids_BS.flat[batch.positions_M[~inner]] = batch.labels_M[~inner]
    kept = dataclasses.replace(
        batch, ids_BS=ids_BS, positions_M=batch.positions_M[inner], labels_M=batch.labels_M[inner]
    )
    assert inner.sum() > 30
    chains = Chains.fit(codes_BL, np.full(30, 100, np.int32))
    found = guess_by_chains(chains, [kept], KMER6)
    assert (found[NEIGHBOURS].loss, found[NEIGHBOURS].accuracy) == (pytest.approx(0, abs=1e-9), 1)
    assert found[markov(5)].accuracy < 0.3


@pytest.mark.parametrize("tokenizer", [KMER3, KMER6, NT])
def test_rows_spell_what_was_masked(tokenizer):
    codes_BL = np.random.default_rng(0).integers(0, 4, (6, 61)).astype(np.uint8)
    batch = masked(codes_BL, tokenizer, "random_span", rate=0.3)
    vocabulary = tokenizer.vocabulary()
    rows = list(Speller.of(tokenizer).rows(batch))
    labels = iter(batch.labels_M)
    for row, codes_L in zip(rows, codes_BL, strict=True):
        seen = row.visible_L != HIDDEN
        assert np.array_equal(row.visible_L[seen], codes_L[seen])
        for start, length, truth in zip(row.starts_M, row.lengths_M, row.truths_M, strict=True):
            assert decode(codes_L[start : start + length]) == vocabulary[next(labels)]
            assert number(codes_L[start : start + length]) == truth
    assert next(labels, None) is None


def test_blind_guesses_know_the_frequencies_and_what_is_shown():
    """Of ids 5 and 6, three of four are 5. A kept token is believed, since others are one in 64."""
    ids = [KMER3.mask_id, KMER3.mask_id, 6, 5]
    batch = MaskedBatch(
        np.array([ids], np.int32), np.ones((1, 4), bool), np.arange(4), np.array([5, 6, 6, 6]), ""
    )
    shares_V = np.zeros(KMER3.vocab_size)
    shares_V[[5, 6]] = 0.75, 0.25
    found = guess_blindly(shares_V, [batch], KMER3)
    other = 0.1 / 64
    believed = lambda p: p * (KEPT + other) / (p * KEPT + other)  # noqa: E731
    likely = [0.75, 0.25, believed(0.25), 1 - believed(0.75)]
    assert found.loss == pytest.approx(-np.log(likely).mean())
    assert found.accuracy == 0.5


def test_tokens_not_met_have_a_share():
    shares_V = token_shares([np.array([[2, 5, 5, 3, 0]])], KMER3)
    assert shares_V.sum() == pytest.approx(1)
    assert shares_V[5] == 3 * shares_V[6]
    assert not shares_V[:5].any()


def data_of(small_genome, tokenizer):
    config = GenomeData(
        small_genome.store, Component("tiled", {"max_bp": 100}), Split(fraction=0.1, block_bp=2000)
    )
    return PretrainingData(config, tokenizer, 512, seed=3)


@pytest.mark.parametrize(
    ("name", "chains", "neighbours"),
    [("kmer6", True, True), ("kmer3", True, True), ("nt_v1", True, False), ("bpe", False, False)],
)
def test_what_applies_to_which_tokens(small_genome, pieces, name, chains, neighbours):
    data = data_of(small_genome, pieces if name == "bpe" else TOKENIZERS.get(name))
    batches = data.validation_batches(FixedValidation(sequences=20))
    found = measure_baselines(data, batches)
    assert list(found) == [UNIGRAM, *map(markov, range(1, 6)), NEIGHBOURS]
    assert found[UNIGRAM]
    assert {bool(found[markov(n)]) for n in range(1, 6)} == {chains}
    assert bool(found[NEIGHBOURS]) == neighbours
    if neighbours:
        assert found[NEIGHBOURS].loss < found[markov(5)].loss - 1
    assert found == measure_baselines(data, batches)


def test_tokens_of_other_letters_have_no_chains():
    class Methylated(type(KMER3)):
        def vocabulary(self):
            return [token.replace("CG", "MG") for token in super().vocabulary()]

    assert has_kmers(KMER3)
    assert not has_kmers(Methylated(3))


def test_chains_are_fitted_on_training_windows_only(small_genome, monkeypatch):
    from cmgems.pretraining import baselines

    data = data_of(small_genome, KMER6)
    codes_BL, lengths_B = baselines.training_bases(data)
    assert lengths_B.sum() == data.epoch_windows(0)[1].sum()
    monkeypatch.setattr(baselines, "FIT_BASES", 1000)
    assert 1000 <= baselines.training_bases(data)[1].sum() < 1200
    genome = GenomeStore.open(small_genome.store).codes.copy()
    for start, end in data.validation_runs:
        genome[start:end] = 255
    spelt = decode(genome)
    assert all(decode(codes[:n]) in spelt for codes, n in zip(codes_BL, lengths_B, strict=True))


def test_a_large_validation_is_sampled(small_genome, monkeypatch):
    from cmgems.pretraining import baselines

    data = data_of(small_genome, KMER6)
    batches = data.validation_batches(FixedValidation(sequences=40))
    tokens = sum(len(b.labels_M) for b in batches)
    half = measure_baselines(data, batches[::2])
    monkeypatch.setattr(baselines, "MOST_TOKENS", tokens // 2 + 1)
    assert measure_baselines(data, batches) == half

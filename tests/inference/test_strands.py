"""Answers of both strands: the mean of the two, and the same whichever strand was given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.errors import CmgemsError
from cmgems.genome import decode, encode, reverse_complement
from cmgems.inference import NamedSequence
from cmgems.inference.strands import mean_of_strands, on_both_strands

LONG = "ACGTTGCAACGGATTCCAGT" * 5
SEQUENCES = [LONG, "acgtnACGTTGCA", "GGGCCATTTARC", LONG[7:60]]
PALINDROME = "ACGGATCCATATGGATCCGT"
HEADS = ["classification", "multi_label", "regression", "token_classification"]
TOKENIZERS = ["kmer3", "kmer6", "nt_v1", "pieces"]


def turned(bases):
    return decode(reverse_complement(encode(bases.encode())))


def same(ours, theirs):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(ours, theirs, strict=True))


@pytest.fixture(params=TOKENIZERS)
def any_model(model, request, pieces):
    """Makes a model of any tokens, with any head."""
    tokenizer = pieces if request.param == "pieces" else request.param
    return lambda head, *labels: model(head, *labels, tokenizer=tokenizer)


@pytest.mark.parametrize("head", HEADS)
def test_predictions(any_model, head):
    loaded = any_model(head, "a", "b", "c")
    both = loaded.predict(SEQUENCES, both_strands=True)
    own, other = loaded.predict(SEQUENCES), loaded.predict(map(turned, SEQUENCES))
    of_bases = head == "token_classification"
    for found, one, two in zip(both, own, other, strict=True):
        mean = mean_of_strands(one.values, two.values[::-1] if of_bases else two.values)
        np.testing.assert_allclose(found.values, mean, atol=1e-5)
        assert (found.name, found.bases) == (one.name, one.bases)
        assert found.values.dtype == np.float32
    again = loaded.predict(map(turned, SEQUENCES), both_strands=True)
    assert same([p.values for p in both], [p.values[::-1] if of_bases else p.values for p in again])
    assert [p.label for p in both] == [";".join(p.labels[::-1]) if of_bases else p.label for p in again]


@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_vectors(any_model, pool):
    loaded = any_model("masked_lm")
    both = loaded.embed(SEQUENCES, pool=pool, both_strands=True)
    own, other = (loaded.embed(s, pool=pool) for s in (SEQUENCES, map(turned, SEQUENCES)))
    np.testing.assert_allclose(both, (own + other) / 2, atol=1e-5)
    assert both.dtype == np.float32
    assert np.array_equal(both, loaded.embed(map(turned, SEQUENCES), pool=pool, both_strands=True))


@pytest.mark.parametrize("tokenizer", ["kmer3", "kmer6", "nt_v1"])
def test_scores(model, tokenizer):
    loaded = model(tokenizer=tokenizer)
    both = loaded.score(SEQUENCES, both_strands=True)
    own, other = loaded.score(SEQUENCES), loaded.score(map(turned, SEQUENCES))
    for found, one, two in zip(both, own, other, strict=True):
        mean = mean_of_strands(one.probabilities, two.probabilities[::-1, ::-1])  # A, C, G, T
        np.testing.assert_allclose(found.probabilities, mean, atol=1e-6)
        known_L = ~np.isnan(found.log_likelihoods)
        of_base_L = found.probabilities[
            known_L, ["ACGT".index(b) for b in np.array(list(found.bases))[known_L]]
        ]
        np.testing.assert_allclose(found.log_likelihoods[known_L], np.log(of_base_L))
    again = loaded.score(map(turned, SEQUENCES), both_strands=True)
    assert same([s.probabilities for s in both], [s.probabilities[::-1, ::-1] for s in again])
    assert same([s.log_likelihoods for s in both], [s.log_likelihoods[::-1] for s in again])


def test_a_palindrome_needs_one_strand_only(model):
    """Its other strand is itself: probabilities stay, those of its bases become symmetric."""
    assert turned(PALINDROME) == PALINDROME
    classifier, lm = model("classification", "a", "b"), model()
    (found,), (one,) = (classifier.predict(PALINDROME, both_strands=both) for both in (True, False))
    np.testing.assert_allclose(found.values, one.values, atol=1e-6)
    np.testing.assert_allclose(lm.embed(PALINDROME, both_strands=True), lm.embed(PALINDROME), atol=1e-5)
    (score,) = lm.score(PALINDROME, both_strands=True)
    assert np.array_equal(score.probabilities, score.probabilities[::-1, ::-1])
    assert np.array_equal(score.log_likelihoods, score.log_likelihoods[::-1])


@given(st.lists(st.text("ACGTN", min_size=1, max_size=20), max_size=5))
def test_every_strand_is_read_once_and_in_the_same_order_whichever_was_given(texts):
    def answer(sequences):
        for sequence in sequences:
            read.append(sequence.bases)
            yield sequence, sequence.codes.astype(float)

    orders = []
    for given_texts in (texts, list(map(turned, texts))):
        read: list[str] = []
        named = [NamedSequence(str(n), encode(text.encode()), "") for n, text in enumerate(given_texts)]
        found = list(on_both_strands(named, answer, np.flipud))
        assert [sequence for sequence, _ in found] == named
        for sequence, mean_L in found:
            across_L = np.where(sequence.codes < 4, sequence.codes ^ 1, sequence.codes).astype(float)
            assert np.array_equal(mean_L, (sequence.codes + across_L) / 2)
        orders.append(read)
    assert orders[0] == orders[1]
    assert len(orders[0]) == 2 * len(texts)


def test_a_strand_without_an_answer_leaves_it_to_the_other():
    own, other = np.array([1.0, np.nan, np.nan, 2.0]), np.array([3.0, 5.0, np.nan, np.nan])
    assert np.array_equal(mean_of_strands(own, other), [2, 5, np.nan, 2], equal_nan=True)


def test_tokens_have_no_mean_of_both_strands(model):
    with pytest.raises(CmgemsError, match="no vectors of tokens of both strands"):
        next(model().iter_embed(LONG, pool="none", both_strands=True))


def test_turned_twice_is_the_sequence_itself():
    sequence = NamedSequence("x", encode(b"ACGTTRN"), "here")
    other = sequence.other_strand()
    assert (other.bases, other.name, other.where, other.turned) == ("NNAACGT", "x", "here", True)
    assert other.other_strand().bases == sequence.bases
    assert not other.other_strand().turned

"""Probabilities of single bases: what is hidden, the formula, and long sequences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.genome import BASES, decode, encode
from cmgems.inference import Cutter, Engine, NamedSequence, base_probabilities, log_likelihoods
from cmgems.inference.pseudo_likelihood import masked_rows
from cmgems.tokenization import TOKENIZERS, KmerTokenizer, TokenMap

REGISTERED = [name for name in TOKENIZERS.names() if TOKENIZERS.get(name).k]


def probabilities(engine, codes, *advance):
    ((_, found_L4),) = base_probabilities(engine, [NamedSequence("s", codes, "s")], *advance)
    return found_L4


def rows_of(tokens, sequence):
    codes = encode(sequence.encode())
    ids_S = Cutter(tokens, 200).encode(codes)
    return list(masked_rows(tokens, ids_S, 0, 0, len(codes)))


@settings(deadline=None, max_examples=30)
@given(sequence=st.text("ACGT", min_size=14, max_size=40), k=st.integers(3, 6))
def test_with_overlapping_tokens_exactly_the_base_is_hidden(sequence, k):
    tokens = TokenMap(KmerTokenizer(k))
    rows = rows_of(tokens, sequence)
    assert [row.bases_E[0] for row in rows] == list(range(len(sequence)))
    for base, row in enumerate(rows):
        assert (row.bases_E == base).all()
        seen = tokens.tokenizer.decode(row.ids_S)
        assert seen[base] == "N"
        # Nearer to an end than k, the bases between it and the end lie in masked tokens only.
        left, right = (0 if base < k else base), (len(sequence) if base >= len(sequence) - k else base + 1)
        assert seen == sequence[:left] + "N" * (right - left) + sequence[right:]
        assert len(row.positions_E) == min(k, base + 1, len(sequence) - base, len(sequence) - k + 1)


@settings(deadline=None, max_examples=15)
@given(sequence=st.text("ACGTN", min_size=8, max_size=40))
@pytest.mark.parametrize("name", REGISTERED)
def test_no_visible_token_holds_the_base_and_the_candidates_agree_elsewhere(name, sequence):
    tokens = TokenMap(TOKENIZERS.get(name))
    for row in rows_of(tokens, sequence):
        body = tokens.body(row.ids_S)
        masked = row.ids_S[body] == tokens.tokenizer.mask_id
        plain = Cutter(tokens, 200).encode(encode(sequence.encode()))
        spans = dict(zip(body.tolist(), tokens.spans(plain[body]).tolist(), strict=True))
        for position, base, candidates in zip(row.positions_E, row.bases_E, row.candidates_E4, strict=True):
            assert not any(spans[p][0] <= base < spans[p][1] for p in body[~masked].tolist())
            start, end = spans[int(position)]
            for code, i in enumerate(candidates):
                changed = sequence[start:base] + BASES[code] + sequence[base + 1 : end]
                assert tokens.vocabulary[i] == changed


def test_bases_without_a_known_token_are_not_asked():
    tokens = TokenMap(KmerTokenizer(3))
    asked = [row.bases_E[0] for row in rows_of(tokens, "ACGTNACNACGT")]
    assert asked == [0, 1, 2, 3, 8, 9, 10, 11]  # the AC between the two N is in no clean 3-mer
    row = rows_of(tokens, "ACGTNACNACGT")[3]
    assert row.positions_E.tolist() == [2]  # CGT; GTN and TNA are masked, but cannot be asked
    assert (row.ids_S[2:5] == tokens.tokenizer.mask_id).all()


def test_the_mean_over_the_tokens_by_hand(known_lm, compute):
    by_offset = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.4, 0.1]])
    tokens = TokenMap(KmerTokenizer(3))
    engine = Engine(known_lm(tokens.tokenizer, by_offset), Cutter(tokens, 50), compute, 40)
    found = probabilities(engine, encode(b"ACGTAC"))
    # Base 0 is only in the token that starts with it, base 1 second and first, ...
    expected = [by_offset[[0]], by_offset[[1, 0]], by_offset, by_offset, by_offset[[2, 1]], by_offset[[2]]]
    assert found == pytest.approx(np.array([rows.mean(0) for rows in expected]), abs=1e-6)
    scores = log_likelihoods(found, encode(b"ACGTAC"))
    assert scores[0] == pytest.approx(np.log(0.7), abs=1e-6)  # A
    assert scores[1] == pytest.approx(np.log((0.3 + 0.1) / 2), abs=1e-6)  # C
    assert scores[2] == pytest.approx(np.log((0.1 + 0.4 + 0.1) / 3), abs=1e-6)  # G


def test_one_masked_token_by_hand(known_lm, compute, side_by_side):
    by_offset = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.4, 0.1]])
    tokens = TokenMap(side_by_side)
    engine = Engine(known_lm(side_by_side, by_offset), Cutter(tokens, 50), compute, 40)
    found = probabilities(engine, encode(b"ACGTN"))
    # ACG is one token; T stands by itself, at offset 0; N is not asked.
    assert found[:4] == pytest.approx(by_offset[[0, 1, 2, 0]], abs=1e-6)
    assert np.isnan(found[4]).all()
    assert np.isnan(log_likelihoods(found, encode(b"ACGTN"))[4])


def test_probabilities_sum_to_one_whatever_the_batch(local_lm, whole, compute, named):
    one = probabilities(Engine(local_lm, whole, compute, 1), named[2].codes)
    many = probabilities(Engine(local_lm, whole, compute, 37), named[2].codes)
    known = ~np.isnan(one[:, 0])
    assert known.sum() >= len(one) - 6 - 2 * whole.tokens.tokenizer.k
    assert one[known].sum(1) == pytest.approx(1)
    assert many == pytest.approx(one, abs=1e-6, nan_ok=True)


def test_windows_change_nothing_for_a_model_that_sees_no_further(local_lm, whole, short, compute, named):
    for sequence in named:
        unsplit = probabilities(Engine(local_lm, whole, compute, 64), sequence.codes)
        split = probabilities(Engine(local_lm, short, compute, 64), sequence.codes)
        assert split == pytest.approx(unsplit, abs=1e-5, nan_ok=True)


def test_progress_counts_every_base_once(local_lm, short, compute, named):
    done = []
    probabilities(Engine(local_lm, short, compute, 5), named[2].codes, done.append)
    assert sum(done) == len(named[2].codes)


def test_a_model_that_reads_neighbours_finds_nothing_left_to_read(compute):
    class Reader(torch.nn.Module):
        """Copies the base from any visible token that holds it: perfect, unless all are masked."""

        def forward(self, ids_BS, attention_BS=None, positions_M=None):
            logits_MV = torch.zeros(len(positions_M), tokens.tokenizer.vocab_size)
            for m, position in enumerate(positions_M.tolist()):
                b, s = divmod(position, ids_BS.shape[1])
                text = tokens.tokenizer.decode(ids_BS[b].numpy())[s - 1 : s + 2]
                for i, token in enumerate(tokens.vocabulary[5:], start=5):
                    logits_MV[m, i] = 9 * sum(a == c for a, c in zip(text, token, strict=True))
            return logits_MV

    tokens = TokenMap(KmerTokenizer(3))
    codes = np.random.default_rng(1).integers(0, 4, 20).astype(np.uint8)
    found = probabilities(Engine(Reader(), Cutter(tokens, 50), compute), codes)
    assert found == pytest.approx(np.full((20, 4), 0.25)), decode(codes)

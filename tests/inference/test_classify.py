"""Logits of long sequences: the mean of their windows', or of each base from the window it belongs to."""

import numpy as np
import pytest
import torch
from torch import nn

from cmgems.genome import encode
from cmgems.inference import Cutter, Engine, NamedSequence, base_logits, class_logits
from cmgems.tokenization import KmerTokenizer, TokenMap


class Counter(nn.Module):
    """Logits: the number of tokens, and the mean id."""

    def forward(self, ids_BS, attention_BS=None):
        real = torch.ones_like(ids_BS) if attention_BS is None else attention_BS.long()
        return torch.stack([real.sum(1).float(), (ids_BS * real).sum(1) / real.sum(1)], dim=1)


@pytest.mark.parametrize("batch_tokens", [1, 60, None])
def test_the_mean_of_the_windows_in_the_order_of_the_sequences(short, compute, named, batch_tokens):
    done = []
    engine = Engine(Counter(), short, compute, batch_tokens)
    logits_NC = np.stack([row_C for _, row_C in class_logits(engine, named, done.append)])
    assert logits_NC.dtype == np.float32
    for sequence, row_C in zip(named, logits_NC, strict=True):
        rows = [piece.ids_S for piece in short.pieces(0, sequence.codes)]
        expected = [np.mean([len(r) for r in rows]), np.mean([r.mean() for r in rows])]
        assert row_C == pytest.approx(expected, rel=1e-5)
    assert sum(done) == sum(len(s.codes) for s in named)


def test_one_window_is_the_model_itself(whole, compute, named):
    logits_NC = np.stack([row_C for _, row_C in class_logits(Engine(Counter(), whole, compute, 8), named)])
    ids_1S = torch.from_numpy(whole.encode(named[0].codes)).long()[None]
    assert torch.equal(torch.from_numpy(logits_NC[:1]), Counter()(ids_1S))


class Echo(nn.Module):
    """Logits of a token: its id, and its position in the row."""

    def forward(self, ids_BS, attention_BS=None):
        return torch.stack([ids_BS, torch.arange(ids_BS.shape[1]).expand_as(ids_BS)], -1).float()


def ids_of_bases(tokens, codes_L):
    """The id that speaks for each base if the sequence is one row: the literal rule."""
    ids_T = tokens.tokenizer.encode_batch(codes_L[None], np.array([len(codes_L)]), 1000)[0]
    ids_T = ids_T[tokens.body(ids_T)]
    if tokens.overlapping:
        ids_L = [ids_T[min(max(base - 1, 0), len(ids_T) - 1)] for base in range(len(codes_L))]
    else:
        ids_L = np.repeat(ids_T, tokens.lengths[ids_T])
    return np.array(ids_L)


@pytest.mark.parametrize("batch_tokens", [1, 60, None])
@pytest.mark.parametrize("cutter", ["whole", "short"])
def test_every_base_gets_the_token_that_speaks_for_it(request, tokens, compute, named, batch_tokens, cutter):
    cutter, done = request.getfixturevalue(cutter), []
    engine = Engine(Echo(), cutter, compute, batch_tokens)
    found = [logits_LC for _, logits_LC in base_logits(engine, named, done.append)]
    assert [len(logits_LC) for logits_LC in found] == [len(s.codes) for s in named]
    for sequence, logits_LC in zip(named, found, strict=True):
        assert logits_LC[:, 0].tolist() == ids_of_bases(tokens, sequence.codes).tolist()
    assert sum(done) == sum(len(s.codes) for s in named)


def test_a_base_is_answered_by_the_window_it_belongs_to(short, compute, named):
    length = 198  # a multiple of the tokens' lengths, for windows of one length
    sequence = NamedSequence("s", named[0].codes[:length], "s")
    ((_, logits_LC),) = base_logits(Engine(Echo(), short, compute, 4), [sequence])
    for window in short.windows(length):
        # Positions count up within the part of a window and start anew in the next.
        steps = np.diff(logits_LC[window.own_start : window.own_end, 1])
        assert ((steps == 0) | (steps == 1)).all()
        if window.end < length:
            assert logits_LC[window.own_end, 1] < logits_LC[window.own_end - 1, 1]


def test_pieces_of_any_length(pieces, compute):
    cutter = Cutter(TokenMap(pieces), 10)
    sequence = NamedSequence("s", encode(b"ACGTACNTTGACGTTTTTACGT" * 4), "s")
    ((_, logits_LC),) = base_logits(Engine(Echo(), cutter, compute, 4), [sequence])
    vocabulary = pieces.vocabulary()
    for base, index in zip(sequence.bases, logits_LC[:, 0], strict=True):
        token = vocabulary[int(index)]
        assert token == "[UNK]" if base == "N" else base in token


def test_windows_of_nothing_but_n_have_no_answer(compute):
    cutter = Cutter(TokenMap(KmerTokenizer(3)), 12)
    sequence = NamedSequence("s", encode(b"ACGTACGTAC" + b"N" * 60 + b"ACGTACGTAC"), "s")
    ((_, logits_LC),) = base_logits(Engine(Echo(), cutter, compute, 4), [sequence])
    missing = np.isnan(logits_LC).all(1)
    assert missing[30:50].all()
    assert not missing[:10].any()
    assert not missing[-10:].any()

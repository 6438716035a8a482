"""Attention of [CLS] over bases: hand-made probabilities, every family, windows."""

import numpy as np
import pytest
import torch

from cmgems.errors import CmgemsError
from cmgems.genome import encode
from cmgems.inference import AttentionReader, Cutter, Engine, NamedSequence
from cmgems.models.attention import NO_TRACE, Encoder
from cmgems.tokenization import KmerTokenizer, TokenMap


class HandMade(Encoder):
    """Two layers of two heads; every token attends to a token as much as its weight says."""

    def __init__(self, weights_NHV):
        super().__init__()
        self.weights_NHV = torch.as_tensor(weights_NHV)

    def forward(self, ids_BS, layout=None, trace=NO_TRACE):
        for weights_HV in self.weights_NHV:
            shares_BHS = weights_HV[:, ids_BS].transpose(0, 1)
            if layout is not None:
                shares_BHS = shares_BHS * layout[:, None]
            shares_BHS = shares_BHS / shares_BHS.sum(-1, keepdim=True)
            if trace.attentions is not None:
                trace.attentions.append(shares_BHS[:, :, None].expand(-1, -1, ids_BS.shape[1], -1))
        return torch.zeros(*ids_BS.shape, 4)


@pytest.fixture
def hand_made():
    rng = np.random.default_rng(0)
    return HandMade(rng.uniform(0.1, 1, (2, 2, 69)))


class Headed(torch.nn.Module):
    """A model of nothing but an encoder."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder


def reader_of(encoder, compute, positions=200, batch_tokens=99, **options):
    cutter = Cutter(TokenMap(KmerTokenizer(3)), positions)
    return AttentionReader(Engine(Headed(encoder), cutter, compute, batch_tokens), **options)


def whole(sequence, name="s"):
    return NamedSequence(name, encode(sequence.encode()), name)


@pytest.mark.parametrize(("layer", "at"), [(1, 0), (2, 1), (-1, 1), (-2, 0)])
@pytest.mark.parametrize("head", [None, 1, 2])
def test_layers_and_heads_by_hand(hand_made, compute, layer, at, head):
    reader = reader_of(hand_made, compute, layer=layer, head=head)
    reader.check()
    ((_, found),) = reader.bases([whole("ACGTA")])
    ids = KmerTokenizer(3).encode("ACGTA")  # [CLS] ACG CGT GTA [SEP]
    shares_HS = hand_made.weights_NHV[at][:, ids].numpy()
    shares_HS /= shares_HS.sum(1, keepdims=True)
    a, b, c = (shares_HS.mean(0) if head is None else shares_HS[head - 1])[1:4]
    expected = np.array([a, (a + b) / 2, (a + b + c) / 3, (b + c) / 2, c]) / np.mean([a, b, c])
    assert found == pytest.approx(expected)


def test_even_attention_is_one_everywhere_however_long(compute):
    encoder = HandMade(np.ones((1, 2, 69)))
    rng = np.random.default_rng(1)
    sequences = [whole("".join(rng.choice(list("ACGT"), n)), str(n)) for n in (8, 30, 90)]
    for _, found in reader_of(encoder, compute, positions=25, batch_tokens=50).bases(sequences):
        assert found == pytest.approx(1)


def test_windows_give_the_unsplit_profile_in_their_own_units(hand_made, compute):
    sequence = whole("".join(np.random.default_rng(2).choice(list("ACGT"), 100)))
    # One head: every window has its own sum to divide a head's attention by.
    ((_, unsplit),) = reader_of(hand_made, compute, head=1).bases([sequence])
    short = reader_of(hand_made, compute, positions=30, head=1)
    done = []
    ((_, split),) = short.bases([sequence], done.append)
    assert sum(done) == 100
    windows = [piece.window for piece in short.engine.cutter.pieces(0, sequence.codes)]
    assert len(windows) > 4
    for window in windows:
        # A window's own bases away from its ends: shares are relative to the window's mean.
        inner = slice(window.own_start + 2, window.own_end - 2)
        ratio = split[inner] / unsplit[inner]
        assert ratio == pytest.approx(ratio[0])
        assert 0.7 < ratio[0] < 1.4


def test_a_window_without_a_known_token_has_none(hand_made, compute):
    sequence = whole("ACGTTGCA" * 4 + "N" * 80 + "ACGTTGCA" * 4)
    ((_, found),) = reader_of(hand_made, compute, positions=30).bases([sequence])
    assert np.isnan(found).any()
    assert np.isfinite(found[sequence.codes < 4]).all()


@torch.no_grad()
def test_every_family_agrees_with_a_plain_reading(family, two_sequences, compute):
    encoder = family.config.masked_lm().eval().encoder
    reader = AttentionReader(Engine(Headed(encoder), family.cutter, compute, 2), layer=-1)
    reader.check()
    tokens = family.cutter.tokens
    for sequence, found in reader.bases(two_sequences):
        ids = tokens.tokenizer.encode(sequence.bases)
        (*_, last) = encoder.outputs(torch.from_numpy(ids).long()[None], attentions=True).attentions
        looks = last[0].mean(0)[0].double().numpy()
        body = tokens.body(ids)
        total, count = np.zeros(len(found)), np.zeros(len(found))
        for position, (start, end) in zip(body, tokens.spans(ids[body]), strict=True):
            total[start:end] += looks[position] / looks[body].mean()
            count[start:end] += 1
        assert found == pytest.approx(total / count, abs=1e-5)


@torch.no_grad()
def test_maps(family, two_sequences, compute):
    encoder = family.config.masked_lm().eval().encoder
    maps = AttentionReader(Engine(Headed(encoder), family.cutter, compute), layer=1).maps(two_sequences[0])
    tokens = len(family.cutter.tokens.tokenizer.encode(two_sequences[0].bases))
    assert maps.layer == 1
    assert maps.layers_NSS.shape == (family.config.layers, tokens, tokens)
    assert maps.heads_HSS.shape == (family.config.heads, tokens, tokens)
    assert maps.heads_HSS.sum(-1) == pytest.approx(1, abs=1e-5)
    assert maps.heads_HSS.mean(0) == pytest.approx(maps.layers_NSS[0], abs=1e-6)


def test_a_model_without_attention(compute):
    with pytest.raises(CmgemsError, match="no attention to read in model: the model has no attention"):
        reader_of(HandMade(np.ones((0, 2, 69))), compute).check()


@pytest.mark.parametrize("layer", [0, 3, -3])
def test_a_layer_that_is_not_there(hand_made, compute, layer):
    with pytest.raises(
        CmgemsError, match=f"no such layer in model: `layer` is {layer}, the model has 2 layers"
    ):
        reader_of(hand_made, compute, layer=layer).check()


@pytest.mark.parametrize("head", [0, 3, -1])
def test_a_head_that_is_not_there(hand_made, compute, head):
    with pytest.raises(CmgemsError, match=f"no such head in model: `head` is {head}, a layer has 2 heads"):
        reader_of(hand_made, compute, head=head).check()

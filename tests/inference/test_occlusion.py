"""Importance by hiding bases: against brute force, in every family, and over windows."""

import numpy as np
import pytest
import torch
from torch import nn

from cmgems.genome import encode
from cmgems.inference import Cutter, Engine, NamedSequence, occlude
from cmgems.inference.occlusion import answer
from cmgems.tokenization import KmerTokenizer, TokenMap


def test_the_answer_to_a_class_is_its_log_odds():
    logits_BC = torch.tensor([[0.3, -1.0, 2.0], [5.0, 5.0, -5.0]])
    p = logits_BC.softmax(1)[:, 1].numpy()
    for shift in (0, 7):
        found = answer(logits_BC + shift, torch.tensor([1, 1]), "classification").numpy()
        assert found == pytest.approx(np.log(p / (1 - p)), abs=1e-5)
    for head in ("multi_label", "regression"):
        assert answer(logits_BC, torch.tensor([1, 1]), head).tolist() == [-1, 5]


@torch.no_grad()
def brute_force(model, tokens, sequence, output):
    """One base at a time, one row at a time, by the tokens' spans."""
    ids = tokens.tokenizer.encode(sequence.bases)
    body = tokens.body(ids)

    def log_odds(row):
        p = model(torch.from_numpy(row).long()[None])[0].double().softmax(0)[output]
        return float((p / (1 - p)).log())

    found = []
    for base in range(len(sequence.codes)):
        over = [i for i, (a, b) in zip(body, tokens.spans(ids[body]), strict=True) if a <= base < b]
        hidden = ids.copy()
        hidden[over] = tokens.tokenizer.mask_id
        known = tokens.known(ids[over]).any()
        found.append(log_odds(ids) - log_odds(hidden) if known else np.nan)
    return found


def test_every_family_agrees_with_brute_force(family, two_sequences, compute):
    model = family.config.classifier(3).eval()
    for weights in model.head.parameters():
        weights.data.normal_(std=0.3)  # a fresh head answers next to nothing
    engine = Engine(model, family.cutter, compute, 7, "classification")
    for sequence in two_sequences:
        (found,) = occlude(engine, [sequence], [1])
        expected = brute_force(model, family.cutter.tokens, sequence, 1)
        assert found == pytest.approx(expected, abs=1e-5, nan_ok=True)
        assert np.nanmax(np.abs(found)) > 1e-3
        if family.cutter.tokens.overlapping:
            assert np.isnan(found[sequence.codes == 255]).all()


class Local(nn.Module):
    """Logits are sums over positions of what a token and its neighbours say."""

    def __init__(self, vocab_size):
        super().__init__()
        torch.manual_seed(0)
        self.word = nn.Embedding(vocab_size, 8)
        self.mix = nn.Conv1d(8, 2, 3, padding=1)

    def forward(self, ids_BS, attention_BS=None):
        return torch.tanh(self.mix(self.word(ids_BS).transpose(1, 2))).sum(-1)


def test_windows_change_nothing_for_a_model_that_sees_no_further(compute):
    tokens = TokenMap(KmerTokenizer(3))
    codes = np.random.default_rng(0).integers(0, 4, 150).astype(np.uint8)
    codes[60:64] = 255
    model = Local(tokens.tokenizer.vocab_size).eval()
    sequence = [NamedSequence("s", codes, "s")]
    (unsplit,) = occlude(Engine(model, Cutter(tokens, 500), compute, None, "multi_label"), sequence, [1])
    done = []
    short = Engine(model, Cutter(tokens, 40), compute, 200, "multi_label")
    (split,) = occlude(short, sequence, [1], done.append)
    assert split == pytest.approx(unsplit, abs=1e-5, nan_ok=True)
    assert np.isnan(split).tolist() == (codes == 255).tolist()
    assert sum(done) == 150


def test_a_base_that_decides_speaks_for_its_class_and_against_the_other(compute):
    class Reader(nn.Module):
        """Class 1 if GATC is there to see."""

        def forward(self, ids_BS, attention_BS=None):
            site = torch.tensor([("GATC" in tokens.tokenizer.decode(row)) * 4.0 for row in ids_BS.numpy()])
            return torch.stack([torch.zeros(len(site)), site], 1)

    tokens = TokenMap(KmerTokenizer(4))
    codes = encode(b"TTTTTTTTGATCTTTTTTTT")
    engine = Engine(Reader(), Cutter(tokens, 50), compute, None, "classification")
    for output, sign in ((1, 1), (0, -1)):
        expected = [4.0 * sign if 8 <= i < 12 else 0.0 for i in range(20)]
        (found,) = occlude(engine, [NamedSequence("s", codes, "s")], [output])
        assert found == pytest.approx(expected)

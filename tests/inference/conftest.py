"""Models and a tokenizer whose answers are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cmgems.genome import BASES, encode
from cmgems.inference import Cutter, Model, NamedSequence
from cmgems.models import MODELS, SavedModel, build_model
from cmgems.models.base import fit_to_tokenizer
from cmgems.tokenization import TOKENIZERS, TokenMap
from cmgems.training import ComputeConfig, start_compute


class Context(nn.Module):
    """An encoder that sees ``reach`` tokens to each side and no positions."""

    def __init__(self, vocab_size: int, reach: int) -> None:
        super().__init__()
        self.word = nn.Embedding(vocab_size, 8)
        self.mix = nn.Conv1d(8, 8, 2 * reach + 1, padding=reach)

    def outputs(self, ids_BS, attention_BS=None, *, hidden_states=False, attentions=False):
        embedded_BSD = self.word(ids_BS)
        if attention_BS is not None:
            embedded_BSD = embedded_BSD * attention_BS[..., None]
        mixed_BSD = torch.tanh(self.mix(embedded_BSD.transpose(1, 2)).transpose(1, 2))
        return Outputs(mixed_BSD, (embedded_BSD, mixed_BSD) if hidden_states else None)


@dataclass(frozen=True)
class Outputs:
    last_BSD: Tensor
    hidden_states: tuple[Tensor, ...] | None


class LocalLM(nn.Module):
    """A masked language model on :class:`Context`."""

    def __init__(self, vocab_size: int, reach: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = Context(vocab_size, reach)
        self.head = nn.Linear(8, vocab_size)

    def forward(self, ids_BS, attention_BS=None, positions_M=None):
        hidden_D = self.encoder.outputs(ids_BS, attention_BS).last_BSD
        return self.head(hidden_D if positions_M is None else hidden_D.flatten(0, 1)[positions_M])


class KnownLM(nn.Module):
    """Gives every k-mer the product of the probabilities of its bases, which depend on their offset in it only."""

    def __init__(self, tokenizer, probabilities_K4) -> None:
        super().__init__()
        logits_K4 = np.log(np.asarray(probabilities_K4))
        self.logits_V = torch.full((tokenizer.vocab_size,), -50.0)
        for i, token in enumerate(tokenizer.vocabulary()):
            if set(token) <= set(BASES):
                self.logits_V[i] = sum(logits_K4[o, BASES.index(base)] for o, base in enumerate(token))

    def forward(self, ids_BS, attention_BS=None, positions_M=None):
        return self.logits_V.expand(len(positions_M), -1)


@pytest.fixture(scope="session")
def compute():
    return start_compute(ComputeConfig(device="cpu", precision="fp32", threads=1), seed=0)


@pytest.fixture(scope="session")
def model():
    """A fresh model with any head, of 3-mers, that takes 30 bp at once."""

    def make(head="masked_lm", *labels, tokenizer="kmer3", **options):
        torch.manual_seed(0)
        tokens = TOKENIZERS.get(tokenizer) if isinstance(tokenizer, str) else tokenizer
        config = MODELS.build("logo_tiny", vocab_size=tokens.vocab_size, max_positions=30)
        network = build_model(config, head, len(labels)).eval()
        for parameter in network.parameters():  # a fresh head answers next to nothing
            torch.nn.init.normal_(parameter, std=0.2)
        saved = SavedModel(
            network, "logo_tiny", config, head, "kmer3", tokens, list(labels), {}, Path("runs/x")
        )
        return Model.of(saved, **{"batch_tokens": 200, "device": "cpu", **options})

    return make


@pytest.fixture
def known_lm():
    return KnownLM


@pytest.fixture
def local_lm(tokens):
    return LocalLM(tokens.tokenizer.vocab_size).eval()


@pytest.fixture
def whole(tokens):
    """Takes any sequence of the tests in one window."""
    return Cutter(tokens, 1000)


@pytest.fixture
def short(tokens):
    """Takes 30 bp or so at once."""
    return Cutter(tokens, 30 if tokens.overlapping else 13)


@pytest.fixture
def named():
    """Three random sequences: long, of one window, and long with a few N in a row."""
    rng = np.random.default_rng(0)
    found = []
    for name, length in (("long", 200), ("short", 24), ("gap", 150)):
        codes = rng.integers(0, 4, length).astype(np.uint8)
        found.append(NamedSequence(name, codes, name))
    # Six, so that the tokens behind the gap are cut as if it were not there.
    found[2].codes[60:66] = encode(b"N" * 6)
    return found


FAMILIES = {
    "logo_tiny": "kmer3",
    "dnabert_tiny": "kmer6",
    "dnabert2_tiny": "pieces",
    "nt_tiny": "nt_v1",
    "nt_v2_tiny": "nt_v2",
    "modernbert_tiny": "base",
}


@dataclass(frozen=True)
class Family:
    """A tiny config, and what cuts sequences for it."""

    config: Any
    cutter: Cutter


@pytest.fixture(params=FAMILIES)
def family(request, pieces):
    torch.manual_seed(0)
    name = FAMILIES[request.param]
    tokenizer = pieces if name == "pieces" else TOKENIZERS.get(name)
    config = replace(fit_to_tokenizer(MODELS.get(request.param), tokenizer), max_positions=64)
    return Family(config, Cutter(TokenMap(tokenizer), 64))


@pytest.fixture
def two_sequences():
    """Two sequences of different lengths, so that a batch has padding, one with an N."""
    rng = np.random.default_rng(0)
    found = [NamedSequence(str(n), rng.integers(0, 4, n).astype(np.uint8), "") for n in (31, 44)]
    found[1].codes[20] = 255
    return found

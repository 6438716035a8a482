"""Models and a tokenizer whose answers are known."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE
from torch import Tensor, nn

from cmgems.genome import BASES, encode
from cmgems.inference import Cutter, NamedSequence, TokenMap
from cmgems.tokenization import BpeTokenizer, KmerTokenizer
from cmgems.training import ComputeConfig, start_compute


@dataclass(frozen=True)
class SideBySide:
    """Tokens of three bases side by side, a remainder as single bases, [CLS] in front and nothing behind."""

    k: ClassVar[int] = 3
    stride: ClassVar[int] = 3
    special_count: ClassVar[int] = 5
    pad_id: ClassVar[int] = 0
    unk_id: ClassVar[int] = 1
    cls_id: ClassVar[int] = 2
    sep_id: ClassVar[int] = 3
    mask_id: ClassVar[int] = 4

    def vocabulary(self):
        tokens = ["".join(kmer) for kmer in itertools.product(BASES, repeat=3)]
        return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *tokens, *BASES, "N"]

    @property
    def vocab_size(self):
        return len(self.vocabulary())

    @property
    def known_ids(self):
        return range(5, self.vocab_size - 1)

    def token_count(self, bases):
        return 1 + bases // 3 + bases % 3

    def bases_for(self, tokens):
        return 3 * (tokens - 1)

    def encode_batch(self, codes_BL, lengths_B, tokens):
        ids = {token: i for i, token in enumerate(self.vocabulary())}
        rows = np.zeros((len(codes_BL), tokens), np.int32)
        for row, codes, length in zip(rows, codes_BL, lengths_B, strict=True):
            text, found = "".join("ATCGN"[min(c, 4)] for c in codes[:length]), [self.cls_id]
            while text:
                width = 3 if text[:3] in ids and len(text) >= 3 else 1
                found.append(ids[text[:width]])
                text = text[width:]
            row[: len(found)] = found
        return rows


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
def pieces():
    """A byte-pair tokenizer with pieces of 1, 2 and 4 bp."""
    tokens = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "A", "C", "G", "T", "AC", "GT", "TT", "ACGT"]
    merges = [("A", "C"), ("G", "T"), ("T", "T"), ("AC", "GT")]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    return BpeTokenizer(content=Tokenizer(BPE(vocabulary, merges, unk_token="[UNK]")).to_str())


@pytest.fixture(scope="session")
def compute():
    return start_compute(ComputeConfig(device="cpu", precision="fp32", threads=1), seed=0)


@pytest.fixture
def known_lm():
    return KnownLM


@pytest.fixture
def side_by_side():
    return SideBySide()


@pytest.fixture(params=["overlapping", "side by side"])
def tokens(request):
    """Either kind of tokens, three bases long."""
    return TokenMap(KmerTokenizer(3) if request.param == "overlapping" else SideBySide())


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

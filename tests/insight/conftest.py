"""Tiny models of every family, and sequences for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE

from cmgems.inference import Cutter, NamedSequence, TokenMap
from cmgems.models import MODELS
from cmgems.models.base import fit_to_tokenizer
from cmgems.tokenization import TOKENIZERS, BpeTokenizer
from cmgems.training import ComputeConfig, start_compute

FAMILIES = {
    "logo_tiny": "kmer3",
    "dnabert_tiny": "kmer6",
    "dnabert2_tiny": "pieces",
    "nt_tiny": "nt_v1",
    "nt_v2_tiny": "nt_v2",
}


@dataclass(frozen=True)
class Family:
    """A tiny config, and what cuts sequences for it."""

    config: Any
    cutter: Cutter


@pytest.fixture(scope="session")
def pieces():
    """A byte-pair tokenizer with pieces of 1, 2 and 4 bp."""
    tokens = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "A", "C", "G", "T", "AC", "GT", "TT", "ACGT"]
    merges = [("A", "C"), ("G", "T"), ("T", "T"), ("AC", "GT")]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    return BpeTokenizer(content=Tokenizer(BPE(vocabulary, merges, unk_token="[UNK]")).to_str())


@pytest.fixture(params=FAMILIES)
def family(request, pieces):
    torch.manual_seed(0)
    name = FAMILIES[request.param]
    tokenizer = pieces if name == "pieces" else TOKENIZERS.get(name)
    config = replace(fit_to_tokenizer(MODELS.get(request.param), tokenizer), max_positions=64)
    return Family(config, Cutter(TokenMap(tokenizer), 64))


@pytest.fixture(scope="session")
def compute():
    return start_compute(ComputeConfig(device="cpu", precision="fp32", threads=1), seed=0)


@pytest.fixture
def named():
    """Two sequences of different lengths, so that a batch has padding, one with an N."""
    rng = np.random.default_rng(0)
    found = [NamedSequence(str(n), rng.integers(0, 4, n).astype(np.uint8), "") for n in (31, 44)]
    found[1].codes[20] = 255
    return found

"""Ranks out of nowhere, for tests of what is done with them."""

from __future__ import annotations

import numpy as np

from cmgems.masking import Ranks
from cmgems.tokenization import KmerTokenizer, Tokenizer


def random_ranks(k: int, seed: int, tokenizer: Tokenizer | None = None) -> Ranks:
    """A random order of the k-mers; ``tokenizer`` has five special tokens, then one for each of them."""
    order, none = np.random.default_rng(seed).permutation(4**k).astype(np.int32) + 1, np.int32(4**k + 1)
    return Ranks(tokenizer or KmerTokenizer(k), np.append(np.full(5, none), order), np.append(order, none))

"""Labels of tokens against the slow, literal reading of the rule, for every kind of tokenizer."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.tokenization import IGNORE, TOKENIZERS, BpeTokenizer, TokenMap

NAMES = ["base", "kmer3", "kmer6", "nt_v1", "nt_v2", "bpe"]
CLASSES = 3


@pytest.fixture(scope="module", params=NAMES)
def tokenizer(request, small_bpe):
    return BpeTokenizer(small_bpe) if request.param == "bpe" else TOKENIZERS.get(request.param)


def literal(tokenizer, ids_S, classes_L):
    """Walk along the sequence, token by token."""
    labels, base, vocabulary = [], 0, tokenizer.vocabulary()
    for i in ids_S.tolist():
        if i in (tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id):
            labels.append(IGNORE)
        elif tokenizer.stride == 1:
            labels.append(int(classes_L[base + (tokenizer.k - 1) // 2]))
            base += 1
        else:
            length = 1 if i == tokenizer.unk_id else len(vocabulary[i])
            counts = Counter(classes_L[base : base + length].tolist())
            most = max(counts.values())
            labels.append(min(c for c, n in counts.items() if n == most))
            base += length
    assert base + (tokenizer.k - 1 if tokenizer.stride == 1 else 0) == len(classes_L)
    return labels


@settings(deadline=None, max_examples=40)
@given(bases=st.text("ACGTN", min_size=8, max_size=60), data=st.data())
def test_the_rule(tokenizer, bases, data):
    classes = data.draw(st.lists(st.integers(0, CLASSES - 1), min_size=len(bases), max_size=len(bases)))
    ids_S, classes_L = tokenizer.encode(bases), np.array(classes)
    labels_S = TokenMap(tokenizer).labels(ids_S, classes_L, CLASSES)
    assert labels_S.dtype == np.int64
    assert labels_S.tolist() == literal(tokenizer, ids_S, classes_L)


def test_a_6_mer_stands_for_its_third_base():
    tokens = TokenMap(TOKENIZERS.get("kmer6"))
    ids_S = tokens.tokenizer.encode("ACGTACGT")
    assert tokens.labels(ids_S, np.arange(8), 8).tolist() == [IGNORE, 2, 3, 4, IGNORE]
    assert tokens.token_of_base(ids_S[1:-1]).tolist() == [-2, -1, 0, 1, 2, 3, 4, 5]


def test_the_majority_of_six_and_the_first_class_of_a_tie():
    tokenizer = TOKENIZERS.get("nt_v2")
    classes_L = np.array([1, 1, 1, 1, 0, 0, 2, 2, 2, 1, 1, 1, 2])
    labels_S = TokenMap(tokenizer).labels(tokenizer.encode("ACGTACGTACGTA"), classes_L, 3)
    assert labels_S.tolist() == [IGNORE, 1, 1, 2]

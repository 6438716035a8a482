"""Rows of tokens on either strand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.data.encoder import RowEncoder
from cmgems.genome import encode, reverse_complement
from cmgems.tokenization import IGNORE, TOKENIZERS, BpeTokenizer

LETTERS = st.text("ACGTacgtNRYSWKMBDHVn", min_size=6, max_size=60)
ENDS = ("end", "start")


def rows_equal(ours, theirs):
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def encoder_of(name, small_bpe, tokens=512):
    return RowEncoder(BpeTokenizer(small_bpe) if name == "bpe" else TOKENIZERS.get(name), tokens, classes=3)


@pytest.mark.parametrize("name", ["base", "kmer3", "kmer6", "nt_v1", "nt_v2", "bpe"])
@settings(deadline=None)  # kernels are compiled when first called
@given(sequences=st.lists(LETTERS, min_size=1, max_size=4), tokens=st.integers(3, 40), data=st.data())
def test_turned_twice_is_the_row_itself(small_bpe, name, sequences, tokens, data):
    encoder, cut = encoder_of(name, small_bpe, tokens), data.draw(st.sampled_from(ENDS))
    codes = [encode(bases.encode()) for bases in sequences]
    class_of_base = st.integers(0, 2)
    labels = [
        np.array(data.draw(st.lists(class_of_base, min_size=len(codes_L), max_size=len(codes_L))))
        for codes_L in codes
    ]
    ids, of_tokens, _ = encoder.encode(codes, labels, cut)
    other = [reverse_complement(codes_L) for codes_L in codes]
    again = encoder.other_strand(other, [classes_L[::-1] for classes_L in labels], ENDS[cut == "end"])
    assert rows_equal(again[0], ids)
    assert rows_equal(again[1], of_tokens)
    assert [len(row_S) for row_S in ids] == [len(row_S) for row_S in of_tokens]
    assert max(map(len, ids)) <= tokens


@pytest.mark.parametrize("cut", ENDS)
@pytest.mark.parametrize(("name", "kept"), [("kmer3", 12), ("kmer6", 15)])
def test_both_strands_of_a_row_that_is_cut_hold_the_same_bases(name, kept, cut):
    encoder = encoder_of(name, None, tokens=12)
    codes_L = np.random.default_rng(0).integers(0, 4, 100).astype(np.uint8)
    (ids_S,), _, count = encoder.encode([codes_L], np.zeros(1, np.int64), cut)
    (other_S,), labels = encoder.other_strand([codes_L], np.zeros(1, np.int64), cut)
    read, turned = (encode(encoder.tokenizer.decode(row_S).encode()) for row_S in (ids_S, other_S))
    assert (count, len(read), labels.tolist()) == (1, kept, [0])
    assert np.array_equal(read, codes_L[:kept] if cut == "end" else codes_L[-kept:])
    assert np.array_equal(turned, reverse_complement(read))


@pytest.mark.parametrize("name", ["kmer3", "kmer4", "kmer5", "kmer6", "nt_v1"])
@given(start=st.integers(0, 30), length=st.integers(1, 12))
def test_an_interval_of_bases_is_the_same_bases_on_either_strand(name, start, length):
    """A k-mer stands for the base number (k - 1) // 2 of it as it is read, an NT token for most of its six."""
    encoder = encoder_of(name, None)
    codes_L, classes_L = np.zeros(48, np.uint8), np.zeros(48, np.int64)
    classes_L[start : start + length] = 1
    _, (labels_S,), _ = encoder.encode([codes_L], [classes_L], "end")
    _, (other_S,) = encoder.other_strand([codes_L], [classes_L], "end")
    ours_L, theirs_L = (_of_bases(encoder.tokenizer, row_S) for row_S in (labels_S, other_S))
    if name == "nt_v1":  # 48 bases are the same 8 tokens; a tie of three and three goes to class 0
        assert np.array_equal(ours_L, theirs_L[::-1])
        return
    known_L = (ours_L >= 0) & (theirs_L[::-1] >= 0)
    assert known_L.sum() >= 48 - encoder.tokenizer.k
    assert np.array_equal(ours_L[known_L], classes_L[known_L])
    assert np.array_equal(theirs_L[::-1][known_L], classes_L[known_L])


def _of_bases(tokenizer, labels_S):
    """The label of each base, -1 where no token stands for it; of tokens side by side those of the tokens."""
    body_T = labels_S[labels_S != IGNORE]
    if tokenizer.stride != 1:
        return body_T
    first = (tokenizer.k - 1) // 2
    labels_L = np.full(len(body_T) + tokenizer.k - 1, -1)
    labels_L[first : first + len(body_T)] = body_T
    return labels_L

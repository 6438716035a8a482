"""From tokens to bases, and rows with bases hidden."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.genome import encode
from cmgems.inference import Cutter, hidden_rows, spread
from cmgems.tokenization import KmerTokenizer, TokenMap


def plain_mean(values, spans, length):
    """One base at a time."""
    over = [[v for v, (a, b) in zip(values, spans, strict=True) if a <= i < b] for i in range(length)]
    return [sum(found) / len(found) if found else np.nan for found in over]


def test_overlapping_kmers_by_hand():
    spans_T2 = np.array([[0, 3], [1, 4], [2, 5], [3, 6]])
    found = spread(np.array([1.0, 2.0, 3.0, 4.0]), spans_T2, 6)
    assert found.tolist() == [1, 1.5, 2, 3, 3.5, 4]


def test_tokens_side_by_side_give_all_their_bases_what_they_have():
    spans_T2 = np.array([[0, 4], [4, 5], [6, 8]])
    found = spread(np.array([8.0, 1.0, 2.0]), spans_T2, 9)
    assert found[[0, 1, 2, 3, 4, 6, 7]].tolist() == [8, 8, 8, 8, 1, 2, 2]
    assert np.isnan(found[[5, 8]]).all()
    assert set(spread(np.ones(3), spans_T2, 8)[[0, 4, 6]]) == {1.0}  # whatever their lengths: a flat line


@settings(deadline=None, max_examples=50)
@given(k=st.integers(1, 6), values=st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_spread_is_the_plain_mean(k, values):
    spans = [(i, i + k) for i in range(len(values))]
    length = len(values) + k + 1
    found = spread(np.array(values), np.array(spans), length)
    assert found == pytest.approx(plain_mean(values, spans, length), nan_ok=True)


@settings(deadline=None, max_examples=50)
@given(sequence=st.text("ACGTN", min_size=8, max_size=40), k=st.integers(3, 6))
def test_no_visible_kmer_holds_the_hidden_base_and_no_other_is_masked(sequence, k):
    tokens = TokenMap(KmerTokenizer(k))
    ids_S = Cutter(tokens, 100).encode(encode(sequence.encode()))
    found = {row.bases.start: row for row in hidden_rows(tokens, ids_S, 0, len(sequence))}
    for base in range(len(sequence)):
        covering = [t for t in range(len(sequence) - k + 1) if t <= base < t + k]
        if all("N" in sequence[t : t + k] for t in covering):
            assert base not in found
            continue
        expected = ids_S.copy()
        expected[[t + 1 for t in covering]] = tokens.tokenizer.mask_id  # after [CLS]
        assert (found[base].ids_S == expected).all()
        assert found[base].bases == slice(base, base + 1)


def test_tokens_side_by_side_are_hidden_once(pieces):
    tokens = TokenMap(pieces)
    ids_S = Cutter(tokens, 100).encode(encode(b"ACGTTTNACA"))
    assert [tokens.vocabulary[i] for i in ids_S[1:-1]] == ["ACGT", "TT", "[UNK]", "AC", "A"]
    rows = list(hidden_rows(tokens, ids_S, 1, 9))
    assert [(row.bases.start, row.bases.stop) for row in rows] == [(1, 4), (4, 6), (7, 9)]
    assert [np.flatnonzero(row.ids_S != ids_S).tolist() for row in rows] == [[1], [2], [4]]

"""The bases behind ids, and the tokens of changed bases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.errors import CmgemsError
from cmgems.genome import encode
from cmgems.tokenization import TOKENIZERS, TokenMap

REGISTERED = [name for name in TOKENIZERS.names() if TOKENIZERS.get(name).k]


def ids_of(tokenizer, sequence):
    codes_1L = encode(sequence.encode())[None]
    ids_S = tokenizer.encode_batch(codes_1L, np.array([len(sequence)], np.int32), len(sequence) + 2)[0]
    return ids_S[ids_S != tokenizer.pad_id]


def check_spans(tokens, sequence):
    ids_S = ids_of(tokens.tokenizer, sequence)
    body = ids_S[tokens.body(ids_S)]
    spans = tokens.spans(body)
    for i, (start, end) in zip(body, spans, strict=True):
        text = sequence[start:end]
        assert tokens.vocabulary[i] == text or (i < tokens.tokenizer.special_count and "N" in text)
    assert set(range(len(sequence))) == {b for start, end in spans for b in range(start, end)}


@settings(deadline=None, max_examples=30)
@given(sequence=st.text("ACGTN", min_size=8, max_size=40))
@pytest.mark.parametrize("name", REGISTERED)
def test_spans_spell_the_tokens_of_registered_tokenizers(name, sequence):
    check_spans(TokenMap(TOKENIZERS.get(name)), sequence)


def test_spans_side_by_side(side_by_side):
    tokens = TokenMap(side_by_side)
    ids_S = ids_of(side_by_side, "ACGTTNACGAC")
    assert tokens.spans(ids_S[1:]).tolist() == [[0, 3], [3, 4], [4, 5], [5, 6], [6, 9], [9, 10], [10, 11]]


def test_substitutions_put_each_base_at_each_offset(tokens):
    table, vocabulary = tokens.substitutions, tokens.vocabulary
    acg = vocabulary.index("ACG")
    assert [[vocabulary[i] for i in row] for row in table[acg]] == [
        ["ACG", "TCG", "CCG", "GCG"],
        ["AAG", "ATG", "ACG", "AGG"],
        ["ACA", "ACT", "ACC", "ACG"],
    ]
    assert (table[: tokens.tokenizer.special_count] == -1).all()


def test_substitutions_of_single_bases(side_by_side):
    tokens = TokenMap(side_by_side)
    table, vocabulary = tokens.substitutions, tokens.vocabulary
    row = table[vocabulary.index("G")]
    assert [vocabulary[i] for i in row[0]] == ["A", "T", "C", "G"]
    assert (row[1:] == -1).all()
    assert (table[vocabulary.index("N")] == -1).all()


def test_tokens_cut_by_content(pieces):
    check_spans(TokenMap(pieces), "ACGTACGNNTTTGACN")
    with pytest.raises(CmgemsError, match="k-mer tokens"):
        _ = TokenMap(pieces).substitutions

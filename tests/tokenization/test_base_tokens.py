"""Single bases against a dictionary of letters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.errors import DataError
from cmgems.genome import BASES, alphabet
from cmgems.tokenization import TOKENIZERS, BaseTokenizer, TokenMap, overlapping

TOKENIZER = BaseTokenizer()
letters = st.text("ACGTacgtNnRy", max_size=60)


def reference(sequence: str) -> list[int]:
    ids = {letter: 5 + number for number, letter in enumerate("ATCG")}
    return [2, *(ids.get(letter, 9) for letter in sequence.upper()), 3]


def test_ids() -> None:
    assert TOKENIZERS.get("base") == TOKENIZER
    assert TOKENIZER.vocabulary() == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"ATCGN"]
    assert len(TOKENIZER.vocabulary()) == TOKENIZER.vocab_size
    assert [TOKENIZER.vocabulary()[i] for i in TOKENIZER.known_ids] == list(BASES)
    assert not overlapping(TOKENIZER)


@given(letters.filter(bool))
def test_encode_and_decode(sequence: str) -> None:
    ids_S = TOKENIZER.encode(sequence)
    assert ids_S.dtype == np.int32
    assert ids_S.tolist() == reference(sequence)
    assert TOKENIZER.decode(ids_S) == "".join(
        letter if letter in BASES else "N" for letter in sequence.upper()
    )
    assert TOKENIZER.token_count(len(sequence)) == len(ids_S)
    assert TOKENIZER.bases_for(len(ids_S)) == len(sequence)


def test_decode_of_specials() -> None:
    assert TOKENIZER.decode([2, 5, 4, 1, 9, 8, 3, 0]) == "ANNNG"


@given(st.lists(letters, max_size=6), st.integers(0, 5))
def test_encode_batch_pads(sequences: list[str], more: int) -> None:
    lengths_B = np.array([len(sequence) for sequence in sequences], np.int32)
    codes_BL = np.zeros((len(sequences), 70), np.uint8)  # bases beyond a row's length must not be read
    for row, sequence in zip(codes_BL, sequences, strict=True):
        row[: len(sequence)] = alphabet.encode(sequence.encode())
    tokens = int(lengths_B.max(initial=0)) + 2 + more
    ids_BS = TOKENIZER.encode_batch(codes_BL, lengths_B, tokens)
    assert (ids_BS.dtype, ids_BS.shape) == (np.int32, (len(sequences), tokens))
    for row, sequence in zip(ids_BS.tolist(), sequences, strict=True):
        assert row == reference(sequence) + [0] * (tokens - len(sequence) - 2)


def test_every_base_has_its_own_token_and_label() -> None:
    tokens, ids_S = TokenMap(TOKENIZER), TOKENIZER.encode("ACNT")
    assert tokens.spans(ids_S[1:-1]).tolist() == [[i, i + 1] for i in range(4)]
    assert tokens.token_of_base(ids_S[1:-1]).tolist() == [0, 1, 2, 3]
    assert tokens.labels(ids_S, np.array([2, 0, 1, 2]), 3).tolist() == [-100, 2, 0, 1, 2, -100]
    assert tokens.known(ids_S).tolist() == [False, True, True, False, True, False]
    # In place of any base any other; of N, which is not known, nothing.
    assert tokens.substitutions[5:, 0].tolist() == [[5, 6, 7, 8]] * 4 + [[-1] * 4]


def test_refusals() -> None:
    with pytest.raises(DataError, match="no sequence"):
        TOKENIZER.encode("")
    with pytest.raises(DataError, match="found 'U'"):
        TOKENIZER.encode("ACGU")
    with pytest.raises(ValueError, match="12"):
        TOKENIZER.encode_batch(np.zeros((1, 10), np.uint8), np.array([12], np.int32), 30)
    with pytest.raises(ValueError, match="10 bp need 12 positions, not 11"):
        TOKENIZER.encode_batch(np.zeros((1, 10), np.uint8), np.array([10], np.int32), 11)

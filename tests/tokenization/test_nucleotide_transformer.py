"""6-mers side by side against the published vocabulary and a plain greedy reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.errors import CmgemsError, DataError
from cmgems.genome import alphabet
from cmgems.tokenization import TOKENIZERS, NucleotideTransformerTokenizer

V1, V2 = NucleotideTransformerTokenizer(1), NucleotideTransformerTokenizer(2)
tokenizers = st.sampled_from([V1, V2])
dna = st.lists(st.sampled_from(["ACGTTA", "GGCATC", "T", "AC", "N", "NNN"]), max_size=30).map("".join)


def reference(tokenizer: NucleotideTransformerTokenizer, sequence: str) -> list[int]:
    """At each position six known bases if there are six, else one letter."""
    ids = {token: index for index, token in enumerate(tokenizer.vocabulary())}
    letters = "".join(letter if letter in "ACGT" else "N" for letter in sequence.upper())
    row, position = [tokenizer.cls_id], 0
    while position < len(letters):
        six = letters[position : position + 6]
        token = six if len(six) == 6 and "N" not in six else six[0]
        row.append(ids[token])
        position += len(token)
    return row


def test_vocabulary_of_v2_is_the_published_one(shared_data: Path) -> None:
    assert V2.vocabulary() == (shared_data / "reference" / "nt_v2_vocab.txt").read_text().splitlines()


def test_vocabulary_of_v1_lacks_the_two_specials() -> None:
    assert V1.vocabulary() == [token for token in V2.vocabulary() if token not in ("<eos>", "<bos>")]
    assert V1.vocabulary()[:4] == ["<unk>", "<pad>", "<mask>", "<cls>"]


@pytest.mark.parametrize(("tokenizer", "size"), [(V1, 4105), (V2, 4107)])
def test_ids(tokenizer: NucleotideTransformerTokenizer, size: int) -> None:
    vocabulary = tokenizer.vocabulary()
    assert tokenizer.vocab_size == len(vocabulary) == size
    specials = {"<unk>": tokenizer.unk_id, "<pad>": tokenizer.pad_id, "<mask>": tokenizer.mask_id}
    assert {token: vocabulary.index(token) for token in specials} == specials
    assert vocabulary.index("<cls>") == tokenizer.cls_id
    known = [index for index, token in enumerate(vocabulary) if set(token) <= set("ACGT")]
    assert list(tokenizer.known_ids) == known
    assert known[0] == tokenizer.special_count


def test_an_example_by_hand() -> None:
    # A, T, C, G are 4102..4105 and N is 4106; AAAAAC is the third 6-mer.
    assert V2.encode("AAAAACTNNAAAAAAGc").tolist() == [3, 8, 4103, 4106, 4106, 6, 4105, 4104]


@given(tokenizers, st.text("ACGTacgtNnRy", min_size=1, max_size=80) | dna.filter(bool))
def test_encode_matches_the_reference(tokenizer: NucleotideTransformerTokenizer, sequence: str) -> None:
    ids = tokenizer.encode(sequence)
    assert ids.dtype == np.int32
    assert ids.tolist() == reference(tokenizer, sequence)


@settings(max_examples=50)
@given(tokenizers, st.lists(dna, max_size=6), st.integers(1, 60))
def test_encode_batch_pads_and_cuts(
    tokenizer: NucleotideTransformerTokenizer, sequences: list[str], tokens: int
) -> None:
    lengths_B = np.array([len(sequence) for sequence in sequences], np.int32)
    # Bases beyond a row's length must not be read.
    codes_BL = np.zeros((len(sequences), 180), np.uint8)
    for row, sequence in zip(codes_BL, sequences, strict=True):
        row[: len(sequence)] = alphabet.encode(sequence.encode())

    ids_BS = tokenizer.encode_batch(codes_BL, lengths_B, tokens)

    assert ids_BS.shape == (len(sequences), tokens)
    assert ids_BS.dtype == np.int32
    for row, sequence in zip(ids_BS.tolist(), sequences, strict=True):
        expected = reference(tokenizer, sequence)[:tokens]
        assert row == expected + [tokenizer.pad_id] * (tokens - len(expected))


def test_counts_are_the_tightest_bounds() -> None:
    made = [len(V2.encode("A" * bases)) for bases in range(1, 100)]
    for bases in range(1, 100):
        assert V2.token_count(bases) == max(made[:bases])
    for tokens in range(2, 20):
        longest = V2.bases_for(tokens)
        assert V2.token_count(longest) <= tokens < V2.token_count(longest + 1)


@given(tokenizers, dna.filter(bool))
def test_decode_gives_the_sequence_back(tokenizer: NucleotideTransformerTokenizer, sequence: str) -> None:
    assert tokenizer.decode(tokenizer.encode(sequence)) == sequence


def test_decode_of_specials() -> None:
    assert V2.decode([3, 6, 2, 0, 1, 1]) == "AAAAAANN"


def test_refusals() -> None:
    with pytest.raises(CmgemsError, match="must be 1 or 2, but is 3"):
        NucleotideTransformerTokenizer(3)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no sequence"):
        V2.encode("")
    with pytest.raises(DataError, match="found 'U'"):
        V2.encode("ACGU")
    with pytest.raises(ValueError, match="12"):
        V2.encode_batch(np.zeros((1, 10), np.uint8), np.array([12], np.int32), 30)


def test_registry() -> None:
    assert (TOKENIZERS.get("nt_v1"), TOKENIZERS.get("nt_v2")) == (V1, V2)

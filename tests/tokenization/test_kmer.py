"""k-mer ids against DNABERT's vocabulary and a plain reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmgems.errors import CmgemsError, DataError
from cmgems.genome import alphabet
from cmgems.tokenization import TOKENIZERS, KmerTokenizer

ks = st.integers(3, 6)


def reference(tokenizer: KmerTokenizer, sequence: str) -> list[int]:
    """Look every k-mer up in the vocabulary."""
    ids = {token: index for index, token in enumerate(tokenizer.vocabulary())}
    kmers = [sequence[i : i + tokenizer.k].upper() for i in range(len(sequence) - tokenizer.k + 1)]
    return [tokenizer.cls_id, *(ids.get(kmer, tokenizer.unk_id) for kmer in kmers), tokenizer.sep_id]


def test_vocabulary_is_dnaberts(shared_data: Path) -> None:
    text = (shared_data / "reference" / "dnabert6_vocab.txt").read_text()
    assert text.splitlines() == KmerTokenizer(6).vocabulary()


def test_first_ids() -> None:
    tokenizer = KmerTokenizer(6)
    assert tokenizer.vocabulary()[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert tokenizer.vocabulary()[5:10] == ["AAAAAA", "AAAAAT", "AAAAAC", "AAAAAG", "AAAATA"]
    assert tokenizer.encode("AAAATA").tolist() == [2, 9, 3]


@pytest.mark.parametrize(("k", "size"), [(3, 69), (4, 261), (5, 1029), (6, 4101)])
def test_vocabulary_size(k: int, size: int) -> None:
    tokenizer = KmerTokenizer(k)
    assert tokenizer.vocab_size == len(tokenizer.vocabulary()) == size
    assert tokenizer.known_ids == range(5, size)


@given(ks, st.text("ACGTacgtNnRy", min_size=6, max_size=80))
def test_encode_matches_the_reference(k: int, sequence: str) -> None:
    tokenizer = KmerTokenizer(k)
    ids = tokenizer.encode(sequence)
    assert ids.dtype == np.int32
    assert ids.tolist() == reference(tokenizer, sequence)
    assert len(ids) == tokenizer.token_count(len(sequence))
    assert tokenizer.bases_for(len(ids)) == len(sequence)


@settings(max_examples=50)
@given(ks, st.lists(st.text("ACGTN", max_size=40), max_size=6), st.integers(0, 5))
def test_encode_batch_matches_the_reference(k: int, sequences: list[str], slack: int) -> None:
    tokenizer = KmerTokenizer(k)
    lengths_B = np.array([len(sequence) for sequence in sequences], np.int32)
    # Bases beyond a row's length must not be read.
    codes_BL = np.zeros((len(sequences), 40), np.uint8)
    for row, sequence in zip(codes_BL, sequences, strict=True):
        row[: len(sequence)] = alphabet.encode(sequence.encode())
    tokens = tokenizer.token_count(int(lengths_B.max(initial=0))) + slack

    ids_BS = tokenizer.encode_batch(codes_BL, lengths_B, tokens)

    assert ids_BS.shape == (len(sequences), tokens)
    assert ids_BS.dtype == np.int32
    for row, sequence in zip(ids_BS.tolist(), sequences, strict=True):
        expected = reference(tokenizer, sequence)
        assert row == expected + [tokenizer.pad_id] * (tokens - len(expected))


def test_rows_shorter_than_k_are_empty() -> None:
    ids_BS = KmerTokenizer(6).encode_batch(np.zeros((2, 5), np.uint8), np.array([5, 0], np.int32), 3)
    assert ids_BS.tolist() == [[2, 3, 0], [2, 3, 0]]


def test_strided_codes_are_accepted() -> None:
    codes_BL = np.random.default_rng(0).integers(0, 4, (3, 40), dtype=np.uint8)
    lengths_B = np.full(3, 20, np.int32)
    expected = KmerTokenizer().encode_batch(codes_BL[:, ::2].copy(), lengths_B, 17)
    np.testing.assert_array_equal(KmerTokenizer().encode_batch(codes_BL[:, ::2], lengths_B, 17), expected)


@pytest.mark.parametrize(("length", "tokens"), [(12, 30), (10, 6)])
def test_a_row_that_does_not_fit_raises(length: int, tokens: int) -> None:
    with pytest.raises(ValueError, match=str(length)):
        KmerTokenizer(6).encode_batch(np.zeros((1, 10), np.uint8), np.array([length], np.int32), tokens)


@given(ks, st.text("ACGT", min_size=6, max_size=60))
def test_decode_gives_the_sequence_back(k: int, sequence: str) -> None:
    tokenizer = KmerTokenizer(k)
    assert tokenizer.decode(tokenizer.encode(sequence)) == sequence


def test_decode_fills_gaps_with_n() -> None:
    tokenizer = KmerTokenizer(3)
    a, c, g = (tokenizer.encode(kmer)[1] for kmer in ("AAA", "CCC", "GGG"))
    mask, unknown = tokenizer.mask_id, tokenizer.unk_id
    assert tokenizer.decode([2, mask, unknown, 3, 0]) == "NNNN"
    assert tokenizer.decode([a, mask, mask, mask, c]) == "AAANCCC"
    assert tokenizer.decode([a, mask, g]) == "AAGGG"
    assert tokenizer.decode([2, 3]) == ""


@pytest.mark.parametrize("k", [0, 2, 7])
def test_other_k_is_refused(k: int) -> None:
    with pytest.raises(CmgemsError, match="3, 4, 5 or 6"):
        KmerTokenizer(k)


def test_encode_refuses_short_and_foreign_sequences() -> None:
    with pytest.raises(DataError, match="sequence shorter than k"):
        KmerTokenizer(6).encode("ACGTA")
    for sequence, found in (
        ("ACGTACGE", "'E'"),
        ("ACGT ACGT", "' '|0x20"),
        ("ACGTÅACGT", "'Å'|0xC3"),
        ("ACGUACG", "'U'"),
        ("ACGTſACGT", "'ſ'|0xC5"),
    ):
        with pytest.raises(DataError, match=found):
            KmerTokenizer(6).encode(sequence)


def test_registry() -> None:
    kmers = ["kmer", "kmer3", "kmer4", "kmer5", "kmer6"]
    assert [name for name in TOKENIZERS.names() if name.startswith("kmer")] == kmers
    assert TOKENIZERS.get("kmer") == TOKENIZERS.get("kmer6") == KmerTokenizer(6)
    assert TOKENIZERS.build("kmer", k=4) == TOKENIZERS.get("kmer4")

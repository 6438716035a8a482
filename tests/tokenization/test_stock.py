"""The Hugging Face folder gives the ids of the integer arithmetic."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from cmgems.tokenization import (
    BaseTokenizer,
    BpeTokenizer,
    KmerTokenizer,
    NucleotideTransformerTokenizer,
    StockTokenizer,
    write_stock,
)

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "tokenizers"
SHIPPED: dict[str, StockTokenizer] = {
    "base": BaseTokenizer(),
    **{f"dnabert{k}": KmerTokenizer(k) for k in (3, 4, 5, 6)},
    "nt_v1": NucleotideTransformerTokenizer(1),
    "nt_v2": NucleotideTransformerTokenizer(2),
}
shipped = pytest.mark.parametrize("name", SHIPPED)


def random_sequences(count: int, shortest: int, longest: int = 120) -> list[str]:
    rng = random.Random(count + shortest)
    alphabets = ["ACGT", "ACGTacgt", "ACGTN", "ACGTacgtNnRYswKM", "A", "AN"]
    return [
        "".join(rng.choices(rng.choice(alphabets), k=rng.randint(shortest, longest))) for _ in range(count)
    ]


def assert_identical(folder: Path, tokenizer: StockTokenizer, sequences: list[str]) -> None:
    expected = [tokenizer.encode(sequence).tolist() for sequence in sequences]
    stock = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert [encoding.ids for encoding in stock.encode_batch(sequences)] == expected
    assert AutoTokenizer.from_pretrained(folder)(sequences)["input_ids"] == expected


@cache
def base_stock() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(ASSETS / "base")


def shortest(tokenizer: StockTokenizer) -> int:
    return tokenizer.k if isinstance(tokenizer, KmerTokenizer) else 1


@shipped
def test_same_ids(name: str) -> None:
    tokenizer = SHIPPED[name]
    assert_identical(ASSETS / name, tokenizer, random_sequences(200, shortest(tokenizer)))


@pytest.mark.slow
@shipped
def test_same_ids_many(name: str) -> None:
    tokenizer = SHIPPED[name]
    assert_identical(ASSETS / name, tokenizer, random_sequences(10_000, shortest(tokenizer), longest=300))


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_same_ids_of_bpe(small_bpe: Path, tmp_path: Path, count: int) -> None:
    tokenizer = BpeTokenizer(small_bpe)
    write_stock(tokenizer, tmp_path)
    assert_identical(tmp_path, tokenizer, random_sequences(count, 1))
    stock = AutoTokenizer.from_pretrained(tmp_path)
    assert (stock.pad_token_id, stock.mask_token_id, len(stock)) == (3, 4, 200)


@settings(max_examples=30, deadline=None)
@given(sequence=st.text("ACGTacgtN", min_size=6, max_size=40), k=st.integers(2, 8))
def test_kmer_text_is_put_together(sequence: str, k: int) -> None:
    stock = Tokenizer.from_file(str(ASSETS / "dnabert6" / "tokenizer.json"))
    kmers = " ".join(sequence[i : i + k] for i in range(max(len(sequence) - k, 0) + 1))
    assert stock.encode(kmers).ids == stock.encode(sequence).ids == KmerTokenizer(6).encode(sequence).tolist()


@settings(max_examples=100, deadline=None)
@given(sequence=st.text("ACGTacgtNRyswKM", min_size=1, max_size=60))
def test_single_bases_are_those_of_auto_tokenizer(sequence: str) -> None:
    stock, tokenizer = base_stock(), BaseTokenizer()
    assert stock(sequence)["input_ids"] == tokenizer.encode(sequence).tolist()
    assert stock.encode(" ".join(sequence)) == stock.encode(sequence)  # white space is dropped
    offsets = stock(sequence, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
    assert offsets == [(i, i + 1) for i in range(len(sequence))]
    assert stock("A[MASK]C")["input_ids"] == [2, 5, 4, 7, 3]


def test_mask_among_kmers() -> None:
    stock = Tokenizer.from_file(str(ASSETS / "dnabert6" / "tokenizer.json"))
    tokens = stock.encode("ACGTAC CGTACG [MASK] TACGTT ACGTTG", add_special_tokens=False).tokens
    assert tokens == ["ACGTAC", "CGTACG", "[MASK]", "TACGTT", "ACGTTG"]


@pytest.mark.parametrize("k", [3, 4, 5, 6])
def test_the_place_of_a_kmer_is_that_of_its_first_base(k: int) -> None:
    stock = Tokenizer.from_file(str(ASSETS / f"dnabert{k}" / "tokenizer.json"))
    text = "ACgtN ACGT\nTGCANNA"  # white space is dropped, and places stay those of the text
    starts = [i for i, letter in enumerate(text) if letter.isalpha()]
    encoding = stock.encode(text, add_special_tokens=False)
    assert encoding.offsets == [(i, i + 1) for i in starts[: 1 - k]]


@pytest.mark.parametrize("k", [3, 4, 5, 6])
def test_short_sequences_are_empty(k: int) -> None:
    stock = Tokenizer.from_file(str(ASSETS / f"dnabert{k}" / "tokenizer.json"))
    assert stock.encode("ACGTA"[: k - 1]).ids == stock.encode("").ids == [2, 3]


def test_every_checked_in_folder_is_tested() -> None:
    assert {folder.name for folder in ASSETS.iterdir()} == set(SHIPPED)


@shipped
def test_checked_in_folders_are_current(name: str, tmp_path: Path) -> None:
    write_stock(SHIPPED[name], tmp_path)
    built = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert built == {file.name: file.read_bytes() for file in (ASSETS / name).iterdir()}
    assert set(built) == {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"}


def test_auto_tokenizer_knows_the_specials() -> None:
    stock = AutoTokenizer.from_pretrained(ASSETS / "dnabert6")
    assert stock.model_max_length == 512
    assert (stock.pad_token_id, stock.unk_token_id, stock.cls_token_id) == (0, 1, 2)
    assert (stock.sep_token_id, stock.mask_token_id, len(stock)) == (3, 4, 4101)
    assert stock("ACGTAC[MASK]ACGTAC")["input_ids"][2] == stock.mask_token_id


@pytest.mark.parametrize(("name", "positions", "size"), [("nt_v1", 1000, 4105), ("nt_v2", 2048, 4107)])
def test_auto_tokenizer_knows_the_specials_of_the_nucleotide_transformer(
    name: str, positions: int, size: int
) -> None:
    stock = AutoTokenizer.from_pretrained(ASSETS / name)
    assert (stock.model_max_length, len(stock)) == (positions, size)
    ids = stock.unk_token_id, stock.pad_token_id, stock.mask_token_id, stock.cls_token_id
    assert ids == (0, 1, 2, 3)
    assert (stock.eos_token, stock.sep_token) == (None, None)
    assert stock("ACGTAC<mask>ACGTAC")["input_ids"][2] == stock.mask_token_id
    assert stock(["ACGTACGTACGT", "ACGTAC"], padding=True)["input_ids"][1][-1] == stock.pad_token_id


def test_vocab_file_of_the_nucleotide_transformer_is_the_published_one(shared_data: Path) -> None:
    expected = (shared_data / "reference" / "nt_v2_vocab.txt").read_text().split()
    assert (ASSETS / "nt_v2" / "vocab.txt").read_text().split() == expected


def test_vocab_file_is_dnaberts(shared_data: Path) -> None:
    expected = (shared_data / "reference" / "dnabert6_vocab.txt").read_bytes()
    assert (ASSETS / "dnabert6" / "vocab.txt").read_bytes() == expected


def test_the_folder_does_not_hide_the_tokenizers_package() -> None:
    assert not (ASSETS / "__init__.py").exists()

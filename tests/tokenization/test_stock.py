"""The Hugging Face folder gives the ids of the integer arithmetic."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tokenizers import Tokenizer as StockTokenizer
from transformers import AutoTokenizer

from cmgems.tokenization import KmerTokenizer, write_stock

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "tokenizers"
ks = pytest.mark.parametrize("k", [3, 4, 5, 6])


def random_sequences(count: int, k: int, longest: int = 120) -> list[str]:
    rng = random.Random(count + k)
    alphabets = ["ACGT", "ACGTacgt", "ACGTN", "ACGTacgtNnRYswKM", "A", "AN"]
    return ["".join(rng.choices(rng.choice(alphabets), k=rng.randint(k, longest))) for _ in range(count)]


def assert_identical(folder: Path, k: int, sequences: list[str]) -> None:
    tokenizer = KmerTokenizer(k)
    expected = [tokenizer.encode(sequence).tolist() for sequence in sequences]
    stock = StockTokenizer.from_file(str(folder / "tokenizer.json"))
    assert [encoding.ids for encoding in stock.encode_batch(sequences)] == expected
    assert AutoTokenizer.from_pretrained(folder)(sequences)["input_ids"] == expected


@ks
def test_same_ids(k: int) -> None:
    assert_identical(ASSETS / f"dnabert{k}", k, random_sequences(200, k))


@pytest.mark.slow
@ks
def test_same_ids_many(k: int) -> None:
    assert_identical(ASSETS / f"dnabert{k}", k, random_sequences(10_000, k, longest=300))


@ks
def test_short_sequences_are_empty(k: int) -> None:
    stock = StockTokenizer.from_file(str(ASSETS / f"dnabert{k}" / "tokenizer.json"))
    assert stock.encode("ACGTA"[: k - 1]).ids == stock.encode("").ids == [2, 3]


@ks
def test_checked_in_folders_are_current(k: int, tmp_path: Path) -> None:
    write_stock(KmerTokenizer(k), tmp_path)
    built = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert built == {file.name: file.read_bytes() for file in (ASSETS / f"dnabert{k}").iterdir()}
    assert set(built) == {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"}


def test_auto_tokenizer_knows_the_specials() -> None:
    stock = AutoTokenizer.from_pretrained(ASSETS / "dnabert6")
    assert stock.model_max_length == 512
    assert (stock.pad_token_id, stock.unk_token_id, stock.cls_token_id) == (0, 1, 2)
    assert (stock.sep_token_id, stock.mask_token_id, len(stock)) == (3, 4, 4101)
    assert stock("ACGTAC[MASK]ACGTAC")["input_ids"][2] == stock.mask_token_id


def test_vocab_file_is_dnaberts(shared_data: Path) -> None:
    expected = (shared_data / "reference" / "dnabert6_vocab.txt").read_bytes()
    assert (ASSETS / "dnabert6" / "vocab.txt").read_bytes() == expected


def test_the_folder_does_not_hide_the_tokenizers_package() -> None:
    assert not (ASSETS / "__init__.py").exists()

"""BPE against Hugging Face's own reading of the same file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, normalizers, pre_tokenizers
from tokenizers import Tokenizer as StockTokenizer

from cmgems.errors import CmgemsError, DataError
from cmgems.genome import alphabet
from cmgems.tokenization import TOKENIZERS, BpeTokenizer

PIECES = ["ACGTTA", "GGCATC", "T", "AAAAAAAAAA", "N", "NNN"]
dna = st.lists(st.sampled_from(PIECES), min_size=1, max_size=30).map("".join)


@pytest.fixture(scope="module")
def tokenizer(small_bpe: Path) -> BpeTokenizer:
    return BpeTokenizer(small_bpe)


def test_dnabert2s_own_file(shared_data: Path) -> None:
    path = shared_data / "reference" / "dnabert2_tokenizer.json"
    tokenizer, stock = BpeTokenizer(path), StockTokenizer.from_file(str(path))
    rng = np.random.default_rng(0)
    for _ in range(200):
        sequence = "".join(rng.choice(list("ACGTN"), 300, p=[0.3, 0.2, 0.19, 0.3, 0.01]))
        assert tokenizer.encode(sequence).tolist() == stock.encode(sequence).ids
    ids = tokenizer.unk_id, tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id, tokenizer.mask_id
    assert ids == (0, 1, 2, 3, 4)
    assert (tokenizer.vocab_size, tokenizer.special_count, tokenizer.known_ids) == (4096, 5, range(5, 4096))
    assert tokenizer.vocabulary()[5:12] == ["A", "C", "G", "T", "AA", "TT", "TG"]
    assert (tokenizer.k, tokenizer.stride) == (0, 0)


@settings(max_examples=50)
@given(sequence=dna)
def test_encode_is_hugging_faces_and_decodes(tokenizer: BpeTokenizer, sequence: str) -> None:
    ids = tokenizer.encode(sequence)
    assert ids.dtype == np.int32
    assert ids.tolist() == StockTokenizer.from_str(tokenizer.content).encode(sequence).ids
    assert tokenizer.decode(ids) == sequence
    assert np.array_equal(tokenizer.encode(sequence.lower()), ids)
    assert np.count_nonzero(ids == tokenizer.unk_id) == sequence.count("N")
    assert len(ids) <= tokenizer.token_count(len(sequence))
    assert tokenizer.bases_for(tokenizer.token_count(len(sequence))) == len(sequence)


@settings(max_examples=50)
@given(sequences=st.lists(dna | st.just(""), max_size=6), tokens=st.integers(2, 60))
def test_encode_batch_pads_and_cuts(tokenizer: BpeTokenizer, sequences: list[str], tokens: int) -> None:
    lengths_B = np.array([len(sequence) for sequence in sequences], np.int32)
    codes_BL = np.zeros((len(sequences), 300), np.uint8)  # bases beyond a row's length must not be read
    for row, sequence in zip(codes_BL, sequences, strict=True):
        row[: len(sequence)] = alphabet.encode(sequence.encode())

    ids_BS = tokenizer.encode_batch(codes_BL, lengths_B, tokens)

    assert ids_BS.shape == (len(sequences), tokens)
    assert ids_BS.dtype == np.int32
    stock = StockTokenizer.from_str(tokenizer.content)
    stock.enable_truncation(tokens)
    for row, sequence in zip(ids_BS.tolist(), sequences, strict=True):
        expected = stock.encode(sequence).ids
        assert row == expected + [tokenizer.pad_id] * (tokens - len(expected))


def test_truncation_and_padding_of_the_file_are_off(tokenizer: BpeTokenizer) -> None:
    stock = StockTokenizer.from_str(tokenizer.content)
    stock.enable_truncation(4)
    stock.enable_padding(length=50)
    other = BpeTokenizer(content=stock.to_str())
    assert np.array_equal(other.encode("ACGTTAGGCATCTTACGA"), tokenizer.encode("ACGTTAGGCATCTTACGA"))


def test_it_is_its_content(tokenizer: BpeTokenizer, tmp_path: Path) -> None:
    copy = tmp_path / "copy.json"
    copy.write_text(tokenizer.content)
    assert BpeTokenizer(copy) == tokenizer == BpeTokenizer(content=tokenizer.content)
    assert hash(BpeTokenizer(copy)) == hash(tokenizer)
    assert repr(BpeTokenizer(copy)) == repr(tokenizer)
    copy.write_text(tokenizer.content + " ")
    assert BpeTokenizer(copy) != tokenizer


def edited(edit: Callable[[dict[str, Any]], Any]) -> Callable[[str], str]:
    def apply(content: str) -> str:
        value = json.loads(content)
        edit(value)
        return json.dumps(value)

    return apply


def with_step(**steps: Any) -> Callable[[str], str]:
    """The same tokenizer with another normalizer or pre_tokenizer."""

    def apply(content: str) -> str:
        stock = StockTokenizer.from_str(content)
        for name, step in steps.items():
            setattr(stock, name, step)
        return stock.to_str()

    return apply


def renamed(old: str, new: str) -> Callable[[str], str]:
    return lambda content: content.replace(f'"{old}"', f'"{new}"')


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda content: content[:1000], "not a tokenizer.json"),
        (renamed("[MASK]", "<mask>"), r"it has no token \[MASK\]"),
        (edited(lambda value: value["model"]["vocab"].update(ACGN=200)), "token 'ACGN' comes after the bases"),
        (edited(lambda value: value["model"]["vocab"].update(CCCCCCCCC=300)), "ids have gaps"),
        (edited(lambda value: value["model"].update(dropout=0.1)), "drops merges at random"),
        (edited(lambda value: value["model"].update(fuse_unk=True)), r"does not write \[UNK\]"),
        (with_step(normalizer=normalizers.Lowercase()), "normalizer turns 'A' into 'a'"),
        (with_step(normalizer=normalizers.Replace("T", "U")), "normalizer turns 'T' into 'U'"),
        (with_step(normalizer=normalizers.Replace(Regex("A+"), "A")), "normalizer turns 'A{24}' into 'A'"),
        (with_step(pre_tokenizer=pre_tokenizers.Metaspace("_")), "pre_tokenizer turns 'A' into '_A'"),
        (with_step(pre_tokenizer=pre_tokenizers.ByteLevel()), "pre_tokenizer turns 'A' into 'ĠA'"),
        (with_step(pre_tokenizer=pre_tokenizers.Split("N", "removed")), "pre_tokenizer turns 'N' into ''"),
        (edited(lambda value: value["model"]["vocab"].update({"N": 5, "A": 200})), "it has a token N"),
        (lambda content: content.replace('"version"', '"more", "version"'), "not a tokenizer.json"),
        (edited(lambda value: value["model"].update(continuing_subword_prefix="é\0")), "not a tokenizer.json"),
        (edited(lambda value: value["model"].update(end_of_word_suffix="x")), "do not spell the sequence"),
        (
            edited(lambda v: v.update(model={"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"})),
            "its model is WordLevel",
        ),
    ],
)  # fmt: skip
def test_other_tokenizers_are_refused(
    tokenizer: BpeTokenizer, tmp_path: Path, change: Callable[[str], str], why: str
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(change(tokenizer.content))
    with pytest.raises(CmgemsError, match=rf"not a BPE tokenizer of DNA in {path}: .*{why}.*tokenizer train"):
        BpeTokenizer(path)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(CmgemsError, match=r"cannot read the tokenizer in .*absent\.json"):
        BpeTokenizer(tmp_path / "absent.json")
    with pytest.raises(CmgemsError, match=r"no BPE tokenizer in tokenizer\.file: it is not set"):
        TOKENIZERS.get("bpe").encode("ACGT")


def test_sequences_that_are_no_dna(tokenizer: BpeTokenizer) -> None:
    with pytest.raises(DataError, match="found 'E'"):
        tokenizer.encode("ACGE")
    with pytest.raises(DataError, match="no sequence"):
        tokenizer.encode("")

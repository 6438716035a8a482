"""The tokenizer of a Hugging Face folder: one of ours by its tokens and its cuts, or refused with the difference."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tokenizers
from tokenizers import normalizers, pre_tokenizers
from tokenizers.models import WordLevel

from cmgems.cli.main import run
from cmgems.errors import CheckpointError, CmgemsError
from cmgems.export import read_huggingface
from cmgems.export.vocabulary import read_tokenizer
from cmgems.models import SavedModel
from cmgems.tokenization import TOKENIZERS, BpeTokenizer, StockTokenizer, write_stock

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def alphabetical(k: int) -> list[str]:
    return [*SPECIALS, *("".join(letters) for letters in itertools.product("ACGT", repeat=k))]


def stock_folder(folder: Path, tokenizer: StockTokenizer) -> Path:
    write_stock(tokenizer, folder)
    return folder


BOTH, JSON, TEXT = ("vocab.txt", "tokenizer.json"), ("tokenizer.json",), ("vocab.txt",)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        *itertools.product(["base", "kmer3", "kmer6", "nt_v1", "nt_v2"], [BOTH, JSON, TEXT]),
        *itertools.product(["bpe"], [BOTH, JSON]),  # vocab.txt has no merges
    ],
)
def test_every_tokenizer_is_found_again(
    tmp_path: Path, small_bpe: Path, name: str, files: tuple[str, ...]
) -> None:
    tokenizer = BpeTokenizer(small_bpe) if name == "bpe" else TOKENIZERS.get(name)
    folder = stock_folder(tmp_path, tokenizer)
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()
    for given in (None, name):
        found_name, found = read_tokenizer(folder, given)
        assert found_name == name
        assert found.encode("ACGTTGCANACGGT").tolist() == tokenizer.encode("ACGTTGCANACGGT").tolist()


def test_the_round_trip_through_transformers(
    small_folder: Path, small_saved: SavedModel, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    transformers.AutoModelForMaskedLM.from_pretrained(small_folder).save_pretrained(tmp_path / "tr")
    stock = transformers.AutoTokenizer.from_pretrained(small_folder)
    stock(["ACGTACGT", "ACGT"], padding=True, truncation=True, max_length=6)  # saved in tokenizer.json too
    stock.save_pretrained(tmp_path / "tr")
    for name in ("training_args.bin", "optimizer.pt", "rng_state.pth", "checkpoint-20/optimizer.pt"):
        (tmp_path / "tr" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "tr" / name).write_bytes(b"anything")
    found = read_huggingface(tmp_path / "tr")
    assert found.notes == ()
    assert (found.config, found.tokenizer, found.model_name) == (
        small_saved.config,
        small_saved.tokenizer,
        small_saved.model_name,
    )


def word_level(vocabulary: list[str], change: Callable[[tokenizers.Tokenizer], None]) -> str:
    stock = tokenizers.Tokenizer(WordLevel({t: i for i, t in enumerate(vocabulary)}, unk_token="[UNK]"))
    stock.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    change(stock)
    return stock.to_str()


def test_words_of_kmer_text_are_the_same_tokenizer(tmp_path: Path) -> None:
    """As DNABERT's own, which leaves it to the user to write the k-mers."""
    content = word_level(TOKENIZERS.get("kmer4").vocabulary(), lambda stock: None)
    (tmp_path / "tokenizer.json").write_text(content)
    assert read_tokenizer(tmp_path)[0] == "kmer4"


def lower(stock: tokenizers.Tokenizer) -> None:
    stock.normalizer = normalizers.Lowercase()


def side_by_side(stock: tokenizers.Tokenizer) -> None:
    stock.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex("...."), "isolated")


@pytest.mark.parametrize(("change", "word"), [(lower, r"\[UNK\]"), (side_by_side, "[ACGT]{4} [ACGT]{4}")])
@pytest.mark.parametrize("name", [None, "kmer4"])
def test_the_same_tokens_cut_otherwise(
    tmp_path: Path, change: Callable[[tokenizers.Tokenizer], None], word: str, name: str | None
) -> None:
    (tmp_path / "tokenizer.json").write_text(word_level(TOKENIZERS.get("kmer4").vocabulary(), change))
    message = (
        rf"another tokenizer in .*tokenizer\.json: it cuts \w+\.\.\. into {word}.*, tokenizer 'kmer4' into"
    )
    with pytest.raises(CheckpointError, match=message):
        read_tokenizer(tmp_path, name)


@pytest.mark.parametrize("name", ["kmer4", None])
@pytest.mark.parametrize("file", ["vocab.txt", "tokenizer.json"])
def test_the_same_tokens_in_another_order(tmp_path: Path, file: str, name: str | None) -> None:
    vocabulary = alphabetical(4)
    content = "\n".join(vocabulary) if file == "vocab.txt" else word_level(vocabulary, lambda stock: None)
    (tmp_path / file).write_text(content)
    message = rf"another vocabulary in .*{file}: token 6 is AAAC, that of tokenizer 'kmer4' is AAAT"
    with pytest.raises(CheckpointError, match=message):
        read_tokenizer(tmp_path, name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kmer3", r"vocab\.txt: token 5 is AAAA, that of tokenizer 'kmer3' is AAA"),
        ("nt_v1", r"vocab\.txt: token 0 is \[PAD\], that of tokenizer 'nt_v1' is <unk>"),
        ("bpe", "not a BPE tokenizer"),
        ("kmer9", "kmer"),
    ],
)
def test_another_tokenizer_than_the_folders(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(CmgemsError, match=message):
        read_tokenizer(stock_folder(tmp_path, TOKENIZERS.get("kmer4")), name)


def test_the_two_files_must_agree(tmp_path: Path, small_bpe: Path) -> None:
    folder = stock_folder(tmp_path, TOKENIZERS.get("kmer4"))
    (folder / "tokenizer.json").write_text(small_bpe.read_text())
    with pytest.raises(CheckpointError, match=r"another vocabulary in .*vocab\.txt"):
        read_tokenizer(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda tokens: tokens[:-1], "token 260 is missing, that of tokenizer 'kmer4' is GGGG"),
        (
            lambda tokens: [*tokens, "[unused0]"],
            r"token 261 is \[unused0\], that of tokenizer 'kmer4' is none",
        ),
    ],
)
def test_a_token_more_or_less(tmp_path: Path, edit: Callable[[list[str]], list[str]], message: str) -> None:
    (tmp_path / "vocab.txt").write_text("\r\n".join(edit(TOKENIZERS.get("kmer4").vocabulary())))
    with pytest.raises(CheckpointError, match=message):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [("vocab.txt", b"\xff\xfe[\x00"), ("tokenizer.json", b"{"), ("tokenizer.json", b"[]")],
)
def test_files_that_cannot_be_read_are_named(tmp_path: Path, file: str, content: bytes) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"cannot read .*{file}"):
        read_tokenizer(tmp_path, "kmer4")


def test_the_command_writes_nothing(
    small_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small_folder / "vocab.txt").write_text("\n".join(alphabetical(3)))
    assert run(["import", str(small_folder), "--tokenizer", "kmer3", "-o", str(tmp_path / "o")]) == 2
    assert "vocab.txt: token 6 is AAC" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_bpe_model_of_text_is_refused_by_what_it_does(small_bpe: Path, tmp_path: Path) -> None:
    content = json.loads(small_bpe.read_text())
    content["normalizer"] = {"type": "Lowercase"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(CmgemsError, match=r"tokenizer\.json: .*the normalizer turns 'A' into 'a'"):
        read_tokenizer(tmp_path)

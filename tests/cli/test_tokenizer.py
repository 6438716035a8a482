"""``cmgems tokenizer``."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cmgems.cli import tokenizer
from cmgems.cli.main import run
from cmgems.errors import CmgemsError
from cmgems.tokenization import BpeTokenizer

root = typer.Typer()
root.add_typer(tokenizer.app, name="tokenizer")


def test_build(tmp_path: Path) -> None:
    result = CliRunner().invoke(root, ["tokenizer", "build", "kmer3", "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "69 tokens" in result.output
    assert (tmp_path / "out" / "tokenizer.json").is_file()


def test_build_of_a_tokenizer_without_a_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(root, ["tokenizer", "build", "bpe", "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, CmgemsError)
    assert "no BPE tokenizer" in str(result.exception)
    assert not (tmp_path / "out").exists()


def train(small_genome, output: Path, *options: str) -> list[str]:
    return ["tokenizer", "train", str(small_genome.store), "-o", str(output), *options]


def test_train(small_genome, small_bpe: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "tokenizer.json"
    assert run(train(small_genome, output, "--vocab-size", "200")) == 0
    assert output.read_bytes() == small_bpe.read_bytes()
    assert run(train(small_genome, output, "--vocab-size", "20", "--sample-mbp", "0.01", "--force")) == 0
    assert BpeTokenizer(output).vocab_size == 20
    assert [path.name for path in output.parent.iterdir()] == ["tokenizer.json"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--vocab-size", "8"], "vocabulary too small in --vocab-size"),
        (["--vocab-size", "many"], "--vocab-size"),
        (["--sample-mbp", "0"], "sample out of range in --sample-mbp"),
        (["--vocab-size", "30000"], "too little sequence"),
        (["--vocab-size", "1000000000000"], "give at most 39959 tokens, not 1000000000000"),
    ],
)
def test_train_refuses(
    small_genome,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    assert run(train(small_genome, tmp_path / "tokenizer.json", *options)) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_train_overwrites_nothing_and_needs_a_store(
    small_genome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "tokenizer.json"
    output.write_text("mine")
    assert run(train(small_genome, output)) == 2
    assert "output exists" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert run(["tokenizer", "train", str(tmp_path), "-o", str(tmp_path / "other.json")]) == 2
    assert "not a genome store" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]


@pytest.mark.parametrize("output", [".", "folder"])
def test_train_refuses_a_folder_before_it_trains(
    small_genome,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    output: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cmgems.tokenization.bpe_training.train_bpe", pytest.fail)
    Path("folder").mkdir()
    assert run(train(small_genome, Path(output), "--force")) == 2
    assert "not a file in " in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tokenizer", "train", "-h"]) == 0
    assert "Example: cmgems tokenizer train" in capsys.readouterr().out


def test_unknown_name(tmp_path: Path) -> None:
    result = CliRunner().invoke(root, ["tokenizer", "build", "kmer7", "-o", str(tmp_path)])
    assert isinstance(result.exception, CmgemsError)
    assert "did you mean" in str(result.exception)
    with pytest.raises(StopIteration):
        next(tmp_path.iterdir())

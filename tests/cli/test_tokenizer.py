"""``cmgems tokenizer``."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cmgems.cli import tokenizer
from cmgems.errors import CmgemsError

root = typer.Typer()
root.add_typer(tokenizer.app, name="tokenizer")


def test_build(tmp_path: Path) -> None:
    result = CliRunner().invoke(root, ["tokenizer", "build", "kmer3", "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "69 tokens" in result.output
    assert (tmp_path / "out" / "tokenizer.json").is_file()


def test_unknown_name(tmp_path: Path) -> None:
    result = CliRunner().invoke(root, ["tokenizer", "build", "kmer7", "-o", str(tmp_path)])
    assert isinstance(result.exception, CmgemsError)
    assert "did you mean" in str(result.exception)
    with pytest.raises(StopIteration):
        next(tmp_path.iterdir())

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cmgems.cli.genome import app
from cmgems.errors import CmgemsError, DataError


def run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "in.fa"
    path.write_text(">a\nACGTNNRacgt\n>b\nGGCC\n")
    return path


def test_build_says_what_is_ambiguous(fasta: Path, tmp_path: Path) -> None:
    result = run("build", fasta, "-o", tmp_path / "store")
    assert result.exit_code == 0, result.output
    assert "2 contigs, 15 bp" in result.stdout
    assert "3 bases are not A, C, G or T (N 2, R 1): kept as N" in result.stdout


def test_build_twice_needs_force(fasta: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert run("build", fasta, "-o", store).exit_code == 0
    assert isinstance(run("build", fasta, "-o", store).exception, CmgemsError)
    assert run("build", fasta, "-o", store, "--force", "--soft-mask").exit_code == 0
    assert "4 bp in 1 runs" in run("info", store).stdout


def test_info(fasta: Path, tmp_path: Path) -> None:
    run("build", fasta, "-o", tmp_path / "store")
    result = run("info", tmp_path / "store", "--verify")
    assert result.exit_code == 0, result.output
    for text in ("15 bp", "12 bp in 3 runs", "N 2, R 1", "66.7%", "not kept"):
        assert text in result.stdout
    facts = json.loads(run("info", tmp_path / "store", "--json").stdout)
    assert facts["contigs"] == 2
    assert facts["ambiguous"] == {"N": 2, "R": 1}
    assert facts["verified"] is False


def test_names_are_no_markup(fasta: Path, tmp_path: Path) -> None:
    odd = fasta.rename(tmp_path / "a[red]b:dna:.fa")
    run("build", odd, "-o", tmp_path / "s[bold]")
    output = run("info", tmp_path / "s[bold]").stdout.replace("\n", "")
    assert "a[red]b:dna:.fa" in output
    assert "s[bold]" in output


def test_info_of_a_damaged_store(fasta: Path, tmp_path: Path) -> None:
    run("build", fasta, "-o", tmp_path / "store")
    (tmp_path / "store" / "codes.bin").write_bytes(bytes(15))
    assert run("info", tmp_path / "store").exit_code == 0
    assert "checksum" in str(run("info", tmp_path / "store", "--verify").exception)
    assert isinstance(run("info", tmp_path / "nowhere").exception, DataError)


@pytest.mark.parametrize("command", ["build", "info"])
def test_help_has_an_example(command: str) -> None:
    assert f"cmgems genome {command}" in run(command, "--help").stdout

"""``cmgems pmi``, from a genome store to a printed ranking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from cmgems.cli import pmi
from cmgems.errors import CmgemsError, DataError
from cmgems.genome.store import GenomeStore, build_store
from cmgems.pmi import PMITable

root = typer.Typer()
root.add_typer(pmi.app, name="pmi")


def store_of(folder: Path, sequence: str) -> Path:
    (folder / "genome.fa").write_text(f">one\n{sequence}\n")
    build_store([folder / "genome.fa"], folder / "store")
    return folder / "store"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    codes = np.random.default_rng(0).integers(0, 4, 5000)
    return store_of(tmp_path, "".join("ATCG"[code] for code in codes) + "NNNACGT")


def test_build_and_show(store: Path, tmp_path: Path) -> None:
    output, csv = tmp_path / "pmi.safetensors", tmp_path / "pmi.csv"
    arguments = ["pmi", "build", str(store), "-o", str(output), "--k", "4", "--csv", str(csv), "--top", "2"]
    for _ in range(2):  # a table may be built over an old one
        result = CliRunner().invoke(root, arguments)
        assert result.exit_code == 0, result.output

    table = PMITable.load(output)
    assert table.count.sum() == 4997 + 1
    assert (table.k, table.definition, table.canonical) == (4, "exact", False)
    assert table.provenance["genome_sha256"] == GenomeStore.open(store).sha256
    np.testing.assert_array_equal(PMITable.load(csv).rank, table.rank)
    assert " 256 " in result.output

    result = CliRunner().invoke(root, ["pmi", "show", str(output), "--top", "3"])
    assert result.exit_code == 0, result.output
    assert "definition: exact" in result.output
    for shown in (1, 2, 3, 254, 255, 256):
        assert f" {shown} " in result.output


def test_options_reach_the_table(store: Path, tmp_path: Path) -> None:
    output = tmp_path / "pmi.safetensors"
    options = ["--k", "3", "--definition", "genemask2023", "--canonical", "--min-count", "60"]
    result = CliRunner().invoke(root, ["pmi", "build", str(store), "-o", str(output), *options])
    assert result.exit_code == 0, result.output
    table = PMITable.load(output)
    assert (table.definition, table.canonical, table.provenance["min_count"]) == ("genemask2023", True, 60)


def test_too_small_a_genome(tmp_path: Path) -> None:
    store = store_of(tmp_path, "ACGTNACGT")
    result = CliRunner().invoke(root, ["pmi", "build", str(store), "-o", str(tmp_path / "pmi.safetensors")])
    assert isinstance(result.exception, DataError)
    assert "no 6-mer" in str(result.exception)
    assert not (tmp_path / "pmi.safetensors").exists()


def test_mistakes(store: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "pmi.safetensors")
    result = CliRunner().invoke(root, ["pmi", "build", str(store), "-o", output, "--k", "9"])
    assert result.exit_code == 2
    result = CliRunner().invoke(root, ["pmi", "build", str(store), "-o", output, "--definition", "genemask"])
    assert isinstance(result.exception, CmgemsError)
    assert "did you mean 'genemask2023'" in str(result.exception)

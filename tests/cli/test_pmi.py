"""``cmgems pmi``, from a genome store to a printed ranking."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from cmgems.cli import pmi
from cmgems.cli.main import run
from cmgems.errors import CmgemsError, DataError
from cmgems.genome.store import GenomeStore
from cmgems.pmi import PMITable, count_ngrams

root = typer.Typer()
root.add_typer(pmi.app, name="pmi")


def store_of(folder: Path, sequence: str) -> Path:
    (folder / "genome.fa").write_text(f">one\n{sequence}\n")
    GenomeStore.build([folder / "genome.fa"], folder / "store")
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
    assert "NPMI" in result.output
    assert " 255 " in result.output

    result = CliRunner().invoke(root, ["pmi", "show", str(output), "--top", "3"])
    assert result.exit_code == 0, result.output
    assert "definition: exact" in result.output
    for shown in (1, 2, 3, 254, 255, 256):
        assert f" {shown} " in result.output


@pytest.mark.parametrize("option", ["-o", "--csv"])
def test_a_folder_in_the_way_is_found_before_the_counting(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr(PMITable, "build", lambda *arguments, **options: pytest.fail("it counts"))
    result = CliRunner().invoke(
        root, ["pmi", "build", str(store), "-o", str(tmp_path / "pmi"), option, str(tmp_path)]
    )
    assert isinstance(result.exception, CmgemsError)
    assert result.exception.line() == f"not a file in {tmp_path}: it is a folder; name a file"


def test_show_of_a_csv_says_what_it_does_not_know(store: Path, tmp_path: Path) -> None:
    output, csv = str(tmp_path / "pmi.safetensors"), str(tmp_path / "pmi.csv")
    arguments = ["pmi", "build", str(store), "-o", output, "--csv", csv, "--k", "3", "--canonical"]
    assert CliRunner().invoke(root, arguments).exit_code == 0
    assert "canonical: True" in CliRunner().invoke(root, ["pmi", "show", output]).output
    shown = CliRunner().invoke(root, ["pmi", "show", csv]).output
    assert "definition: unknown\ncanonical: unknown\n" in shown


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


def test_mistakes(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cmgems.pmi.table.count_ngrams", None)  # they are found before counting
    output = str(tmp_path / "pmi.safetensors")
    result = CliRunner().invoke(root, ["pmi", "build", str(store), "-o", output, "--k", "9"])
    assert result.exit_code == 2
    result = CliRunner().invoke(root, ["pmi", "build", str(store), "-o", output, "--definition", "genemask"])
    assert isinstance(result.exception, CmgemsError)
    assert "did you mean 'genemask2023'" in str(result.exception)


@pytest.mark.slow
def test_two_processes_write_the_table_of_one(small_genome, tmp_path: Path) -> None:
    tables = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    builds = [
        ["pmi", "build", str(small_genome.store), "-o", str(table), "--workers", "2"] for table in tables
    ]
    assert CliRunner().invoke(root, builds[0]).exit_code == 0

    script = tmp_path / "in_small_chunks.py"  # so that both processes have some to count
    script.write_text(
        "import sys\nfrom cmgems.cli.main import run\nfrom cmgems.pmi import counts\n"
        "counts.CHUNK_BASES = 1000\nsys.exit(run(sys.argv[1:]))\n"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run(
        [*launch, str(script), *builds[1]],
        check=True,
        capture_output=True,
        text=True,
        timeout=240,
        env=environment,
    )
    assert result.stdout.count("ranked") == 1
    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_compare(small_genome, tmp_path: Path) -> None:
    table, picture = str(small_genome.table), tmp_path / "ranks.png"
    result = CliRunner().invoke(root, ["pmi", "compare", table, table, "-o", str(picture)])
    assert result.exit_code == 0, result.output
    assert "1.0000" in result.output
    for shown in ("first 10 ", "first 100 ", "first 1000 ", "1000 (100.0%)"):
        assert shown in result.output
    assert picture.read_bytes().startswith(b"\x89PNG")

    result = CliRunner().invoke(root, ["pmi", "compare", table, table, "--top", "7"])
    assert "7 (100.0%)" in result.output
    assert "first 10 " not in result.output


def test_compare_shows_file_names_as_they_are(
    small_genome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("[red]").write_bytes(small_genome.table.read_bytes())
    result = CliRunner().invoke(root, ["pmi", "compare", "[red]", "[red]"])
    assert result.exit_code == 0, result.output
    assert "[red] and [red]" in result.output


def test_plot(small_genome, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        root, ["pmi", "plot", str(small_genome.table), "-o", str(tmp_path / "all.png"), "--top", "20"]
    )
    assert result.exit_code == 0, result.output
    assert result.output == f"{tmp_path / 'all.png'}\n"
    assert (tmp_path / "all.png").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["compare", "{table}", "{other}"], "one ranks 6-mers, the other 3-mers"),
        (["compare", "{table}", "missing.csv"], "missing.csv"),
        (["compare", "{damaged}", "{table}"], "damaged.safetensors"),
        (["compare", "{table}", "{table}", "--top", "4097"], "use 1 to 4096"),
        (["compare", "{table}", "{table}", "--top", "0"], "--top"),
        (["compare", "{table}", "{table}", "-o", "{table}/ranks.png"], "cannot write"),
        (["plot", "missing.csv", "-o", "plots"], "missing.csv"),
        (["plot", "{damaged}", "-o", "plots"], "damaged.safetensors"),
        (["plot", "{table}", "-o", "{table}"], "cannot write"),
        (["build", "{store}", "-o", "new.safetensors", "--workers", "0"], "--workers"),
        (["build", "{store}", "-o", "new", "--csv", "./new"], "--out and --csv are the same file in new"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    expected: str,
    small_genome,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = {"table": small_genome.table, "store": small_genome.store}
    paths |= {"other": tmp_path / "other.safetensors", "damaged": tmp_path / "damaged.safetensors"}
    counts = count_ngrams(GenomeStore.open(small_genome.store), 3)
    PMITable.from_counts(counts, 3).save(paths["other"])
    paths["damaged"].write_bytes(small_genome.table.read_bytes()[:1000])
    assert run(["pmi", *(argument.format(**paths) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert len(error.strip().splitlines()) == 1
    assert expected in error
    assert {path.name for path in tmp_path.iterdir()} == {"other.safetensors", "damaged.safetensors"}

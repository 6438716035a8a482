"""One bad record among many: it stops the command, or is left out by name, the same way in every command."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cmgems.cli.main import run
from cmgems.genome import GenomeStore

CONTIG = "ACGTTGCAACGGATTCCAGT" * 2


@pytest.fixture(scope="module")
def place(tmp_path_factory, save_tiny) -> Path:
    """Two models, a store, and files in which two records of four cannot be used."""
    folder = tmp_path_factory.mktemp("place")
    for head, labels in (("masked_lm", []), ("classification", ["a", "b"])):
        save_tiny(folder / head, head, labels)
    (folder / "g.fa").write_text(f">chr1\n{CONTIG}\n")
    GenomeStore.build(folder / "g.fa", folder / "store")
    (folder / "s.fa").write_text(">a\nACGTACGT\n>bad1\nAC\n>bad2\nACGUACGU\n>d\nGGATTCCA\n")
    (folder / "none.fa").write_text(">bad1\nAC\n")
    (folder / "s.csv").write_text("name,sequence\na,ACGTACGT\nbad1,AC\nbad2,ACGUACGU\nd,GGATTCCA\n")
    (folder / "s.bed").write_text("chr1\t0\t9\ta\nchr1\t3\t3\tbad1\nCHR1\t0\t9\tbad2\nchr1\t9\t19\td\n")
    (folder / "c.vcf").write_text(
        "#CHROM\tPOS\tID\tREF\tALT\nchr1\t5\ta\tT\tC\nchr1\t6\tbad1\tC\tT\nchr1\tx\tbad2\tC\tT\nchr1\t7\td\tC\tT\n"
    )
    return folder


COMMANDS = {
    "predict": ("classification", "out.csv", "name"),
    "embed": ("masked_lm", "out.npy", "name"),
    "score": ("masked_lm", "out.csv", "name"),
    "explain": ("classification", "out", "name"),
    "variants": ("masked_lm", "out.csv", "id"),
}
TABLES = {"out.csv": "out.csv", "out.npy": "out.names.csv", "out": "out/bases.csv"}
SKIPPED = {"out.csv": "out.skipped.csv", "out.npy": "out.npy.skipped.csv", "out": "out.skipped.csv"}


def arguments(place: Path, command: str, file: str, out: Path) -> list[str]:
    store = ["--store", str(place / "store")] if file.endswith((".bed", ".vcf")) else []
    more = ["--no-importance"] if command == "explain" else []
    return [command, str(place / COMMANDS[command][0]), str(place / file), *store, *more, "-o", str(out)]


@pytest.mark.parametrize(
    ("command", "file"),
    [
        *(
            (command, file)
            for command in ("predict", "embed", "score")
            for file in ("s.fa", "s.csv", "s.bed")
        ),
        ("explain", "s.fa"),
        ("variants", "c.vcf"),
    ],
)
def test_two_of_four(place, tmp_path, capsys, command, file):
    _, name, column = COMMANDS[command]
    out = tmp_path / name
    assert run(arguments(place, command, file, out)) == 2
    refused = capsys.readouterr().err
    assert refused.count("\n") == 1
    assert refused.endswith("; --skip-invalid leaves such records out\n")
    assert not list(tmp_path.iterdir())

    assert run([*arguments(place, command, file, out), "--skip-invalid"]) == 0
    skipped = tmp_path / SKIPPED[name]
    assert f"2 records skipped, named in {skipped}\n" in capsys.readouterr().err
    named = list(csv.DictReader(skipped.open()))
    assert len(named) == 2
    assert all(row["where"].startswith(str(place / file)) and row["reason"] for row in named)
    with open(tmp_path / TABLES[name]) as table:
        assert list(dict.fromkeys(row[column] for row in csv.DictReader(table))) == ["a", "d"]


@pytest.mark.parametrize("command", ["predict", "embed", "score", "explain"])
def test_none_left(place, tmp_path, capsys, command):
    out = tmp_path / COMMANDS[command][1]
    assert run([*arguments(place, command, "none.fa", out), "--skip-invalid"]) == 2
    assert "no sequences left in" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_motifs(place, tmp_path, capsys):
    command = [
        "motifs",
        str(place / "classification"),
        str(place / "s.fa"),
        str(place / "s.csv"),
        "--min-bp",
        "1",
    ]
    assert run([*command, "-o", str(tmp_path / "out")]) == 2
    assert "; --skip-invalid leaves such records out" in capsys.readouterr().err
    code = run([*command, "-o", str(tmp_path / "out"), "--skip-invalid"])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "2 sequences compared with 2" in said.out
    assert f"4 records skipped, named in {tmp_path / 'out.skipped.csv'}" in said.err


def test_what_is_odd_is_told_in_a_line(place, tmp_path, capsys):
    (tmp_path / "s.bed").write_text("chr1\t0\t9\t-\nchr1\t1\t9\t-\n")
    command = ["embed", str(place / "masked_lm"), str(tmp_path / "s.bed"), "--store", str(place / "store")]
    assert run([*command, "-o", str(tmp_path / "e.npy")]) == 0
    strand, names = (line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: "))
    assert "column 4 seems to hold the strand, which BED has in column 6: 2 intervals" in strand
    assert names.endswith("1 name is used more than once: -")


def test_aliases(place, tmp_path, capsys):
    (tmp_path / "names.csv").write_text("NC_1,chr1\n")
    (tmp_path / "s.bed").write_text("NC_1\t0\t9\n")
    (tmp_path / "c.vcf").write_text("#CHROM\tPOS\tID\tREF\tALT\nNC_1\t5\t.\tT\tC\n")
    for command, file in (("embed", "s.bed"), ("score", "s.bed"), ("variants", "c.vcf")):
        start = [command, str(place / "masked_lm"), str(tmp_path / file), "--store", str(place / "store")]
        start += ["-o", str(tmp_path / COMMANDS[command][1])]
        assert run(start) == 2
        assert "contig 'NC_1' is not in the store" in (refused := capsys.readouterr().err)
        assert "--aliases" in refused
        assert run([*start, "--aliases", str(tmp_path / "names.csv")]) == 0


def test_prefixes(place, tmp_path, capsys):
    build = ["genome", "build", str(place / "g.fa"), str(place / "g.fa"), "-o", str(tmp_path / "both")]
    assert run(build) == 2
    assert "--prefix" in capsys.readouterr().err
    assert run([*build, "--prefix", "human_", "--prefix", "mouse_"]) == 0
    assert GenomeStore.open(tmp_path / "both").names == ["human_chr1", "mouse_chr1"]

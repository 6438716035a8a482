"""``cmgems mask``: what a user sees."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cmgems import plugins
from cmgems.cli.main import run
from cmgems.masking import STRATEGIES

PLUGIN = Path(__file__).parents[2] / "examples" / "plugin" / "cmgems_example_plugin" / "masking.py"


@pytest.fixture
def cmgems(capsys):
    """Runs one command: exit code, stdout, stderr."""

    def call(*arguments):
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    import numpy as np

    rng = np.random.default_rng(0)
    text = "".join(f">s{i}\nNN{''.join(rng.choice(list('ACGT'), 300))}\n" for i in range(3))
    (tmp_path / "some.fa").write_text(text)
    return tmp_path / "some.fa"


def test_preview(cmgems, small_genome, fasta):
    options = ["--table", small_genome.table, "--strategy", "global_pmi", "--strategy", "random_span"]
    code, out, err = cmgems("mask", "preview", fasta, *options, "--max-bp", 100, "--rate", 0.3)
    assert (code, err) == (0, "")
    for expected in ("global_pmi (ranked by token)", "random_span", "s0:1-100", "s2:1-100", "NN"):
        assert expected in out
    assert any("#" in row for row in marks(out))
    assert out == cmgems("mask", "preview", fasta, *options, "--max-bp", 100, "--rate", 0.3)[1]
    assert out != cmgems("mask", "preview", fasta, *options, "--max-bp", 100, "--rate", 0.3, "--seed", 1)[1]


def marks(out):
    """The mark rows, one string a sequence of 100 bp (lines of 80)."""
    lines = out.splitlines()
    found = []
    for i, line in enumerate(lines):
        if ": " in line and "hidden whole," in line:
            found.append(lines[i + 2].ljust(88)[8:] + lines[i + 5].ljust(28)[8:])
    return found


def test_ranking_by_position_masks_the_same_places(cmgems, small_genome, fasta):
    fasta.write_text(fasta.read_text().replace("NN", ""))
    options = ["mask", "preview", fasta, "--table", small_genome.table, "--strategy", "global_pmi"]
    options += ["--max-bp", 100, "--rate", 0.5]
    by_position = [
        {i for i, m in enumerate(row) if m == "#"}
        for row in marks(cmgems(*options, "--rank-by", "position")[1])
    ]
    by_token = [{i for i, m in enumerate(row) if m == "#"} for row in marks(cmgems(*options)[1])]
    nested = sorted(by_position, key=len)
    assert len(nested) == 3
    assert nested[0]
    assert nested[0] <= nested[1] <= nested[2]
    assert not by_token[0] == by_token[1] == by_token[2]


def test_page(cmgems, fasta, tmp_path):
    page = tmp_path / "new" / "masks.html"
    code, _, err = cmgems("mask", "preview", fasta, "--html", page, "--sequences", 2)
    assert (code, err) == (0, "")
    text = page.read_text()
    assert text.count("<h2 id=") == 3  # without a table: uniform, random_span and uniform_rate
    assert text.count("<h3 id=") == 6


@pytest.mark.parametrize("of", ["store", "fasta"])
def test_stats(cmgems, small_genome, tmp_path, of):
    path = tmp_path / "masks.csv"
    arguments = ["--table", small_genome.table, "--csv", path]
    code, out, err = cmgems("mask", "stats", getattr(small_genome, of), *arguments)
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(path.open()))
    ranked = [(row["strategy"], row["rank_by"]) for row in rows]
    assert ranked == [
        ("uniform", ""), ("random_span", ""), ("uniform_rate", ""),
        ("genemask", "token"), ("genemask", "position"),
        ("annealed", "token"), ("annealed", "position"),
        ("global_pmi", "token"), ("global_pmi", "position"),
    ]  # fmt: skip
    assert len(out.splitlines()) == 1 + len(rows) + 3
    figures = dict(zip(ranked, rows, strict=True))
    mean_rank = {key: float(row["mean_rank"]) for key, row in figures.items()}
    assert mean_rank["global_pmi", "token"] < mean_rank["annealed", "token"] < mean_rank["uniform", ""]


def test_stretches_between_ns_are_masked(cmgems, fasta):
    code, out, err = cmgems("mask", "stats", fasta)
    assert (code, err) == (0, "")
    assert "\n3 windows of up to 510 bp." in out
    fasta.write_text(f">one\nACGT{'N' * 9}{'ACGTTG' * 100}N\n")
    assert "\n2 windows of up to 510 bp." in cmgems("mask", "stats", fasta)[1]  # 510 and 90 bp
    assert cmgems("mask", "preview", fasta, "--target-rate", 0.2)[0] == 0


@pytest.mark.parametrize("option", ["--rate", "--target-rate"])
def test_a_rate_leaves_out_strategies_that_have_their_own(cmgems, fasta, option):
    code, out, err = cmgems("mask", "stats", fasta, option, 0.2)
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["uniform", "random_span"]
    assert "uniform_rate" not in out
    code, _, err = cmgems("mask", "stats", fasta, option, 0.2, "--strategy", "uniform_rate")
    assert code == 2
    assert f"`{option[2:].replace('-', '_')}` says nothing about masking strategy 'uniform_rate'" in err


def test_strategies_with_options_of_their_own(cmgems, small_genome, tmp_path):
    path = tmp_path / "masks.csv"
    named = [
        "random_span",
        "random_span+wider=8",
        "uniform_rate+lowest=0.1+highest=0.2",
        "annealed+temperature=5",
    ]
    weights = ",".join(["9", *"1" * 9])
    named.append(f"loss_weighted+weights=[{weights}]")
    strategies = [text for name in named for text in ("--strategy", name)]
    code, _, err = cmgems(
        "mask", "stats", small_genome.store, "--table", small_genome.table, "--csv", path, *strategies
    )
    assert (code, err) == (0, "")
    rows = {row["strategy"]: row for row in csv.DictReader(path.open()) if row["rank_by"] != "position"}
    assert list(rows) == named
    hidden = {name: float(row["hidden_share"]) for name, row in rows.items()}
    assert hidden["random_span+wider=8"] > 2 * hidden["random_span"]
    assert float(rows[named[2]]["token_share"]) == pytest.approx(0.15, abs=0.01)
    assert float(rows[named[4]]["rank_tenth_1"]) > 1.4 * float(rows["random_span"]["rank_tenth_1"])


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("random_span+wider=-1", "`wider` must be 0 or more, but is -1"),
        ("random_span+wide=1", "unknown key 'wide'"),
        ("random_span+wider", "option without a value: 'wider' in strategy random_span+wider"),
        ("random_spam+wider=1", "unknown masking strategy 'random_spam'; did you mean 'random_span'"),
        ("uniform_rate+highest=2", "`lowest` and `highest` must be from 0 to 1"),
    ],
)
def test_bad_options_are_one_line(cmgems, fasta, strategy, message):
    code, out, err = cmgems("mask", "preview", fasta, "--strategy", strategy)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.fixture
def forgotten(monkeypatch):
    """What a plugin registers in a test is gone after it."""
    monkeypatch.setattr(STRATEGIES, "_prototypes", dict(STRATEGIES._prototypes))
    monkeypatch.setattr(plugins, "_loaded", set(plugins._loaded))


def test_ls(cmgems, forgotten):
    code, out, err = cmgems("mask", "ls", "--plugin", PLUGIN)
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    schedules = lines.index("masking.rate_schedule:")
    ways, rates = lines[1:schedules], lines[schedules + 1 :]
    assert lines[0] == "masking.curriculum:"
    assert {line.split()[0] for line in ways} >= {"cm_gems", "genemask", "random_mask", "every_other"}
    assert any(line.startswith("uniform Single tokens at random") for line in ways)
    assert "every_other Masks half of the tokens." in ways
    assert [line.split()[0] for line in rates] == ["constant", "cosine", "linear"]


@pytest.mark.parametrize("command", ["preview", "stats"])
def test_a_strategy_of_a_plugin(cmgems, fasta, forgotten, command):
    code, out, err = cmgems("mask", command, fasta, "--plugin", PLUGIN, "--strategy", "every_other")
    assert (code, err) == (0, "")  # it reads no ranks: no table
    assert "every_other" in out
    assert "ranked by token" not in out


def test_a_target_rate_is_met(cmgems, small_genome, tmp_path):
    path = tmp_path / "masks.csv"
    options = ["--table", small_genome.table, "--target-rate", 0.2, "--csv", path]
    assert cmgems("mask", "stats", small_genome.store, *options, "--strategy", "global_pmi")[0] == 0
    for row in csv.DictReader(path.open()):
        assert abs(float(row["token_share"]) - 0.2) < 0.02  # 80 windows


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--strategy", "genemask"], "masking strategy 'genemask' needs a PMI table in table (--table)"),
        (["--strategy", "genemaks"], "unknown masking strategy 'genemaks'; did you mean 'genemask'?"),
        (["--rate", "2"], "`rate` must be between 0 and 1"),
        (["--target-rate", "1"], "`target_rate` must be between 0 and 1"),
        (["--rate", "0.2", "--target-rate", "0.2"], "`rate` and `target_rate` are both set"),
        (["--k", "7"], "k out of range"),
        (["--seed", 2**64], "Invalid value for '--seed'"),
        (["--table", "nowhere.csv"], "nowhere.csv"),
    ],
)
@pytest.mark.parametrize("command", ["preview", "stats"])
def test_mistakes_are_one_line(cmgems, fasta, command, arguments, error):
    code, out, err = cmgems("mask", command, fasta, *arguments)
    assert (code, out) == (2, "")
    assert error in err
    assert err.count("\n") == 1


def test_a_table_of_another_k_is_refused(cmgems, small_genome, fasta):
    code, _, err = cmgems("mask", "stats", fasta, "--table", small_genome.table, "--k", "4")
    assert code == 2
    assert "build a table with --k 4" in err


@pytest.mark.parametrize("command", ["preview", "stats"])
def test_the_largest_seed(cmgems, fasta, command):
    assert cmgems("mask", command, fasta, "--seed", 2**64 - 1)[0] == 0


def test_sequences_without_bases_are_passed_over(cmgems, tmp_path):
    (tmp_path / "late.fa").write_text(f">n\n{'N' * 60}\n>s\n{'ACGTTG' * 10}\n")
    code, out, err = cmgems("mask", "preview", tmp_path / "late.fa", "--sequences", 1)
    assert (code, err) == (0, "")
    assert "s:1-60" in out


def test_sequences_without_bases_are_refused(cmgems, tmp_path):
    (tmp_path / "n.fa").write_text(">n\nNNNNNNNNNNNN\n")
    for command in ("preview", "stats"):
        code, _, err = cmgems("mask", command, tmp_path / "n.fa")
        assert code == 2
        assert err.startswith("error: no ")

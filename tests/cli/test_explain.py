"""``cmgems explain`` and ``cmgems motifs`` from end to end, on a saved model."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from cmgems.cli.main import run

LONG = "ACGTTGCAACGGATTCCAGT" * 5


@pytest.fixture(scope="module")
def models(tmp_path_factory, save_tiny):
    """The same tiny encoder with several heads; takes 30 bp at once."""
    folder = tmp_path_factory.mktemp("models")
    heads = {
        "masked_lm": [],
        "classification": ["other", "promoter"],
        "token_classification": ["exon", "intron"],
    }
    for head, labels in heads.items():
        save_tiny(folder / head, head, labels)
    return folder


@pytest.fixture
def place(tmp_path):
    """Sequences: a long and a short one; two sets, one with a motif; one of N only."""
    rng = np.random.default_rng(0)
    (tmp_path / "s.fa").write_text(f">long\n{LONG}\n>short\nACGTNACGTTGCA\n")
    (tmp_path / "n.fa").write_text(f">n\n{'N' * 40}\n")
    for name, motif in (("pos", "GATTACGT"), ("neg", "")):
        lines = []
        for i in range(40):
            bases = "".join(rng.choice(list("ACGT"), 28))
            lines.append(f">{name}{i}\n{(bases[:10] + motif + bases[10:])[:28]}\n")
        (tmp_path / f"{name}.fa").write_text("".join(lines))
    return tmp_path


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open()))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("head", ["classification", "masked_lm"])
def test_explain(models, place, capsys, head):
    out = place / "out"
    assert (
        run(["explain", str(models / head), str(place / "s.fa"), "-o", str(out), "--batch-tokens", "200"])
        == 0
    )
    assert capsys.readouterr().out == f"{out}: 2 sequences, 113 bases\n"
    assert files(out) == [
        "bases.csv", "explain.html", "figures/1_bases.png", "figures/2_bases.png", "figures/2_maps.png",
    ]  # fmt: skip
    found = rows(out / "bases.csv")
    assert list(found[0]) == ["name", "position", "base", "attention", "importance"]
    assert "".join(row["base"] for row in found) == LONG + "ACGTNACGTTGCA"
    assert [int(row["position"]) for row in found] == [*range(1, 101), *range(1, 14)]
    assert [row["importance"] == "" for row in found[100:]] == [row["base"] == "N" for row in found[100:]]
    assert np.mean([float(row["attention"]) for row in found]) == pytest.approx(1, abs=0.1)
    if head == "masked_lm":
        run(["score", str(models / head), str(place / "s.fa"), "-o", str(place / "scores.csv")])
        scores = [row["log_likelihood"] for row in rows(place / "scores.csv")]
        assert [float(row["importance"] or 1) for row in found] == pytest.approx(
            [float(score or 1) for score in scores], abs=1e-4
        )


@pytest.mark.slow
def test_the_other_class_gives_the_opposite(models, place):
    found = {}
    for label in ("other", "promoter"):
        arguments = ["explain", str(models / "classification"), str(place / "s.fa"), "--label", label]
        assert run([*arguments, "-o", str(place / label)]) == 0
        found[label] = np.array([float(row["importance"] or 0) for row in rows(place / label / "bases.csv")])
    assert found["other"] == pytest.approx(-found["promoter"], abs=1e-5)


@pytest.mark.slow
def test_attention_alone_of_any_layer_and_head(models, place):
    attention = set()
    for options in (["--layer", "1"], ["--layer", "2"], ["--head", "3"]):
        out = place / "_".join(options)
        arguments = ["explain", str(models / "token_classification"), str(place / "s.fa"), "--no-importance"]
        assert run([*arguments, *options, "-o", str(out)]) == 0
        found = rows(out / "bases.csv")
        assert {row["importance"] for row in found} == {""}
        attention.add(tuple(row["attention"] for row in found))
    assert len(attention) == 3


@pytest.mark.parametrize("by", ["attention", "importance"])
def test_motifs(models, place, capsys, by):
    pytest.importorskip("logomaker")
    out = place / "motifs"
    sets = [str(place / "pos.fa"), str(place / "neg.fa")]
    arguments = ["motifs", str(models / "classification"), *sets, "--by", by, "--min-bp", "1", "--width", "5"]
    assert run([*arguments, "-o", str(out)]) == 0
    assert "1 motifs: " in capsys.readouterr().out
    assert files(out) == ["logos/motif_1.png", "motifs.csv", "motifs.html", "motifs.meme", "sites.csv"]
    assert {row["word"] in "GATTACGT" for row in rows(out / "motifs.csv")[:2]} == {True}
    sites = rows(out / "sites.csv")
    assert int(rows(out / "motifs.csv")[0]["sites"]) == len(sites)
    assert "ATTAC" in (out / "motifs.meme").read_text()


def test_no_motif_is_no_failure(models, place, capsys):
    pytest.importorskip("logomaker")
    sets = [str(place / "neg.fa"), str(place / "neg.fa")]
    assert run(["motifs", str(models / "masked_lm"), *sets, "-o", str(place / "out")]) == 0
    assert capsys.readouterr().out == f"{place / 'out'}: 0 motifs: none; 40 sequences compared with 40\n"
    assert (place / "out" / "motifs.html").is_file()


EXPLAIN = ["explain", "{classification}", "{s.fa}", "-o", "{out}"]
MOTIFS = ["motifs", "{classification}", "{pos.fa}", "{neg.fa}", "-o", "{out}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["motifs", "{classification}", "{pos.fa}", "-o", "{out}"], "Missing argument 'NEGATIVES'"),
        (["motifs", "{masked_lm}", "{pos.fa}", "{neg.fa}", "-o", "{out}", "--by", "importance"],
         "not a fine-tuned model"),
        (["motifs", "{token_classification}", "{pos.fa}", "{neg.fa}", "-o", "{out}", "--by", "importance"],
         "no importance"),
        ([*MOTIFS, "--width", "30"], "`width` must be 4 to 12"),
        ([*MOTIFS, "--min-bp", "6", "--window", "200"], "`window` must be"),
        ([*MOTIFS, "--label", "promoter"], "a label without importance"),
        ([*MOTIFS, "--layer", "5"], "`layer` is 5, the model has 2 layers"),
        ([*MOTIFS[:3], "{n.fa}", "-o", "{out}"], "no stretch of 3 bases A, C, G, T"),
        (["explain", "{classification}", "{n.fa}", "-o", "{out}"], "no stretch of 3 bases A, C, G, T"),
        (["explain", "{token_classification}", "{s.fa}", "-o", "{out}"], "it classifies every base"),
        (["explain", "{masked_lm}", "{s.fa}", "-o", "{out}", "--label", "promoter"],
         "a masked language model has none"),
        ([*EXPLAIN, "--label", "promotor"], "did you mean 'promoter'"),
        ([*EXPLAIN, "--label", "promoter", "--no-importance"], "a label without importance"),
        ([*EXPLAIN, "--layer", "0"], "no such layer"),
        ([*EXPLAIN, "--head", "5"], "`head` is 5, a layer has 4 heads"),
        ([*EXPLAIN[:-1], "{s.fa}"], "output exists"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_nothing_is_written(models, place, capfd, arguments, message):
    before = files(place)
    filled = [
        str((models if (models / part[1:-1]).is_dir() else place) / part[1:-1]) if part[0] == "{" else part
        for part in arguments
    ]
    assert run(filled) == 2
    printed = capfd.readouterr().err.splitlines()
    assert len(printed) == 1
    assert printed[0].startswith("error: ")
    assert message in printed[0]
    assert files(place) == before


def test_no_sequence_above_its_mean(models, place, capfd):
    pytest.importorskip("logomaker")
    (place / "flat.fa").write_text(">flat\nACGT\n")
    arguments = ["motifs", str(models / "classification"), str(place / "flat.fa"), str(place / "neg.fa")]
    assert run([*arguments, "-o", str(place / "out")]) == 2
    assert "no region of high signal" in capfd.readouterr().err

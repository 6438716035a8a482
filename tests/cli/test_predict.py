"""``cmgems predict`` with every head, against the model itself."""

from __future__ import annotations

import csv

import pytest
import torch

from cmgems.cli.main import run
from cmgems.models import MODELS, build_model, load_model, save_model
from cmgems.tokenization import TOKENIZERS

LABELS = ["a", "b", "c"]
BASES = {"one": "ACGTTGCAAC" * 2, "other": "GGGCCATTTA"}
LONG = "ACGTTGCAACGGATTCCAGT" * 5


@pytest.fixture
def predict(tmp_path):
    """Runs the command on a model with a head, of 3-mers, 30 bp at once; gives the rows and the model."""

    def predict(head, sequences):
        torch.manual_seed(0)
        config = MODELS.build("logo_tiny", vocab_size=69, max_positions=30)
        (tmp_path / head).mkdir()
        save_model(
            tmp_path / head,
            outspoken(build_model(config, head, len(LABELS))),
            model_name="logo_tiny",
            config=config,
            head=head,
            tokenizer_name="kmer3",
            tokenizer=TOKENIZERS.get("kmer3"),
            labels=LABELS,
        )
        (tmp_path / "s.fa").write_text("".join(f">{name}\n{bases}\n" for name, bases in sequences.items()))
        out = tmp_path / "out.csv"
        assert run(["predict", str(tmp_path / head), str(tmp_path / "s.fa"), "-o", str(out)]) == 0
        return list(csv.DictReader(out.open())), load_model(tmp_path / head)

    return predict


def test_the_input_is_not_written_over(predict, tmp_path, capsys):
    predict("classification", BASES)
    before = (tmp_path / "s.fa").read_text()
    (tmp_path / "link.fa").symlink_to(tmp_path / "s.fa")
    for out in ("s.fa", "link.fa"):
        code = run(
            ["predict", str(tmp_path / "classification"), str(tmp_path / "s.fa"), "-o", str(tmp_path / out)]
        )
        assert code == 2
        assert f"the output is the input in {tmp_path / out}; give another" in capsys.readouterr().err
    assert (tmp_path / "s.fa").read_text() == before


@pytest.mark.parametrize("name", ["out.csv.gz", "out.tsv", "out.parquet", "-"])
def test_names_of_what_is_not_written(predict, tmp_path, capsys, name):
    predict("classification", BASES)
    assert (
        run(["predict", str(tmp_path / "classification"), str(tmp_path / "s.fa"), "-o", str(tmp_path / name)])
        == 2
    )
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: cannot write" if name == "-" else "error: not written in this format in ")
    assert not (tmp_path / name).exists()


def outspoken(model):
    """With larger weights than those of a fresh head, for answers that differ."""
    for parameter in model.head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


@torch.no_grad()
def logits_of(saved, bases):
    return saved.model(torch.from_numpy(saved.tokenizer.encode(bases)).long()[None])[0]


def numbers(row, prefix="p_"):
    return [float(row[f"{prefix}{label}"]) for label in LABELS]


def test_classes(predict):
    rows, saved = predict("classification", BASES)
    assert [row["name"] for row in rows] == list(BASES)
    for row, bases in zip(rows, BASES.values(), strict=True):
        p_C = logits_of(saved, bases).softmax(-1)
        assert numbers(row) == pytest.approx(p_C.tolist(), abs=2e-6)
        assert row["label"] == LABELS[int(p_C.argmax())]


def test_label_sets(predict):
    rows, saved = predict("multi_label", BASES)
    for row, bases in zip(rows, BASES.values(), strict=True):
        p_C = logits_of(saved, bases).sigmoid().tolist()
        assert numbers(row) == pytest.approx(p_C, abs=2e-6)
        assert row["labels"] == ";".join(label for label, p in zip(LABELS, p_C, strict=True) if p > 0.5)
    assert len({row["labels"] for row in rows} | {""}) > 1


def test_quantities(predict):
    rows, saved = predict("regression", BASES)
    for row, bases in zip(rows, BASES.values(), strict=True):
        assert list(row) == ["name", *LABELS]
        assert numbers(row, "") == pytest.approx(logits_of(saved, bases).tolist(), rel=1e-5, abs=1e-6)


def test_bases(predict):
    rows, saved = predict("token_classification", BASES)
    assert "".join(row["base"] for row in rows) == "".join(BASES.values())
    assert [int(row["position"]) for row in rows] == [*range(1, 21), *range(1, 11)]
    for name, bases in BASES.items():
        p_TC = logits_of(saved, bases)[1:-1].softmax(-1)
        # A 3-mer speaks for its second base; at the ends the nearest does.
        p_LC = torch.cat([p_TC[:1], p_TC, p_TC[-1:]])
        of_name = [row for row in rows if row["name"] == name]
        for row, p_C in zip(of_name, p_LC, strict=True):
            assert numbers(row) == pytest.approx(p_C.tolist(), abs=2e-6)
            assert row["label"] == LABELS[int(p_C.argmax())]
    assert len({row["label"] for row in rows}) > 1


@pytest.mark.parametrize("head", ["regression", "multi_label"])
def test_windows_of_a_long_sequence_are_averaged(predict, head):
    rows, saved = predict(head, {"long": LONG})
    cut = [LONG[start : start + 30] for start in (0, 14, 28, 42, 56, 70)]
    mean_C = torch.stack([logits_of(saved, bases) for bases in cut]).mean(0)
    if head == "regression":
        assert numbers(rows[0], "") == pytest.approx(mean_C.tolist(), rel=1e-4, abs=1e-5)
    else:
        assert numbers(rows[0]) == pytest.approx(mean_C.sigmoid().tolist(), abs=1e-5)


def test_every_base_of_a_long_sequence_has_a_row(predict):
    rows, _ = predict("token_classification", {"long": LONG})
    assert [int(row["position"]) for row in rows] == list(range(1, 101))
    assert all(sum(numbers(row)) == pytest.approx(1, abs=3e-6) for row in rows)

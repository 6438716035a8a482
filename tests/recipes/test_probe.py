"""The probe recipe: scores, few-shot draws, going on after a kill, mistakes; and in an evaluation."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from cmgems.cli.main import run
from cmgems.inference import layers


def command(data, out, *overrides):
    return ["run", "probe", "--config", "tiny", f"data.dir={data}", "tokenizer=kmer3", "compute.threads=1",
            "compute.device=cpu", *overrides, "-o", str(out)]  # fmt: skip


def summary(out):
    return json.loads((out / "summary.json").read_text())


@pytest.fixture(scope="module")
def probed(small_labelled, tmp_path_factory):
    out = tmp_path_factory.mktemp("probe") / "run"
    assert run(command(small_labelled, out)) == 0
    return out


def test_composition_is_read_off_random_vectors(probed):
    scores = summary(probed)
    assert scores["test_auc"] > 0.9
    assert (scores["train_sequences"], scores["dev_sequences"], scores["test_sequences"]) == (120, 40, 40)
    assert scores["chosen_on"] == "dev"
    assert scores["probe"].startswith("logistic, C = ")
    rows = list(csv.DictReader((probed / "layers.csv").open()))
    assert [row["layer"] for row in rows] == ["0", "1", "2"]
    best = max(rows, key=lambda row: float(row["dev mcc"]))
    assert int(best["layer"]) == scores["layer"]
    assert {path.name for path in probed.iterdir()} == {
        ".lock", "config.yaml", "inputs.json", "summary.json", "layers.csv",
    }  # fmt: skip


def test_the_same_command_again_does_nothing(probed, small_labelled, capsys):
    before = (probed / "summary.json").read_bytes()
    assert run(command(small_labelled, probed)) == 0
    assert "has finished already" in capsys.readouterr().err
    assert (probed / "summary.json").read_bytes() == before


def test_killed_while_embedding_it_goes_on_with_what_is_there(probed, small_labelled, tmp_path, monkeypatch):
    real, made = layers._write, []

    def write(*arguments):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(real(*arguments))

    out = tmp_path / "run"
    monkeypatch.setattr(layers, "_write", write)
    assert run(command(small_labelled, out)) == 130
    assert len(list((out / "vectors").iterdir())) == 2
    made.clear()
    assert run(command(small_labelled, out)) == 0
    assert len(made) == 1
    assert (out / "summary.json").read_bytes() == (probed / "summary.json").read_bytes()


@pytest.mark.parametrize(
    ("overrides", "chosen_on", "rows"),
    [
        (["data.shots=10"], "5-fold cross-validation of train", 20),
        (["data.shots=1", "pool=cls", "layers=[-1,0]"], "nothing", 2),
    ],
)
def test_few_shots_are_chosen_by_themselves(small_labelled, tmp_path, overrides, chosen_on, rows):
    assert run(command(small_labelled, tmp_path / "run", *overrides)) == 0
    found = summary(tmp_path / "run")
    assert (found["chosen_on"], found["train_sequences"], found["dev_sequences"]) == (chosen_on, rows, 0)
    assert found["test_sequences_in_train"] == 0
    assert (tmp_path / "run" / "layers.csv").is_file() == (chosen_on != "nothing")


@pytest.mark.parametrize(
    ("task", "metric"), [("regression", "pearson"), ("multi_label", "average_precision")]
)
def test_other_tasks(tmp_path, task, metric):
    rng = np.random.default_rng(0)
    for split, rows in (("train", 80), ("test", 40)):
        lines = ["sequence,gc,rich"]
        for share in rng.uniform(0.2, 0.8, rows):
            bases = "".join(
                rng.choice(list("ACGT"), 40, p=[(1 - share) / 2, share / 2, share / 2, (1 - share) / 2])
            )
            lines.append(
                f"{bases},{int(share > 0.5) if task == 'multi_label' else share:.3g},{int(bases[0] == 'A')}"
            )
        (tmp_path / f"{split}.csv").write_text("\n".join(lines) + "\n")
    overrides = [f"task={task}", "data.labels=[gc,rich]", "both_strands=true"]
    assert run(command(tmp_path, tmp_path / "run", *overrides)) == 0
    assert summary(tmp_path / "run")[f"test_{metric}"] > 0.3


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["layers=[7]"], "no such layer in layers: 7 of 2 layers; give 0 (the embeddings) to 2, or -1"),
        (["layers=[]"], "`layers` must name one or more"),
        (["data.max_tokens=20"], "`data` must have no max_tokens"),
        (["task=token_classification"], "`task` must be of whole sequences"),
        (["task.class_weights=balanced"], "`task` must have no option but its metric"),
        (["pool=max"], "pool"),
        (["data.shots=900"], "fewer rows than shots"),
    ],
)
def test_mistakes_are_one_line(small_labelled, tmp_path, capsys, overrides, message):
    assert run(command(small_labelled, tmp_path / "run", *overrides)) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert message in line
    assert not (tmp_path / "run" / "summary.json").exists()


def evaluate(data, out, *overrides):
    return ["run", "evaluate", "--config", "probe", f"data.dir={data}", "model=logo_tiny", "tokenizer=kmer3",
            "draws=2", "yardsticks=false", "compute.threads=1", "compute.device=cpu", *overrides,
            "-o", str(out)]  # fmt: skip


def test_an_evaluation_embeds_each_sequence_once(small_labelled, tmp_path, monkeypatch):
    real, embedded = layers._write, []
    monkeypatch.setattr(
        layers, "_write", lambda *arguments: embedded.append(len(arguments[1])) or real(*arguments)
    )
    out = tmp_path / "run"
    assert run(evaluate(small_labelled, out, "finetune.layers=[0,-1]")) == 0
    records = json.loads((out / "results.json").read_text())["records"]
    assert [(record["shots"], record["seed"]) for record in records] == [
        (None, 0), (10, 0), (10, 1), (1, 0), (1, 1),
    ]  # fmt: skip
    assert {"layer", "probe", "chosen_on", "test_mcc"} <= set(records[0]["summary"])
    # Train, dev and test once, and the few training rows of each draw. Only seed 0 has the weights of the whole set.
    assert sorted(embedded) == [2, 2, 20, 20, 40, 40, 40, 120]
    name = small_labelled.name
    assert not (out / name / "vectors").exists()
    before = (out / "results.json").read_bytes()
    assert run(evaluate(small_labelled, out, "finetune.layers=[0,-1]")) == 0
    assert len(embedded) == 8
    assert (out / "results.json").read_bytes() == before


def test_vectors_are_kept_with_the_models(small_labelled, tmp_path):
    out = tmp_path / "run"
    assert run(evaluate(small_labelled, out, "datasets=[*]", "keep_models=true", "finetune.layers=[-1]")) == 0
    assert len(list((out / small_labelled.name / "vectors").iterdir())) == 3


def test_settings_of_benchmarks_that_train_do_not_matter(small_labelled, tmp_path):
    gue = tmp_path / "GUE" / "prom" / "prom_core_tata"
    gue.parent.mkdir(parents=True)
    gue.symlink_to(small_labelled)
    assert (
        run(evaluate(tmp_path / "GUE", tmp_path / "run", "benchmark=gue", "datasets=[prom_core_tata]")) == 0
    )
    assert (tmp_path / "run" / "prom" / "prom_core_tata" / "seed0" / "summary.json").is_file()

"""Fine-tuning on quantities, several labels and classes of bases: planted signals are found, mistakes are told."""

from __future__ import annotations

import csv
import json
import signal

import numpy as np
import pytest
import torch

from cmgems.cli.main import run
from cmgems.models import load_model
from cmgems.runs import read_metric_log
from cmgems.runs.summary import is_metric
from cmgems.tasks import TASKS
from cmgems.tasks.metrics import quantity_metrics

ROWS = {"train": 160, "dev": 40, "test": 40}
SCORES = {
    "regression": {"pearson", "spearman", "r2", "mse"},
    "multi_label": {"macro_f1", "micro_f1", "auc", "average_precision"},
    "token_classification": {"accuracy", "macro_f1", "mcc"},
}

WEIGHTS = {
    "multi_label": ["task.positive_weights=balanced", "task.label_smoothing=0.1"],
    "token_classification": ["task.class_weights=[1,3]", "task.label_smoothing=0.1"],
}


def cells(task, bases):
    """Labels that depend on the composition, or of a base on whether it is G or C."""
    gc, a = sum(bases.count(base) for base in "GC") / len(bases), bases.count("A") / len(bases)
    if task == "regression":
        return f"{1000 + 50 * gc:.4f},{-1e-3 * a:.8f}"
    if task == "multi_label":
        return ";".join(name for name, holds in (("rich", gc > 0.5), ("many_a", a > 0.25)) if holds)
    return "".join("01"[base in "GC"] for base in bases)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder for each task."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for split, rows in ROWS.items():
        shares = rng.uniform(0.1, 0.9, rows)
        sequences = [
            "".join(rng.choice(list("ACGT"), 60, p=[(1 - g) / 2, g / 2, g / 2, (1 - g) / 2])) for g in shares
        ]
        for task in SCORES:
            (folder / task).mkdir(exist_ok=True)
            header = "sequence,gc,kilo_a" if task == "regression" else "sequence,label"
            lines = [header, *(f"{bases},{cells(task, bases)}" for bases in sequences)]
            (folder / task / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return folder


def short_of_memory(loss):
    """A task's loss that fits into memory for four rows at most."""

    def limited(self, logits, labels):
        if len(logits) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return loss(self, logits, labels)

    return limited


def command(task, folder, out, *overrides):
    columns = ["data.labels=[gc,kilo_a]"] if task == "regression" else []
    return [
        "run", "finetune", "--config", "tiny", f"task={task}", f"data.dir={folder}", *columns,
        "tokenizer=kmer3", "optim.lr=3e-3", "epochs=4", "compute.threads=1", "compute.precision=fp32",
        *overrides, "-o", str(out),
    ]  # fmt: skip


@pytest.fixture(scope="module", params=SCORES)
def finished(request, data, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param) / "run"
    assert run(command(request.param, data / request.param, out)) == 0
    return request.param, out


def summary(out):
    return json.loads((out / "summary.json").read_text())


def figures(out):
    return [{k: v for k, v in r.items() if k != "seconds"} for r in read_metric_log(out / "metrics.jsonl")]


def predict(out, data, task, tmp_path):
    """The rows predicted for the test set, and the cells of its labels."""
    rows = list(csv.reader((data / task / "test.csv").open()))[1:]
    (tmp_path / "s.fa").write_text("".join(f">{i}\n{row[0]}\n" for i, row in enumerate(rows)))
    assert run(["predict", str(out), str(tmp_path / "s.fa"), "-o", str(tmp_path / "p.csv")]) == 0
    return list(csv.DictReader((tmp_path / "p.csv").open())), [row[1:] for row in rows]


def test_the_planted_signal_is_found(finished):
    task, out = finished
    scores = summary(out)
    assert {name.removeprefix("test_") for name in scores if is_metric(name)} == SCORES[task]
    assert {"test_sequences", "test_sequences_in_train"} <= scores.keys()
    best = {"regression": "pearson", "multi_label": "auc", "token_classification": "mcc"}[task]
    assert scores[f"test_{best}"] > 0.9


def test_the_saved_model_has_the_head_and_the_names(finished):
    task, out = finished
    saved = load_model(out)
    assert saved.head == task
    names = {"regression": ["gc", "kilo_a"], "multi_label": ["many_a", "rich"]}
    assert saved.labels == names.get(task, ["0", "1"])


def test_predictions_are_those_of_the_test_scores(finished, data, tmp_path):
    task, out = finished
    found, labels = predict(out, data, task, tmp_path)
    scores = summary(out)
    if task == "regression":
        predicted_NC = np.array([[float(row["gc"]), float(row["kilo_a"])] for row in found])
        again = quantity_metrics(np.array(labels, np.float64), predicted_NC)
        # A mean of 1,000 beside a spread of 10 costs float32 five digits of ten.
        assert again == pytest.approx({name: scores[f"test_{name}"] for name in again}, rel=1e-3)
        assert 1000 < predicted_NC[:, 0].mean() < 1050
    elif task == "multi_label":
        hits = [set(filter(None, row["labels"].split(";"))) for row in found]
        held = [set(filter(None, label.split(";"))) for (label,) in labels]
        both = sum(len(a & b) for a, b in zip(hits, held, strict=True))
        micro_f1 = 2 * both / sum(len(a) + len(b) for a, b in zip(hits, held, strict=True))
        assert micro_f1 == pytest.approx(scores["test_micro_f1"])
    else:
        truth = "".join(label for (label,) in labels)
        # Tokens are scored, which leaves out the two bases at the ends; few bases are wrong anyway.
        inner = [i for i in range(len(truth)) if 0 < i % 60 < 59]
        right = np.mean([found[i]["label"] == truth[i] for i in inner])
        assert right == pytest.approx(scores["test_accuracy"])


@pytest.mark.parametrize("step", [7, pytest.param(40, marks=pytest.mark.slow)])
def test_stopped_in_an_epoch_and_resumed_is_the_same_to_the_bit(
    step, finished, data, tmp_path, at_step, monkeypatch
):
    task, out = finished
    again = tmp_path / "again"
    at_step(step, lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit):
        run(command(task, data / task, again, "checkpoint.every=3"))
    assert not (again / "summary.json").exists()
    monkeypatch.undo()
    assert run(command(task, data / task, again)) == 0
    assert figures(again) == figures(out)
    assert summary(again) == summary(out)
    ours, theirs = load_model(again).model.state_dict(), load_model(out).model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    "task",
    [pytest.param(task, marks=[pytest.mark.slow] * (task != "token_classification")) for task in SCORES],
)
def test_few_rows_at_once_give_the_same_steps(task, data, tmp_path, monkeypatch, capsys):
    """As set, and where memory is short: a part counts for as much as it has labels."""
    losses, weights = {}, WEIGHTS.get(task, [])
    for name, more in {"whole": [], "parts": ["compute.micro_batch=3"], "short": []}.items():
        if name == "short":
            monkeypatch.setattr(type(TASKS.get(task)), "loss", short_of_memory(type(TASKS.get(task)).loss))
        assert (
            run(command(task, data / task, tmp_path / name, "dropout=0", "max_steps=4", *more, *weights)) == 0
        )
        losses[name] = [record["loss"] for record in figures(tmp_path / name) if "loss" in record]
    assert "4 sequences at a time" in capsys.readouterr().err
    assert losses["parts"] == pytest.approx(losses["whole"], rel=1e-4)
    assert losses["short"] == pytest.approx(losses["whole"], rel=1e-4)


@pytest.mark.parametrize("metric", ["mse", pytest.param("r2", marks=pytest.mark.slow)])
def test_the_best_epoch_by_a_metric(data, tmp_path, metric):
    # A learning rate at which the last epoch is not the best.
    out = tmp_path / "run"
    overrides = [f"task.metric={metric}", "data.labels=[gc]", "optim.lr=1e-2", "epochs=5", "optim.warmup=0"]
    assert run(command("regression", data / "regression", out, *overrides)) == 0
    scores = [record[f"dev_{metric}"] for record in figures(out) if f"dev_{metric}" in record]
    best = min(scores) if metric == "mse" else max(scores)
    assert summary(out)["best_epoch"] == scores.index(best) + 1


def test_without_a_defined_score_there_is_still_a_best_epoch(data, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    lines = (data / "regression" / "train.csv").read_text().splitlines()
    for split in ("train", "test"):
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    (folder / "dev.csv").write_text("\n".join(lines[:2]) + "\n")  # one row has no correlation
    out = tmp_path / "run"
    assert run(command("regression", folder, out, "epochs=2")) == 0
    assert summary(out)["best_epoch"] == 1


@pytest.mark.parametrize(
    ("model", "tokenizer"),
    [("logo_tiny", "kmer6"), ("modernbert_tiny", "base"), ("nt_v2_tiny", "nt_v2"), ("dnabert2_tiny", "bpe")],
)
def test_classes_of_bases_with_every_kind_of_token(data, small_bpe, tmp_path, model, tokenizer):
    task, out = "token_classification", tmp_path / "run"
    file = [f"tokenizer.file={small_bpe}"] if tokenizer == "bpe" else []
    overrides = [f"model={model}", f"tokenizer={tokenizer}", *file, "epochs=1"]
    assert run(command(task, data / task, out, *overrides)) == 0
    assert summary(out)["test_accuracy"] > 0.55
    found, _ = predict(out, data, task, tmp_path)
    assert len(found) == 60 * ROWS["test"]


GOOD = {
    "regression": ("sequence,label\nACGTACGT,1\nACGTACGA,2\n", "sequence,label\nACGTACGT,1.5\n"),
    "multi_label": ("sequence,label\nACGTACGT,a\nACGTACGA,\n", "sequence,label\nACGTACGT,a\n"),
    "token_classification": (
        "sequence,label\nACGTACGT,01010101\n",
        "sequence,label\nACGTACGT,0 1 0 1 0 1 0 1\n",
    ),
}


@pytest.mark.parametrize("task", GOOD)
def test_two_rows_are_enough(task, tmp_path):
    assert run([*of_texts(task, tmp_path, *GOOD[task]), "epochs=1"]) == 0


def of_texts(task, folder, train, test):
    (folder / "train.csv").write_text(train)
    (folder / "test.csv").write_text(test)
    out = ["-o", str(folder / "run")]
    return ["run", "finetune", "--config", "tiny", f"task={task}", f"data.dir={folder}", *out]


@pytest.mark.parametrize(
    ("task", "split", "row", "message"),
    [
        ("regression", "train", "ACGTACGT,high", "label is not a number in {file}:{line}"),
        ("regression", "test", "ACGTACGT,nan", "label missing in {file}:{line}"),
        ("regression", "train", "ACGTACGT,inf", "label is not a number in {file}:{line}"),
        ("regression", "train", "ACGTACGT,", "sequence or label missing in {file}:{line}"),
        ("regression", "train", "ACGTACGT,1,2", "more cells than columns in {file}:{line}"),
        ("multi_label", "test", "ACGTACGT,a;b", "label 'b' not in train in {file}:{line}"),
        ("multi_label", "train", "ACGTACGT", "fewer cells than columns in {file}:{line}"),
        ("token_classification", "train", "ACGTACGT,0101", "wrong number of labels in {file}:{line}"),
        ("token_classification", "test", "ACGTACGT,01010102", "label '2' not in train in {file}:{line}"),
    ],
)
def test_bad_rows_are_one_line_and_exit_2(task, split, row, message, tmp_path, capsys):
    texts = dict(zip(("train", "test"), GOOD[task], strict=True))
    texts[split] += row + "\n"
    assert run(of_texts(task, tmp_path, **texts)) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    place = {"file": tmp_path / f"{split}.csv", "line": texts[split].count("\n")}
    assert line.startswith("error: " + message.format(**place))


@pytest.mark.parametrize(
    ("task", "train", "override", "message"),
    [
        ("regression", "sequence,label\nACGTACGT,2\nACGTACGA,2.0\n", "epochs=1", "constant target in "),
        ("regression", "sequence,y\nACGTACGT,2\n", "epochs=1", "columns missing in "),
        ("regression", GOOD["regression"][0], "data.labels=[label,y]", "columns missing in "),
        ("regression", GOOD["regression"][0], "data.shots=1", "shots without classes in data.shots"),
        ("multi_label", "sequence,label\nACGTACGT,\n", "epochs=1", "no labels in "),
        ("token_classification", "sequence,label\nACGTACGT,00000000\n", "epochs=1", "one class only in "),
        ("regression", GOOD["regression"][0], "task.metric=mcc", "`metric` must be one of pearson"),
        (
            "token_classification",
            GOOD["token_classification"][0],
            "task.class_weights=[1,2,3]",
            "3 weights for 2 classes in task.class_weights: train has 0, 1; give one for each",
        ),
        (
            "token_classification",
            GOOD["token_classification"][0],
            "task.class_weights=even",
            "`class_weights` must be one of balanced or a list, but is 'even'",
        ),
        ("multi_label", GOOD["multi_label"][0], "task.class_weights=balanced", "unknown key 'class_weights'"),
        (
            "multi_label",
            GOOD["multi_label"][0],
            "task.label_smoothing=2",
            "`label_smoothing` must be in [0, 1)",
        ),
        ("regression", GOOD["regression"][0], "task.label_smoothing=0.1", "unknown key 'label_smoothing'"),
        ("regression", GOOD["regression"][0], "optim.lr=1e30", "the loss is not finite: "),
    ],
)
def test_what_cannot_be_learnt_is_one_line_and_exit_2(task, train, override, message, tmp_path, capsys):
    arguments = [*of_texts(task, tmp_path, train, GOOD[task][1]), override]
    assert run(arguments) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert errors[0].startswith("error: " + message)

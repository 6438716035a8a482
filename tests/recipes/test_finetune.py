from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import shutil
import signal
import subprocess
import sys

import pytest
import torch

from cmgems import training
from cmgems.cli.main import run
from cmgems.config import load_config
from cmgems.models import load_model
from cmgems.recipes import load_recipe, shipped_configs
from cmgems.runs import read_metric_log


def command(small_labelled, out, *overrides):
    return [
        "run", "finetune", "--config", "tiny", f"data.dir={small_labelled}", "compute.threads=1",
        "optim.lr=3e-3", "epochs=4", *overrides, "-o", str(out),
    ]  # fmt: skip


def figures(out):
    return [{k: v for k, v in r.items() if k != "seconds"} for r in read_metric_log(out / "metrics.jsonl")]


def summary(out):
    return json.loads((out / "summary.json").read_text())


@pytest.fixture(scope="module")
def finished(small_labelled, tmp_path_factory):
    out = tmp_path_factory.mktemp("finetune") / "run"
    assert run(command(small_labelled, out)) == 0
    return out


def test_learns_and_scores_the_test_set(finished):
    scores = summary(finished)
    assert scores["test_auc"] > 0.9
    assert set(scores) == {
        "train_sequences", "dev_sequences", "best_epoch", "sequences_cut", "sequences_skipped", "test_sequences",
        "test_sequences_in_train", "test_sequences_novel",
        "classes_predicted", "test_accuracy", "test_macro_f1", "test_mcc", "test_auc",
    }  # fmt: skip
    assert (scores["test_sequences_in_train"], scores["classes_predicted"]) == (0, 2)
    assert [scores[f"{split}_sequences"] for split in ("train", "dev", "test")] == [120, 40, 40]


def test_the_best_dev_epoch_is_the_one_kept(finished):
    dev = [r["dev_mcc"] for r in figures(finished) if "dev_mcc" in r]
    assert len(dev) == 4
    best = summary(finished)["best_epoch"]
    assert dev[best - 1] == max(dev)
    ours = load_model(finished).model.state_dict()
    theirs = load_model(finished / "checkpoints" / f"step_{15 * best:08d}").model.state_dict()
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_a_gradient_that_is_not_finite_stops_the_run(small_labelled, tmp_path, monkeypatch, capsys):
    """The loss may well be finite then: the optimizer would leave every step out, and an untrained head be scored."""
    real, steps = training.apply_gradients, itertools.count(1)

    def broken(model, *arguments):
        if next(steps) == 3:
            next(p.grad for p in model.parameters() if p.grad is not None).fill_(torch.nan)
        return real(model, *arguments)

    monkeypatch.setattr(training, "apply_gradients", broken)
    assert run(command(small_labelled, tmp_path / "run")) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: the gradient's norm is not finite: it is nan in step 3; lower optim.lr")


@pytest.mark.parametrize("every", [4, 1000, 1])
@pytest.mark.slow  # that of pretraining is quick
def test_kill_9_continues_to_the_bit(every, finished, small_labelled, tmp_path, kill_after):
    out = tmp_path / "killed"
    saving = command(small_labelled, out, f"checkpoint.every={every}")
    kill_after(20, saving, out)
    assert run(saving) == 0
    assert figures(out) == figures(finished)
    assert summary(out) == summary(finished)


@pytest.mark.parametrize(
    ("number", "code", "step"),
    # 15 steps an epoch: in the middle of the second, at its end, and before any has finished.
    [(signal.SIGINT, 130, 20), (signal.SIGTERM, 143, 30), (signal.SIGTERM, 143, 3)],
)
def test_a_signal_stops_in_order_and_the_run_goes_on_to_the_bit(
    number, code, step, finished, small_labelled, tmp_path, at_step, monkeypatch, capfd
):
    out = tmp_path / "run"
    at_step(step, lambda: signal.raise_signal(number))
    with pytest.raises(SystemExit) as left:
        run(command(small_labelled, out))
    assert left.value.code == code
    lines = capfd.readouterr().err.splitlines()
    assert f"{number.name}: stopping after this step; send it again to exit at once" in lines
    saved = out / "checkpoints" / f"step_{step:08d}"
    assert lines[-1] == (
        f"stopped by {number.name}: step {step} of 60 is saved in {saved}; the same command continues"
    )
    assert [r["step"] for r in figures(out) if "loss" in r][-1] == step
    monkeypatch.undo()
    assert run(command(small_labelled, out)) == 0
    assert figures(out) == figures(finished)
    assert summary(out) == summary(finished)


def test_a_run_on_both_strands_goes_on_to_the_bit(small_labelled, tmp_path, at_step, monkeypatch):
    both = ["data.reverse_complement=0.5", "max_steps=8"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run(command(small_labelled, whole, *both)) == 0
    at_step(3, lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit):
        run(command(small_labelled, stopped, *both))
    monkeypatch.undo()
    assert run(command(small_labelled, stopped, *both)) == 0
    assert figures(stopped) == figures(whole)
    assert summary(stopped) == summary(whole)


def test_a_signal_in_the_last_step_leaves_the_scoring_for_later(
    finished, small_labelled, tmp_path, at_step, monkeypatch
):
    out = tmp_path / "run"
    at_step(60, lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit):
        run(command(small_labelled, out))
    assert not (out / "summary.json").exists()
    monkeypatch.undo()
    assert run(command(small_labelled, out)) == 0
    assert figures(out) == figures(finished)
    assert summary(out) == summary(finished)


@pytest.mark.slow  # tests/runs/test_signals.py shows it without a recipe
def test_a_second_signal_exits_at_once(small_labelled, tmp_path):
    """In a process of its own: it ends without a word."""
    program = f"""
import signal, time
from cmgems import training
from cmgems.cli.main import run
real = training.apply_gradients
def apply(*arguments, **options):
    signal.raise_signal(signal.SIGTERM)
    time.sleep(1.1)
    signal.raise_signal(signal.SIGTERM)
    raise AssertionError("still here")
training.apply_gradients = apply
run({command(small_labelled, tmp_path / "run")!r})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 143
    assert "still here" not in done.stderr


@pytest.mark.parametrize("background", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_lora_stopped_and_resumed_is_not_stopped(background, small_labelled, tmp_path, at_step, monkeypatch):
    runs = []
    for name in ("whole", "stopped"):
        runs.append(tmp_path / name)
        lora = command(small_labelled, runs[-1], "lora.r=4", "epochs=2")
        if name == "stopped":
            lora.insert(-2, "checkpoint.every=6")
            lora.insert(-2, f"checkpoint.background={str(background).lower()}")
            at_step(20, lambda: signal.raise_signal(signal.SIGTERM))
            with pytest.raises(SystemExit):
                run(lora)
            monkeypatch.undo()
        assert run(lora) == 0
    whole, stopped = runs
    assert figures(stopped) == figures(whole)
    assert summary(stopped) == summary(whole)
    ours, theirs = (load_model(folder).model.state_dict() for folder in runs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_layers_are_recomputed_on_request_with_the_same_result(
    finished, small_labelled, tmp_path, count_recomputed
):
    out = tmp_path / "run"
    assert run(command(small_labelled, out, "compute.recompute=true", "epochs=1", "log.every=1")) == 0
    assert count_recomputed
    plain = tmp_path / "plain"
    assert run(command(small_labelled, plain, "epochs=1", "log.every=1")) == 0
    assert [r.get("loss") for r in figures(out)] == pytest.approx([r.get("loss") for r in figures(plain)])


def test_steps_are_profiled_on_request(small_labelled, tmp_path):
    assert run(command(small_labelled, tmp_path, "epochs=1", "log.profile=1")) == 0
    assert (tmp_path / "profile.txt").is_file()


def test_weights_and_biases_is_asked_for(small_labelled, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert run(command(small_labelled, tmp_path, "epochs=1", "log.wandb=true")) == 2
    assert "Weights & Biases is not installed" in capsys.readouterr().err


def test_too_little_memory_for_the_optimizer(small_labelled, tmp_path, capsys, monkeypatch):
    def step(optimizer):
        raise torch.OutOfMemoryError("CUDA out of memory.\nmore")

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    assert run(command(small_labelled, tmp_path)) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith(
        "error: out of memory in the optimizer's step: CUDA out of memory.; choose a smaller"
    )


def test_max_steps_ends_in_the_middle_of_an_epoch(small_labelled, tmp_path):
    out = tmp_path / "run"
    assert run(command(small_labelled, out, "max_steps=20")) == 0
    records = figures(out)
    losses = [r for r in records if "loss" in r]
    assert [r["step"] for r in losses] == list(range(1, 21))
    assert losses[-1]["lr"] == pytest.approx(
        3e-3 / 15
    )  # the decay ends there: 15 steps after the warm-up of 5
    assert [r["step"] for r in records if "dev_mcc" in r] == [15, 20]
    assert run(command(small_labelled, tmp_path / "more", "max_steps=1000", "epochs=1")) == 0
    assert figures(tmp_path / "more")[-2]["step"] == 15


def test_max_steps_must_be_one_or_more(small_labelled, tmp_path, capsys):
    assert run(command(small_labelled, tmp_path / "run", "max_steps=0")) == 2
    assert "`max_steps` must be 1 or more, but is 0" in capsys.readouterr().err


def test_leaked_rows_are_counted_and_scored_apart(small_labelled, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(small_labelled, folder)
    _, *rows = (folder / "train.csv").read_text().splitlines()
    with (folder / "test.csv").open("a") as test:
        test.writelines(f"{row}\n" for row in rows[:10])
    assert run(command(folder, tmp_path / "run", "epochs=1")) == 0
    found = summary(tmp_path / "run")
    assert (found["test_sequences"], found["test_sequences_in_train"]) == (50, 10)
    assert run(command(small_labelled, tmp_path / "clean", "epochs=1")) == 0
    clean = summary(tmp_path / "clean")
    for metric in ("accuracy", "macro_f1", "mcc", "auc"):
        assert found[f"clean_test_{metric}"] == clean[f"test_{metric}"]


def test_rows_that_cannot_be_used_are_skipped_by_name(small_labelled, tmp_path, capsys):
    folder, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(small_labelled, folder)
    with (folder / "train.csv").open("a") as train:
        train.write("ACG,1\nACGU,0\n")
    assert run(command(folder, out, "epochs=1")) == 2
    assert (
        "train.csv:122: 3 bp, k is 6; give a longer one; data.invalid=skip leaves" in capsys.readouterr().err
    )
    assert run(command(folder, out, "epochs=1", "data.invalid=skip")) == 0
    said = capsys.readouterr().err
    assert f"warning: 2 records skipped, named in {out}/skipped.csv\n" in said
    assert "; 120 training, 40 dev and 40 test sequences; classification of 0, 1; " in said
    assert (summary(out)["train_sequences"], summary(out)["sequences_skipped"]) == (120, 2)
    rows = list(csv.reader((out / "skipped.csv").open()))
    assert [row[0].removeprefix(f"{folder}/") for row in rows[1:]] == [
        "train.csv:122",
        "train.csv:123, position 4",
    ]


def test_collapse_is_said(small_labelled, tmp_path, capsys):
    folder = tmp_path / "data"
    folder.mkdir()
    header, *rows = (small_labelled / "train.csv").read_text().splitlines()
    ones, zeros = ([row for row in rows if row.endswith(end)] for end in ("1", "0"))
    (folder / "train.csv").write_text("\n".join([header, *ones, zeros[0]]) + "\n")
    shutil.copy(small_labelled / "test.csv", folder)
    assert run(command(folder, tmp_path / "run", "epochs=2", "optim.lr=1e-2")) == 0
    assert summary(tmp_path / "run")["classes_predicted"] == 1
    warning = "warning: collapse: all 40 test sequences get the same class; try another seed, "
    assert warning in capsys.readouterr().err


def test_from_a_pretrained_encoder(small_genome, small_labelled, tmp_path):
    pretrained = tmp_path / "pretrained"
    arguments = [
        "run",
        "pretrain",
        "--config",
        "tiny",
        *small_genome.overrides(),
        "steps=2",
        "-o",
        str(pretrained),
    ]
    assert run([*arguments, "data.split.block_bp=2000"]) == 0
    out = tmp_path / "run"
    assert run(command(small_labelled, out, f"model={pretrained}", "epochs=1", "optim.lr=1e-30")) == 0
    ours, theirs = load_model(out).model.encoder, load_model(pretrained).model.encoder
    for name, tensor in theirs.state_dict().items():
        assert torch.allclose(ours.state_dict()[name], tensor, atol=1e-7)


def test_the_mean_of_tokens_is_trained_saved_and_asked(small_labelled, tmp_path, capsys):
    out, p = tmp_path / "run", tmp_path / "p.csv"
    assert run(command(small_labelled, out, "pool=mean", "epochs=2")) == 0
    assert load_model(out).config.pool == "mean"
    assert summary(out)["test_auc"] > 0.9
    (tmp_path / "s.fa").write_text(f">gc\n{'GCGCCGGGCC' * 6}\n>at\n{'ATTTAATTAA' * 3}\n")
    assert run(["predict", str(out), str(tmp_path / "s.fa"), "-o", str(p)]) == 0
    assert [row["label"] for row in csv.DictReader(p.open())] == ["1", "0"]
    assert run(["export", str(out), "-o", str(tmp_path / "hf")]) == 2
    assert "error: no Hugging Face format for the mean of tokens in " in capsys.readouterr().err
    assert run(command(small_labelled, tmp_path / "bases", "pool=mean", "task=token_classification")) == 2
    assert (
        "error: `pool` has no meaning for classes of bases in command line (pool)" in capsys.readouterr().err
    )


def test_few_shot_without_a_dev_set_scores_the_last_epoch(small_labelled, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for split in ("train", "test"):
        (folder / f"{split}.csv").write_text((small_labelled / f"{split}.csv").read_text())
    out = tmp_path / "run"
    assert run(command(folder, out, "data.shots=10", "epochs=2")) == 0
    assert summary(out)["train_sequences"] == 20
    assert summary(out)["best_epoch"] == 2


def test_predict_writes_labels_and_probabilities(finished, tmp_path):
    fasta = tmp_path / "seqs.fa"
    fasta.write_text(
        ">gc\n" + "GCGCCGGGCC" * 6 + "\n>at\n" + "ATTTAATTAA" * 6 + "\n>long\n" + "ACGT" * 400 + "\n"
    )
    out = tmp_path / "out.csv"
    assert run(["predict", str(finished), str(fasta), "-o", str(out)]) == 0
    rows = list(csv.DictReader(out.open()))
    assert [(r["name"], r["label"]) for r in rows[:2]] == [("gc", "1"), ("at", "0")]
    for row in rows:
        assert float(row["p_0"]) + float(row["p_1"]) == pytest.approx(1, abs=2e-6)


@pytest.mark.parametrize("name", [name for name in shipped_configs() if name.startswith("finetune/")])
def test_every_shipped_config_runs_on_a_cpu(name, small_labelled, tmp_path):
    recipe = load_recipe("finetune")
    overrides = [f"data.dir={small_labelled}", "epochs=1", "compute.device=cpu", "model=logo_tiny"]
    config = load_config(recipe.config_schema, shipped_configs()[name], overrides)
    if config.data.shots:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, shots=10))
    recipe.main(config, tmp_path / "run")
    assert (tmp_path / "run" / "summary.json").is_file()

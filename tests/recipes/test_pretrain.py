from __future__ import annotations

import json
import shutil

import pytest
import torch

from cmgems.cli.main import run
from cmgems.config import load_config
from cmgems.models import load_model
from cmgems.recipes import load_recipe, shipped_configs
from cmgems.runs import read_metric_log

# Wall-clock figures differ from run to run; everything else must not.
CLOCK = {"seconds", "tokens_per_second", "wait_share", "peak_memory_gb", "mfu"}


def command(small_genome, out, *overrides):
    return [
        "run", "pretrain", "--config", "tiny", *small_genome.overrides(),
        "data.split.block_bp=2000", "compute.threads=1", "compute.device=cpu", *overrides, "-o", str(out),
    ]  # fmt: skip


def figures(out):
    return [{k: v for k, v in r.items() if k not in CLOCK} for r in read_metric_log(out / "metrics.jsonl")]


@pytest.fixture(scope="module")
def finished(small_genome, tmp_path_factory):
    out = tmp_path_factory.mktemp("pretrain") / "run"
    assert run(command(small_genome, out)) == 0
    return out


def test_leaves_everything_a_run_should(finished):
    assert {p.name for p in finished.iterdir()} >= {
        "config.yaml", "metrics.jsonl", "checkpoints", "final", "summary.json", "loss.png",
    }  # fmt: skip
    assert [p.name for p in sorted((finished / "checkpoints").iterdir())] == [
        "step_00000015",
        "step_00000020",
    ]
    saved = load_model(finished)
    assert saved.head == "masked_lm"
    assert saved.tokenizer.k == 6
    records = figures(finished)
    assert [r["step"] for r in records if "loss" in r] == list(range(1, 21))
    assert [r["step"] for r in records if "perplexity" in r] == [5, 10, 15, 20]
    assert all(0 <= r["validation_accuracy"] < 1 for r in records if "perplexity" in r)
    assert all(0.05 < r["masked_share"] < 0.3 for r in records if "masked_share" in r)


def test_a_finished_run_says_so_and_does_nothing(finished, small_genome, capsys):
    before = (finished / "metrics.jsonl").read_bytes()
    assert run(command(small_genome, finished)) == 0
    assert "has finished already" in capsys.readouterr().err
    assert (finished / "metrics.jsonl").read_bytes() == before


def test_kill_9_in_the_middle_continues_to_the_bit(finished, small_genome, tmp_path, kill_after):
    out = tmp_path / "killed"
    kill_after(8, command(small_genome, out), out)
    assert 8 <= len([r for r in figures(out) if "loss" in r]) < 20

    assert run(command(small_genome, out)) == 0
    assert figures(out) == figures(finished)
    ours, theirs = (load_model(folder).model.state_dict() for folder in (out, finished))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_a_killed_run_goes_on_to_rounding(small_genome, tmp_path, kill_after):
    """Sums on a GPU come in any order; the batches and masks are the same."""
    whole, killed = (
        command(small_genome, tmp_path / name, "compute.device=cuda", "data.pad_multiple=64")
        for name in ("whole", "killed")
    )
    assert run(whole) == 0
    kill_after(8, killed, tmp_path / "killed")
    assert run(killed) == 0
    ours, theirs = ([r for r in figures(tmp_path / n) if "loss" in r] for n in ("killed", "whole"))
    assert [r["masked_share"] for r in ours] == [r["masked_share"] for r in theirs]
    assert [r["loss"] for r in ours] == pytest.approx([r["loss"] for r in theirs], rel=0.02)


def test_what_the_validation_gives_away_is_measured_once(finished, small_genome, tmp_path):
    measured = json.loads((finished / "baselines.json").read_text())
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["baselines"] == measured
    validated = [r["validation_accuracy"] for r in figures(finished) if "perplexity" in r]
    assert summary["validation_accuracy"] == validated[-1]
    assert measured["neighbours"]["accuracy"] > 0.5 > measured["markov_5"]["accuracy"]

    out = tmp_path / "run"
    shutil.copytree(finished, out)
    (out / "summary.json").unlink()
    (out / "baselines.json").write_text('{"unigram": {"loss": 1.5, "accuracy": 0.5}}')
    assert run(command(small_genome, out)) == 0  # goes on from its last step
    assert json.loads((out / "summary.json").read_text())["baselines"] == {
        "unigram": {"loss": 1.5, "accuracy": 0.5}
    }

    shutil.rmtree(out / "checkpoints")
    (out / "summary.json").unlink()
    assert run(command(small_genome, out, "steps=1")) == 0  # begins anew
    assert json.loads((out / "baselines.json").read_text()) == measured


def test_the_curriculum_switches_and_the_log_says_when(small_genome, tmp_path):
    out = tmp_path / "run"
    overrides = ["masking.curriculum.threshold=1e6", "steps=15"]
    assert run(command(small_genome, out, *overrides)) == 0
    records = figures(out)
    # The second validation has something to compare with; the switch acts on the very next step.
    assert [(r["step"], r["switch"]) for r in records if "switch" in r] == [(10, "global_pmi")]
    used = {r["step"]: r["strategy"] for r in records if "strategy" in r}
    assert used == {step: "genemask" if step <= 10 else "global_pmi" for step in range(1, 16)}
    assert json.loads((out / "summary.json").read_text())["switched_at"] == 10


def test_masking_by_loss_goes_on_to_the_bit(small_genome, tmp_path):
    """The running losses are logged, decide the masks after them, and are in the checkpoint."""
    overrides = ["masking.curriculum=loss_weighted", "masking.rate_schedule=linear", "steps=15"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(command(small_genome, whole, *overrides)) == 0
    records = figures(whole)
    logged = [r for r in records if "loss_tenth_1" in r]
    assert [r["step"] for r in logged] == [5, 10, 15]
    assert all(r[f"loss_tenth_{tenth}"] > 0 for r in logged for tenth in range(1, 11))
    assert {r["strategy"] for r in records if "strategy" in r} == {"loss_weighted"}

    shutil.copytree(whole, parts)
    for left_out in ("summary.json", "checkpoints/step_00000015"):
        path = parts / left_out
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert run(command(small_genome, parts, *overrides)) == 0
    assert figures(parts) == records


@pytest.mark.parametrize(
    "curriculum", ["random_span", "fixed", "cm_step", "annealed", "uniform_rate", "random_mask"]
)
def test_every_curriculum_trains(small_genome, tmp_path, curriculum):
    overrides = [f"masking.curriculum={curriculum}", "steps=2", "sequences=2"]
    assert run(command(small_genome, tmp_path / "run", *overrides)) == 0


@pytest.mark.slow
def test_bf16_trains_like_fp32(small_genome, tmp_path):
    losses = []
    for precision in ("fp32", "bf16"):
        out = tmp_path / precision
        assert run(command(small_genome, out, f"compute.precision={precision}", "steps=3")) == 0
        losses.append([r["loss"] for r in figures(out) if "loss" in r])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], abs=0.1)


@pytest.mark.parametrize("tokenizer", ["kmer3", "kmer4", "kmer5"])
def test_every_k_trains(small_genome, tmp_path, tokenizer):
    overrides = [f"tokenizer={tokenizer}", "masking.table=null", "steps=2", "sequences=2"]
    overrides += ["masking.curriculum=fixed", "masking.curriculum.masking=random_span"]
    assert run(command(small_genome, tmp_path / "run", *overrides)) == 0
    assert load_model(tmp_path / "run").tokenizer.k == int(tokenizer[-1])


def test_a_copied_recipe_runs_like_the_shipped_one(finished, small_genome, tmp_path):
    copied = tmp_path / "mine.py"
    assert run(["cp", "pretrain", str(copied)]) == 0
    arguments = command(small_genome, tmp_path / "run")
    assert run(["run", str(copied), "--config", "pretrain/tiny", *arguments[4:]]) == 0
    assert figures(tmp_path / "run") == figures(finished)


@pytest.mark.parametrize("name", [name for name in shipped_configs() if name.startswith("pretrain/")])
def test_every_shipped_config_runs_on_a_cpu(name, small_genome, small_bpe, tmp_path, monkeypatch):
    """At two steps and widths that every family can have."""
    recipe = load_recipe("pretrain")
    shutil.copy(small_bpe, tmp_path / "tokenizer.json")
    monkeypatch.chdir(tmp_path)
    overrides = [
        *small_genome.overrides(), "steps=2", "sequences=2", "validation.sequences=2",
        "data.split.block_bp=2000", "compute.device=cpu", "compute.threads=1",
        "model.layers=1", "model.hidden=32", "model.heads=4", "model.ffn=64",
    ]  # fmt: skip
    recipe.main(load_config(recipe.config_schema, shipped_configs()[name], overrides), tmp_path / "run")
    assert (tmp_path / "run" / "summary.json").is_file()


@pytest.mark.slow
def test_compiled_training_follows_eager_training(small_genome, tmp_path):
    """torch.compile on the CPU; needs a C++ compiler and a minute."""
    losses = []
    for mode in ("off", "on"):
        overrides = ["steps=6", f"compute.compile={mode}", "compute.precision=fp32"]
        assert run(command(small_genome, tmp_path / mode, *overrides)) == 0
        losses.append([r["loss"] for r in figures(tmp_path / mode) if "loss" in r])
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_layers_are_recomputed_on_request_with_the_same_result(
    finished, small_genome, tmp_path, count_recomputed
):
    out = tmp_path / "run"
    assert run(command(small_genome, out, "compute.recompute=true", "steps=5")) == 0
    assert count_recomputed
    ours, theirs = ([r["loss"] for r in figures(folder)[:4]] for folder in (out, finished))
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_starts_from_the_weights_of_another_run(finished, small_genome, tmp_path):
    out = tmp_path / "run"
    assert run(command(small_genome, out, f"model={finished}", "steps=1", "optim.lr=1e-12", "seed=7")) == 0
    ours, theirs = (load_model(folder).model.state_dict() for folder in (out, finished))
    assert all(torch.allclose(ours[name], theirs[name], rtol=0, atol=1e-9) for name in theirs)
    again = tmp_path / "again"
    assert run(command(small_genome, again, f"model={finished}", "steps=5", "seed=7")) == 0
    assert figures(again)[0]["loss"] != figures(finished)[0]["loss"]


def test_a_fine_tuned_model_cannot_be_pretrained(small_genome, small_labelled, tmp_path, capsys):
    tuned = tmp_path / "tuned"
    arguments = ["--config", "tiny", f"data.dir={small_labelled}", "epochs=1", "-o", str(tuned)]
    assert run(["run", "finetune", *arguments]) == 0
    assert run(command(small_genome, tmp_path / "run", f"model={tuned}")) == 2
    assert "not a masked language model" in capsys.readouterr().err


def test_a_genome_store_must_be_named(tmp_path, capsys):
    assert run(["run", "pretrain", "-o", str(tmp_path / "run")]) == 2
    assert (
        "error: missing key `store` in data.store; add it to the config or give data.store="
        in capsys.readouterr().err
    )

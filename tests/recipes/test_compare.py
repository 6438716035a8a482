from __future__ import annotations

import json
import math
import os
import shutil

import pytest

from cmgems.cli.main import run
from cmgems.evaluation.comparison import read_comparison

STEPS = 4


def command(small_genome, small_labelled, out, *more):
    return [
        "compare", "--strategies", "random_span,genemask+rate=0.3,none", "--steps", str(STEPS), "--seeds", "2",
        "--config", "tiny", "--datasets", f"{small_labelled.name},{small_labelled.name}@5",
        "--data", str(small_labelled.parent / "sets"), "--finetune", "epochs=1", "--finetune", "compute.threads=1",
        *small_genome.overrides(), "compute.threads=1", "validation.every=2", "-o", str(out), *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def finished(small_genome, small_labelled, tmp_path_factory):
    sets = small_labelled.parent / "sets"
    sets.mkdir(exist_ok=True)
    if not (sets / small_labelled.name).exists():
        os.symlink(small_labelled, sets / small_labelled.name)
    out = tmp_path_factory.mktemp("compare") / "out"
    assert run(command(small_genome, small_labelled, out)) == 0
    return out


def summaries(out):
    return {path.relative_to(out): path.stat().st_mtime_ns for path in out.rglob("summary.json")}


def test_every_strategy_and_seed_is_pretrained_and_fine_tuned(finished):
    trained = {path.name for path in (finished / "pretrain").iterdir()}
    assert trained == {f"{s}-seed{n}" for s in ("random_span", "genemask+rate=0.3") for n in (0, 1)}
    assert len(list((finished / "finetune").rglob("summary.json"))) == 3 * 2 * 2


def test_the_report_has_every_strategy_in_every_table(finished):
    pretraining, *downstream = (finished / "report.md").read_text().split("## Test ")
    assert "`none`" not in pretraining
    assert [part.split("\n")[0] for part in downstream] == ["MCC", "accuracy", "AUC"]
    for part in downstream:
        scores, differences = part.split("Difference from random_span:")
        assert all(f"| `{name}` |" in scores for name in ("random_span", "genemask+rate=0.3", "none"))
        assert all(f"| `{name}` |" in differences for name in ("genemask+rate=0.3", "none"))
    assert "5-shot" in downstream[1]
    assert "of 4 |" in downstream[2]  # two tasks, two seeds
    assert (finished / "curves.png").stat().st_size > 10_000


def test_the_strategies_differ_in_their_masks_and_share_the_rest(finished):
    shares, tokens = [], []
    for strategy in ("random_span", "genemask+rate=0.3"):
        folder = finished / "pretrain" / f"{strategy}-seed0"
        records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        shares.append(max(r.get("masked_share", 0) for r in records))
        tokens.append(json.loads((folder / "summary.json").read_text())["tokens"])
    assert shares[1] > shares[0]
    assert tokens[0] == tokens[1]


def test_the_same_command_again_repeats_nothing(finished, small_genome, small_labelled):
    before, report = summaries(finished), (finished / "report.md").read_text()
    assert run(command(small_genome, small_labelled, finished)) == 0
    assert summaries(finished) == before
    assert (finished / "report.md").read_text() == report


def test_the_models_of_another_comparison_are_evaluated_anew(
    finished, small_genome, small_labelled, tmp_path
):
    before, out = summaries(finished), tmp_path / "longer"
    more = ["--finetune", "epochs=2", "--pretrained", str(finished)]
    assert run(command(small_genome, small_labelled, out, *more)) == 0
    assert summaries(finished) == before
    assert not (out / "pretrain").exists()
    there, here = read_comparison(finished), read_comparison(out)
    assert here.pretrained == there.pretrained
    assert len(here.finetuned) == len(there.finetuned)
    assert here.finetuned != there.finetuned


@pytest.mark.parametrize("folder", ["nowhere", "random_span-seed0"])
def test_models_are_taken_from_a_comparison_alone(finished, small_genome, tmp_path, capsys, folder):
    out, there = tmp_path / "out", finished / "pretrain" / folder
    arguments = ["--config", "tiny", *small_genome.overrides(), "--pretrained", str(there), "-o", str(out)]
    assert run(["compare", *arguments]) == 2
    assert f"no comparison in {there}; `pretrained` is" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_one_more_seed_runs_only_that(finished, small_genome, small_labelled):
    before = summaries(finished)
    assert run(command(small_genome, small_labelled, finished, "--seeds", "3")) == 0
    after = summaries(finished)
    assert before.items() <= after.items()
    assert {path.parts[1][-5:] for path in after.keys() - before.keys()} == {"seed2"}


def test_a_run_in_other_hands_is_left_to_them(tmp_path, small_genome, capsys):
    import fcntl

    folder = tmp_path / "out" / "pretrain" / "random_span-seed0"
    folder.mkdir(parents=True)
    (tmp_path / "out" / "config.yaml").write_text("recipe: compare\n")
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run([
            "compare", "--strategies", "random_span,uniform", "--steps", "2", "--seeds", "1", "--config", "tiny",
            *small_genome.overrides(), "-o", str(tmp_path / "out"),
        ]) == 0  # fmt: skip
    assert "1 of 2 were with other processes" in capsys.readouterr().err
    assert not (folder / "summary.json").exists()
    assert "`uniform`" in (tmp_path / "out" / "report.md").read_text()


def test_a_fine_tuning_in_other_hands_leaves_the_other_datasets(tmp_path, small_genome, small_labelled):
    import fcntl

    for name in ("a", "b"):
        shutil.copytree(small_labelled, tmp_path / "sets" / name)
    out = tmp_path / "out"
    busy = out / "finetune" / "none-seed0" / "a" / "seed0"
    busy.mkdir(parents=True)
    (out / "config.yaml").write_text("recipe: compare\n")
    with open(busy / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run([
            "compare", "--strategies", "none", "--baseline", "none", "--seeds", "1", "--config", "tiny",
            "--datasets", "a,b", "--data", str(tmp_path / "sets"), "--finetune", "max_steps=1", "--finetune",
            "compute.threads=1", *small_genome.overrides(), "-o", str(out),
        ]) == 0  # fmt: skip
    assert [path.parts[-3] for path in summaries(out)] == ["b"]


def test_a_dataset_that_is_of_no_use_is_skipped_by_name(tmp_path, small_genome, small_labelled, capsys):
    sets = tmp_path / "sets"
    shutil.copytree(small_labelled, sets / "bad")
    (sets / "bad" / "train.csv").write_text("sequence,label\nACGTACGTACGT,1\n")
    os.symlink(small_labelled, sets / "good")
    out = tmp_path / "out"
    assert run([
        "compare", "--strategies", "none", "--baseline", "none", "--seeds", "2", "--config", "tiny",
        "--datasets", "bad,good", "--data", str(sets), "--finetune", "max_steps=1", "--finetune",
        "compute.threads=1", *small_genome.overrides(), "-o", str(out),
    ]) == 0  # fmt: skip
    assert capsys.readouterr().err.count("warning: bad skipped: one class only") == 1
    assert "- skipped 1/1: bad: one class only" in (out / "report.md").read_text()
    assert {path.parts[-3] for path in summaries(out)} == {"good"}


def test_copied_recipes_with_a_summary_of_their_own(tmp_path, small_genome, small_labelled):
    """One that renames and leaves out keys, and prints what it likes."""
    for recipe, renamed in (
        ("pretrain", ("TOKENS", "SWITCHED_AT")),
        ("finetune", ("TRAIN_SEQUENCES", "BEST_EPOCH")),
    ):
        assert run(["cp", recipe, str(tmp_path / f"my_{recipe}.py")]) == 0
        text = (tmp_path / f"my_{recipe}.py").read_text()
        for key in renamed:
            assert f"summary.{key}:" in text
            text = text.replace(f"summary.{key}:", f'"my {key}":')
        (tmp_path / f"my_{recipe}.py").write_text(text)
    config = tmp_path / "compare.yaml"
    config.write_text(
        "strategies: [random_span, 'none']\nseeds: 1\n"
        f"pretrain: {{recipe: {tmp_path}/my_pretrain.py, config: pretrain/tiny, steps: 2, compute: {{threads: 1}}}}\n"
        f"evaluate: {{data: {{dir: {small_labelled}}}, datasets: ['*'], compute: {{threads: 1}}, "
        f"finetune: {{recipe: {tmp_path}/my_finetune.py, max_steps: 1}}}}\n"
    )
    out = tmp_path / "out"
    store = [f"pretrain.{override}" for override in small_genome.overrides()]
    assert run(["run", "compare", "--config", str(config), *store, "-o", str(out)]) == 0
    found = read_comparison(out)
    (pretraining,) = found.pretrainings()
    assert math.isnan(pretraining.tokens)
    assert math.isfinite(pretraining.loss)
    assert [run.strategy for run in found.finetuned] == ["random_span", "none"]
    assert "my BEST_EPOCH" in found.finetuned[0].record.summary
    report = (out / "report.md").read_text()
    assert "| `random_span` | 1 |" in report
    assert "## Test MCC" in report


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strategies", "random_span,cm_gem"], "unknown strategy 'cm_gem'"),
        (["--strategies", "genemask,genemask"], "must be different"),
        (["--strategies", ","], "`strategies` must name one or more"),
        (["--strategies", "genemask", "--baseline", "uniform"], "`baseline` must be one of the strategies"),
        (["--strategies", "genemask+rate=2"], "must be between 0 and 1"),
        (["--strategies", "genemask", "--datasets", "nowhere"], "no such folder"),
        (["--strategies", "genemask", "optim.rl=1"], "unknown key"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_before_the_first_run(tmp_path, small_genome, capsys, arguments, message):
    out = tmp_path / "out"
    fixed = ["--config", "tiny", "--data", str(tmp_path / "no"), *small_genome.overrides(), "-o", str(out)]
    assert run(["compare", *arguments, *fixed]) == 2
    assert message in capsys.readouterr().err
    assert not (out / "pretrain").exists()


def test_a_mistake_in_the_fine_tuning_is_said_before_the_first_run(
    tmp_path, small_genome, small_labelled, capsys
):
    out = tmp_path / "out"
    assert run([
        "compare", "--strategies", "random_span", "--config", "tiny", "--datasets", small_labelled.name, "--data",
        str(small_labelled), "--finetune", "optim.lrr=1", *small_genome.overrides(), "-o", str(out),
    ]) == 2  # fmt: skip
    assert "lrr" in capsys.readouterr().err
    assert not (out / "pretrain").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path, small_genome, capsys):
    (tmp_path / "thesis.tex").touch()
    assert run(["compare", "--config", "tiny", *small_genome.overrides(), "-o", str(tmp_path)]) == 2
    assert "output folder in use" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

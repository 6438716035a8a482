"""The evaluate recipe on small sets: found, run, resumed, tabled; broken ones skipped by name."""

from __future__ import annotations

import csv
import json
import signal
import statistics

import numpy as np
import pytest

from cmgems.cli.main import run
from cmgems.config import load_config
from cmgems.recipes import load_recipe, shipped_configs, shipped_recipes
from cmgems.runs import open_run, share_folder
from cmgems.yardsticks import read_audit
from cmgems.yardsticks.baselines import best_title


def sequences(rng, count, gc=0.5):
    return [
        "".join(rng.choice(list("ACGT"), 30, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]))
        for _ in range(count)
    ]


def write_rows(path, rows, header="sequence,label"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")


def make_set(folder, seed=0, leaks=0):
    """A set with 24, 12 and 12 rows; the first ``leaks`` of test stand in train."""
    rng = np.random.default_rng(seed)
    splits = {
        split: [(bases, i % 2) for i, bases in enumerate(sequences(rng, count))]
        for split, count in (("train", 24), ("dev", 12), ("test", 12))
    }
    splits["test"][:leaks] = splits["train"][:leaks]
    for split, rows in splits.items():
        write_rows(folder / f"{split}.csv", rows)
    return folder


@pytest.fixture(scope="module")
def gue(tmp_path_factory):
    """Three sets of GUE: one with leaks, one without, one without a test file."""
    folder = tmp_path_factory.mktemp("data") / "GUE"
    make_set(folder / "prom" / "prom_core_tata", 1, leaks=3)
    make_set(folder / "tf" / "0", 2)
    (make_set(folder / "mouse" / "0", 3) / "test.csv").unlink()
    return folder


def command(folder, out, *overrides, config="gue"):
    return [
        "run", "evaluate", "--config", config, f"data.dir={folder}", "model=logo_tiny", "tokenizer=kmer3",
        "finetune.epochs=1", "finetune.batch_size=8", "compute.threads=1", "compute.device=cpu", "yardsticks=false",
        *overrides,
        "-o", str(out),
    ]  # fmt: skip


def read(out):
    return json.loads((out / "results.json").read_text())


EVALUATED = ("seeds=2", "yardsticks=true")


@pytest.fixture(scope="module")
def evaluated(gue, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluate") / "run"
    assert run(command(gue, out, *EVALUATED)) == 0
    return out


def test_every_set_found_is_scored_with_every_seed(evaluated):
    found = read(evaluated)
    assert [(r["dataset"], r["seed"]) for r in found["records"]] == [
        ("prom/prom_core_tata", 0), ("prom/prom_core_tata", 1), ("tf/0", 0), ("tf/0", 1),
    ]  # fmt: skip
    for record in found["records"]:
        assert {f"test_{m}" for m in ("mcc", "macro_f1", "accuracy", "auc")} <= set(record["summary"])
        assert record["summary"]["train_sequences"] == 24


def test_what_is_broken_or_absent_is_named(evaluated):
    found = read(evaluated)
    ((dataset, reason),) = found["skipped"].items()
    assert dataset == "mouse/0"
    assert reason.startswith("no test file in ")
    assert len(found["absent"]) == 25
    text = (evaluated / "table.md").read_text()
    assert "- skipped 1/1: mouse/0: no test file in " in text
    assert "- not found, 25: EMP/H3, " in text


def test_leaks_are_counted(evaluated):
    leaks = {r["dataset"]: r["summary"]["test_sequences_in_train"] for r in read(evaluated)["records"]}
    assert leaks == {"prom/prom_core_tata": 3, "tf/0": 0}


def test_the_best_baseline_stands_beside_every_score(evaluated):
    records = [record for record in read(evaluated)["records"] if record["dataset"] == "prom/prom_core_tata"]
    audit = read_audit(evaluated / "prom" / "prom_core_tata" / "audit.json")
    best, on_novel = audit.baselines.best(), audit.baselines.best("novel")
    for record in records:
        assert [one["name"] for one in record["baselines"]["families"]] == [
            one.name for one in audit.baselines.families
        ]
        assert record["summary"]["test_sequences_novel"] == audit.novel == 9
        assert "novel_test_mcc" in record["summary"]
    row = next(csv.DictReader((evaluated / "table.csv").open()))
    assert row["baseline"] == best_title([audit.baselines])
    assert float(row["baseline score"]) == pytest.approx(100 * best.score("mcc"), abs=1e-3)
    assert float(row["novel baseline score"]) == pytest.approx(100 * on_novel.score("mcc", "novel"), abs=1e-3)
    assert row["novel test sequences"] == "9"
    assert f"| {row['baseline']} |" in (evaluated / "table.md").read_text()


@pytest.mark.slow
def test_a_few_shot_draw_has_a_baseline_of_its_own(gue, tmp_path, monkeypatch):
    out = tmp_path / "run"
    arguments = ["draws=2", "datasets=[tf/0@3]", "yardsticks=true"]
    assert run(command(gue, out, *arguments, config="few_shot")) == 0
    audits = [read_audit(out / "tf" / "0" / "3-shot" / f"audit-seed{n}.json") for n in range(2)]
    assert [audit.rows for audit in audits] == [{"train": 6, "test": 12}] * 2
    assert audits[0].baselines.chosen_on == "3-fold cross-validation of train"
    assert all(record["baselines"]["rows"] == 6 for record in read(out)["records"])
    before = (out / "results.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("cmgems.yardsticks.audit.VERSION", 2)
        assert run(command(gue, out, *arguments[:2], "yardsticks=false", config="few_shot")) == 0
    assert [record["baselines"] for record in read(out)["records"]] == [None, None]
    monkeypatch.setattr(
        "cmgems.evaluation.yardsticks.audit_examples", lambda *_: pytest.fail("audited again")
    )
    assert run(command(gue, out, *arguments, config="few_shot")) == 0
    assert (out / "results.json").read_bytes() == before


def test_mean_and_deviation_are_those_of_the_runs(evaluated):
    rows = {row["dataset"]: row for row in csv.DictReader((evaluated / "table.csv").open())}
    for name, prefix in (("prom/prom_core_tata", "clean_"), ("tf/0", "")):
        summaries = [r["summary"] for r in read(evaluated)["records"] if r["dataset"] == name]
        for key, column in (("test_auc", "auc"), (f"{prefix}test_auc", "clean auc")):
            values = [100 * summary[key] for summary in summaries]
            assert float(rows[name][column]) == pytest.approx(statistics.mean(values), abs=1e-3)
            assert float(rows[name][f"{column} sd"]) == pytest.approx(statistics.stdev(values), abs=1e-3)
    assert rows["tf/0"]["DNABERT-2"] == "71.9900"
    assert "| average (2 of 28) |" in (evaluated / "table.md").read_text()


def test_each_set_is_trained_with_its_own_settings(gue, tmp_path):
    recipe = load_recipe("evaluate")
    config = load_config(
        recipe.config_schema,
        shipped_configs()["evaluate/gue"],
        [f"data.dir={gue}", "model=logo_tiny", "finetune.epochs=1", "compute.threads=1"],
    )
    recipe.main(config, tmp_path)
    schema = load_recipe("finetune").config_schema
    tf, tata = (
        load_config(schema, tmp_path / name / "seed0" / "config.yaml")
        for name in ("tf/0", "prom/prom_core_tata")
    )
    assert (tf.epochs, tf.optim.warmup, tf.data.max_tokens) == (1, 30, 110)
    assert (tata.epochs, tata.optim.warmup, tata.data.max_tokens) == (1, 50, 80)
    assert (tf.task.name, tf.task.options, tf.optim.lr) == ("classification", {"metric": "mcc"}, 3e-5)


def test_finished_runs_keep_their_scores_but_not_their_weights(evaluated):
    folder = evaluated / "tf" / "0" / "seed0"
    assert {path.name for path in folder.iterdir()} == {
        ".lock",
        "config.yaml",
        "inputs.json",
        "metrics.jsonl",
        "summary.json",
    }


def test_the_same_command_again_trains_nothing(evaluated, gue, at_step):
    before = (evaluated / "results.json").read_bytes()
    at_step(1, lambda: pytest.fail("a step was trained"))
    assert run(command(gue, evaluated, *EVALUATED)) == 0
    assert (evaluated / "results.json").read_bytes() == before


def test_models_are_kept_when_asked(gue, tmp_path):
    assert run(command(gue, tmp_path / "run", "datasets=[tf*]", "keep_models=true")) == 0
    assert (tmp_path / "run" / "tf" / "0" / "seed0" / "best" / "model.safetensors").is_file()


def test_seeds_may_be_added_later(gue, tmp_path, at_step):
    out = tmp_path / "run"
    assert run(command(gue, out, "datasets=[tf/0]")) == 0
    first = read(out)["records"]
    assert run(command(gue, out, "datasets=[tf/0]", "seeds=2")) == 0
    assert read(out)["records"][0] == first[0]
    assert len(read(out)["records"]) == 2


def test_other_settings_do_not_mix_with_old_runs(evaluated, gue, capsys):
    before = (evaluated / "results.json").read_bytes()
    assert run(command(gue, evaluated, *EVALUATED, "finetune.optim.lr=1e-3")) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(
        f"error: output folder in use in {evaluated}/prom/prom_core_tata/seed0: it holds a run with another config: "
        "`optim.lr` is 3e-05 there, 0.001 here; "
    )
    assert "choose another -o" in error
    assert (evaluated / "results.json").read_bytes() == before


def test_scores_of_another_recipe_do_not_mix(gue, tmp_path, capsys):
    """Nor does a command that is refused change what the folder says of itself."""
    out, copy = tmp_path / "run", tmp_path / "my_finetune.py"
    copy.write_text(shipped_recipes()["finetune"].read_text())
    mine = command(gue, out, "datasets=[tf/0]", f"finetune.recipe={copy}")
    assert run(mine) == 0
    before = (out / "config.yaml").read_bytes()
    assert run(mine) == 0
    for refused in (command(gue, out, "datasets=[tf/0]"), [*mine, "finetune.optim.lr=1e-3"]):
        assert run(refused) == 2
        assert (out / "config.yaml").read_bytes() == before
    copy.write_text(copy.read_text() + "\n")
    capsys.readouterr()
    assert run(mine) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(
        f"error: inputs have changed in {out}: this run began with other contents of finetune.recipe"
    )


@pytest.mark.parametrize("split", ["train", "test"])
def test_scores_of_other_labels_do_not_mix(evaluated, gue, capsys, split):
    path = gue / "tf" / "0" / f"{split}.csv"
    text, before = path.read_text(), (evaluated / "results.json").read_bytes()
    path.write_text(text.replace(",1\n", ",x\n").replace(",0\n", ",1\n").replace(",x\n", ",0\n"))
    try:
        assert run(command(gue, evaluated, *EVALUATED)) == 2
    finally:
        path.write_text(text)
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: inputs have changed in {evaluated}/tf/0/seed0: ")
    assert f"other contents of data.dir ({split}.csv)" in error
    assert (evaluated / "results.json").read_bytes() == before


# 3 steps a run: in the second run, and in the first step of the third.
@pytest.mark.parametrize(("step", "finished"), [(5, 1), pytest.param(7, 2, marks=pytest.mark.slow)])
def test_interrupted_and_resumed_gives_the_same_results(
    step, finished, evaluated, gue, tmp_path, at_step, monkeypatch
):
    out = tmp_path / "run"
    at_step(step, lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit) as left:
        run(command(gue, out, *EVALUATED))
    assert left.value.code == 143
    assert len(read(out)["records"]) == finished
    monkeypatch.undo()
    assert run(command(gue, out, *EVALUATED)) == 0
    for name in ("results.json", "table.md", "table.csv"):
        assert (out / name).read_text() == (evaluated / name).read_text()


def test_what_another_process_is_at_is_left_to_it(gue, tmp_path, capsys):
    out = tmp_path / "run"
    schema = load_recipe("evaluate").config_schema
    share_folder(out, load_config(schema, None, [f"data.dir={gue}"]), "evaluate")
    folder = out / "tf" / "0" / "seed0"
    schema = load_recipe("finetune").config_schema
    with open_run(folder, load_config(schema, None, ["data.dir=x"]), "finetune"):
        assert run(command(gue, out)) == 0
    assert [r["dataset"] for r in read(out)["records"]] == ["prom/prom_core_tata"]
    assert "1 of 3 runs are with other processes" in capsys.readouterr().err
    assert run(command(gue, out)) == 0
    assert [r["dataset"] for r in read(out)["records"]] == ["prom/prom_core_tata", "tf/0"]


def test_leaks_are_excluded_by_option(evaluated, gue, capsys):
    assert run(command(gue, evaluated, *EVALUATED, "exclude_leaks=true")) == 0
    assert "without test rows that are in train" in capsys.readouterr().out
    row = next(csv.DictReader((evaluated / "table.csv").open()))
    assert (row["mcc"], row["auc"]) == (row["clean mcc"], row["clean auc"])
    assert run(command(gue, evaluated, *EVALUATED)) == 0  # as the other tests expect it


BROKEN = {
    "no_train": (None, [("ACGTACGTAC", 0)], "no train file in "),
    "gap": ([("ACGTACGTAC", 0), ("ACGTACGTAA", 2)], [("ACGTACGTAT", 1)], "label '1' not in train in "),
    "columns": ([("ACGTACGTAC", 0), ("ACGTACGTAA", 1, 7)], [("ACGTACGTAT", 1)], "more cells than columns in "),
    "one_class": ([("ACGTACGTAC", 0), ("ACGTACGTAA", 0)], [("ACGTACGTAT", 0)], "one class only in "),
    "empty_label": ([("ACGTACGTAC", 0), ("ACGTACGTAA", "")], [("ACGTACGTAT", 0)], "sequence or label missing in "),
    "no_rows": ([("ACGTACGTAC", 0), ("ACGTACGTAA", 1)], [], "no rows in "),
    "protein": ([("MKVLAAGIQW", 0), ("ACGTACGTAA", 1)], [("ACGTACGTAT", 0)], ""),
}  # fmt: skip


@pytest.fixture
def broken(tmp_path):
    folder = tmp_path / "data"
    for name, (train, test, _) in BROKEN.items():
        for split, rows in (("train", train), ("test", test)):
            if rows is not None:
                write_rows(folder / name / f"{split}.csv", rows)
    return folder


def test_broken_sets_are_skipped_and_the_others_run(broken, tmp_path, capsys):
    make_set(broken / "good")
    assert run(command(broken, tmp_path / "run", config="tiny")) == 0
    found = read(tmp_path / "run")
    assert [record["dataset"] for record in found["records"]] == ["good"]
    reasons = found["skipped"]
    assert set(reasons) == set(BROKEN)
    for name, (_, _, reason) in BROKEN.items():
        assert reasons[name].startswith(reason)
    warnings = [line for line in capsys.readouterr().err.splitlines() if " skipped: " in line]
    assert len(warnings) == len(BROKEN)


def test_when_every_set_is_broken_it_is_an_error(broken, tmp_path, capsys):
    assert run(command(broken, tmp_path / "run", config="tiny")) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: no dataset could be used in ")
    assert len(read(tmp_path / "run")["skipped"]) == len(BROKEN)


def test_long_sequences_are_cut_and_counted(tmp_path, capsys):
    make_set(tmp_path / "data" / "a")
    assert (
        run(command(tmp_path / "data", tmp_path / "run", "finetune.data.max_tokens=20", config="tiny")) == 0
    )
    assert read(tmp_path / "run")["records"][0]["summary"]["sequences_cut"] == 48
    assert "a: " in (out := capsys.readouterr().out)
    assert "48 sequences cut" in out


def test_collapse_is_marked(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = [(bases, int(i == 0)) for i, bases in enumerate(sequences(rng, 40))]
    write_rows(tmp_path / "data" / "a" / "train.csv", rows)
    write_rows(tmp_path / "data" / "a" / "test.csv", [(b, i % 2) for i, b in enumerate(sequences(rng, 10))])
    arguments = ["finetune.optim.lr=1e-2", "finetune.epochs=2"]
    assert run(command(tmp_path / "data", tmp_path / "run", *arguments, config="tiny")) == 0
    assert "a: collapsed in 1 of 1" in capsys.readouterr().out
    assert next(csv.DictReader((tmp_path / "run" / "table.csv").open()))["collapsed runs"] == "1"


def test_our_few_shot_draws_differ_by_seed_and_keep_clear_of_the_test_set(gue, tmp_path):
    out = tmp_path / "run"
    arguments = ["draws=2", "datasets=[*tata@3,*tata@100]"]
    assert run(command(gue, out, *arguments, config="few_shot")) == 0
    found = read(out)
    assert [(r["shots"], r["draw"], r["seed"]) for r in found["records"]] == [(3, None, 0), (3, None, 1)]
    assert [r["summary"]["train_sequences"] for r in found["records"]] == [6, 6]
    assert [r["summary"]["test_sequences_in_train"] for r in found["records"]] == [0, 0]
    ((dataset, reason),) = found["skipped"].items()
    assert dataset == "prom/prom_core_tata, 100-shot"
    assert reason.startswith("fewer rows than shots in data.shots")
    assert (out / "prom" / "prom_core_tata" / "3-shot" / "seed1" / "summary.json").is_file()


def test_published_draws_are_read_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "Splice-40"
    kmers = [" ".join(bases[i : i + 6] for i in range(25)) for bases in sequences(rng, 24)]
    for split, rows in (("10/train", kmers[:18]), ("3/train", kmers[:18]), ("test", kmers[18:])):
        path = folder / f"{split}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("sequence\tlabel\n" + "".join(f"{row}\t{i % 3}\n" for i, row in enumerate(rows)))
    out = tmp_path / "run"
    arguments = ["datasets=[*@3,*@10,*@50]", "seeds=2", "finetune.epochs=1"]
    assert run(command(tmp_path / "data", out, *arguments, config="few_shot")) == 0
    found = read(out)
    # 18 rows of 3 classes are two draws of 3, and no draw of 10.
    assert [(r["shots"], r["draw"], r["seed"]) for r in found["records"]] == [
        (3, 0, 0),
        (3, 0, 1),
        (3, 1, 0),
        (3, 1, 1),
    ]
    assert {r["summary"]["train_sequences"] for r in found["records"]} == {9}
    assert list(found["skipped"]) == ["Splice-40, 10-shot"]
    assert found["absent"] == ["Splice-40, 50-shot"]


def test_a_pretraining_run_is_evaluated(small_genome, gue, tmp_path, capsys):
    pretrained = tmp_path / "pretrained"
    pretrain = ["run", "pretrain", "--config", "tiny", *small_genome.overrides(), "data.split.block_bp=2000"]
    assert run([*pretrain, "steps=2", "-o", str(pretrained)]) == 0
    out = tmp_path / "run"
    of_kmer3 = command(gue, out, f"model={pretrained}", "datasets=[tf/0]")
    assert run(of_kmer3) == 2
    assert "the model was trained with kmer6, not kmer3; leave `tokenizer` out" in capsys.readouterr().err
    assert run([word for word in of_kmer3 if word != "tokenizer=kmer3"]) == 0
    assert f"model: {pretrained}" in (out / "tf" / "0" / "seed0" / "config.yaml").read_text()


def test_an_edited_recipe_is_used(gue, tmp_path):
    assert run(["cp", "finetune", str(tmp_path / "mine.py")]) == 0
    text = (tmp_path / "mine.py").read_text()
    (tmp_path / "mine.py").write_text(
        text.replace("summary.BEST_EPOCH: ", '"edited": True, summary.BEST_EPOCH: ')
    )
    out = tmp_path / "run"
    assert run(command(gue, out, f"finetune.recipe={tmp_path / 'mine.py'}", "datasets=[tf/0]")) == 0
    assert read(out)["records"][0]["summary"]["edited"] is True


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model=logo_tyni", "error: unknown model 'logo_tyni' in command line (model): it is neither a "),
        ("datasets=[promm*]", "error: no dataset 'promm*' in datasets; "),
        ("finetune.optim.lr=-1", "error: `lr` must be above 0, but is -1.0 in command line (finetune.optim.lr)"),
        ("finetune.optim.lrr=1", "error: unknown key 'lrr' in command line (finetune.optim.lrr); did you mean 'lr'?"),
        ("finetune.recipe=finetun", "error: unknown recipe 'finetun' in command line (finetune.recipe); did you mean"),
        ("seeds=0", "error: `seeds` and `draws` must be 1 or more in command line (seeds)"),
        ("datasets=[tf/0@0]", "error: shots of 'tf/0@0' are not a positive number in datasets; write NAME@10"),
        ("datasets=[]", "error: `datasets` must name one or more in command line (datasets)"),
        ("data.dir=/no/such/folder", "error: no such folder in /no/such/folder; set data.dir"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_exit_2(override, message, gue, tmp_path, capsys):
    assert run([*command(gue, tmp_path / "run"), override]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(message)


@pytest.mark.parametrize("name", [name for name in shipped_configs() if name.startswith("evaluate/")])
def test_every_shipped_config_runs_on_a_cpu(name, gue, tmp_path):
    recipe = load_recipe("evaluate")
    known_as = {"evaluate/nt_tasks": "H3K4me1", "evaluate/genomic_benchmarks": "human_enhancers_cohn"}
    wanted = tmp_path / "data" / known_as.get(name, "tf/0")
    wanted.parent.mkdir(parents=True)
    wanted.symlink_to(gue / "tf" / "0")
    overrides = [
        f"data.dir={tmp_path / 'data'}", "model=logo_tiny", "datasets=[*]", "compute.device=cpu",
        "compute.threads=1", "yardsticks=false",
    ]  # fmt: skip
    if name != "evaluate/probe":
        overrides.append("finetune.epochs=1")
    if name == "evaluate/few_shot":
        overrides += ["datasets=[tf/0@2]", "draws=1"]
    recipe.main(load_config(recipe.config_schema, shipped_configs()[name], overrides), tmp_path / "run")
    assert len(read(tmp_path / "run")["records"]) == 1

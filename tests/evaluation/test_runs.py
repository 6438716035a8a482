"""Fine-tuning runs of an evaluation: their configs, records and repeats."""

from __future__ import annotations

import pytest

from cmgems.config import Component, RecipeSettings
from cmgems.errors import CheckpointError, ConfigError
from cmgems.evaluation.config import DatasetsConfig, EvaluationConfig
from cmgems.evaluation.repeats import Repeat, repeats
from cmgems.evaluation.results import Record
from cmgems.evaluation.runs import Evaluation, result_line, starting_values
from cmgems.files import write_json


@pytest.fixture
def data(tmp_path, labelled_set):
    for name in ("a", "b"):
        labelled_set(tmp_path / "data" / name)
    return DatasetsConfig(tmp_path / "data")


MODEL = starting_values(Component("logo_tiny"), Component("kmer6"))


def evaluation(data, values=None, **more):
    return Evaluation(
        EvaluationConfig(data=data, finetune=RecipeSettings("finetune", None, values or {}), **more)
    )


def test_seeds_and_draws_are_numbered_by_parts(data):
    whole, few = evaluation(data, datasets=("a", "a@5")).datasets
    assert repeats(whole, 2, 3) == [Repeat(0), Repeat(1)]
    assert repeats(whole, 2, 3, part=1) == [Repeat(2), Repeat(3)]
    assert repeats(few, 2, 3) == [Repeat(0), Repeat(1), Repeat(2)]
    assert repeats(few, 2, 3, part=1) == [Repeat(3), Repeat(4), Repeat(5)]


def test_every_key_of_the_recipe_may_be_set(data, tmp_path):
    values = {"optim": {"beta1": 0.8, "eps": 1e-6}, "lora": {"r": 4}, "task": "multi_label"}
    found = evaluation(data, values)
    config = found._run_config(found.runs(tmp_path)[0], MODEL)
    assert (config.optim.beta1, config.optim.eps, config.lora.r) == (0.8, 1e-6, 4)
    assert (config.task.name, config.task.options) == ("multi_label", {})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optim": {"lrr": 1}}, "unknown key 'lrr'"),
        ({"task": "multi_label", "epochs": 0}, "must be 1 or more"),
    ],
)
def test_a_wrong_value_is_found_before_any_run(data, tmp_path, values, message):
    found = evaluation(data, values)
    with pytest.raises(ConfigError, match=message):
        found.check(found.runs(tmp_path), MODEL)


def test_a_finished_run_with_another_config_is_refused(data, tmp_path):
    found = evaluation(data)
    run = found.runs(tmp_path)[0]
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text("recipe: finetune\nepochs: 99\n")
    write_json(run.folder / "summary.json", {})
    with pytest.raises(CheckpointError, match="it holds a run with another config: `model` is logo there"):
        found.check([run], MODEL)
    found.check([run], MODEL, stand_in=True)


@pytest.mark.parametrize(
    ("config", "metric"),
    [
        ("task: {name: classification, metric: auc}", "auc"),
        ("task: regression", "pearson"),
        ("task: mine", "mcc"),
        ("epochs: 1", "mcc"),
    ],
)
def test_the_metric_of_a_record_is_the_one_that_chose_the_epoch(data, tmp_path, config, metric):
    found = evaluation(data)
    run = found.runs(tmp_path)[0]
    assert (found.records([run]), run.record()) == ([], None)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(config)
    write_json(run.folder / "summary.json", {"mine": 1})
    assert found.records([run]) == [Record("a", None, None, 0, metric, {"mine": 1})]


def test_a_result_in_one_line():
    summary = {"test_mcc": 0.5, "test_auc": None, "test_sequences_in_train": 2, "classes_predicted": 1}
    assert result_line(Record("a", 5, None, 0, "mcc", summary)) == (
        "a, 5-shot: MCC 50.0; 2 test sequences are in train; collapsed: one class predicted"
    )


def test_a_registered_model_and_its_tokenizer(small_bpe):
    bpe = Component("bpe", {"file": small_bpe})
    found = starting_values(Component("logo_original", {"embedding": None}), bpe)
    assert found["model"] == {"name": "logo_original", "embedding": None}
    assert found["tokenizer"] == {"name": "bpe", "file": str(small_bpe)}
    assert starting_values(Component("logo"), bpe)["model"] == "logo"


def test_a_folder_is_pinned(tmp_path, monkeypatch):
    for place in ("checkpoints/step_2", "final"):  # what a run has on its way, and at its end
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "model.json").write_text("{}")
        assert starting_values(Component(str(tmp_path)), None) == {"model": str(tmp_path / place)}
    monkeypatch.chdir(tmp_path)
    assert starting_values(Component("./final"), Component("kmer6")) == {
        "model": "./final",
        "tokenizer": "kmer6",  # which the runs compare with the folder's
    }


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(CheckpointError, match="no model found"):
        starting_values(Component(str(tmp_path)), Component("kmer6"))

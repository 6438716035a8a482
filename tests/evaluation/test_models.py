"""The models of a comparison: strategies by name, their runs and folders."""

from __future__ import annotations

import pytest

from cmgems.config import RecipeSettings
from cmgems.errors import CmgemsError, ConfigError
from cmgems.evaluation.config import DatasetsConfig, EvaluationConfig
from cmgems.evaluation.models import masking_values, plan_models, pretrain_config, with_seed
from cmgems.evaluation.runs import Evaluation
from cmgems.files import write_json
from cmgems.masking import CURRICULA

# Its curriculum has an option of its own.
PRETRAIN = RecipeSettings("pretrain", "demo", {"data": {"store": "store"}})


def masking(strategy, base="demo"):
    """The section `masking` of a config whose own curriculum has options."""
    return pretrain_config(RecipeSettings("pretrain", base, PRETRAIN.values), strategy, 0).masking


@pytest.mark.parametrize("name", ["cm_gems", "cm_step", "annealed"])
def test_a_curriculum_drops_the_options_of_the_base_config(name):
    assert masking(name).curriculum.build(CURRICULA) == CURRICULA.get(name)


@pytest.mark.parametrize("name", ["random_span", "uniform", "genemask", "global_pmi"])
def test_a_strategy_masks_from_first_to_last(name):
    assert masking(name).curriculum.build(CURRICULA).strategies() == (name,)


def test_options_stand_below_masking():
    found = masking("cm_gems+curriculum.threshold=20+curriculum.easy=uniform+rank_by=position+rate=0.3")
    curriculum = found.curriculum.build(CURRICULA)
    assert (curriculum.threshold, curriculum.easy) == (20, "uniform")
    assert (found.rank_by, found.rate) == ("position", 0.3)


def test_a_schedule_of_the_rate_is_an_option_too():
    schedule = masking("random_span+rate_schedule=linear+rate_schedule.start=0.4").rate_schedule
    assert (schedule.name, schedule.options) == ("linear", {"start": 0.4})


def test_a_misspelt_strategy_gets_advice():
    with pytest.raises(CmgemsError, match=r"unknown strategy 'cm_gem'.*did you mean 'cm_gems'"):
        masking_values("cm_gem")


def test_an_option_without_a_value_is_refused():
    with pytest.raises(CmgemsError, match="option without a value"):
        masking_values("cm_gems+rate")


def test_a_value_may_hold_the_seed():
    assert with_seed({"a": ["warm/{seed}"], "b": 1}, 3) == {"a": ["warm/3"], "b": 1}
    settings = RecipeSettings("pretrain", "logo_cpu", {"data": {"store": "store{seed}"}, "seed": 7})
    config = pretrain_config(settings, "none", 3)
    assert (config.data.store.name, config.seed) == ("store3", 3)


def plan(tmp_path, datasets=("mine@10", "mine"), strategies=("random_span", "genemask"), **more):
    config = EvaluationConfig(data=DatasetsConfig(tmp_path / "data"), datasets=datasets, draws=2, **more)
    return plan_models(PRETRAIN, strategies, 2, Evaluation(config), tmp_path / "out")


def test_pretraining_seeds_have_draws_of_their_own_and_strategies_share_them(tmp_path, labelled_set):
    labelled_set(tmp_path / "data" / "mine")
    models = plan(tmp_path)
    seeds = {(m.strategy, m.seed): [(r.dataset.shots, r.repeat.seed) for r in m.runs] for m in models}
    assert seeds["random_span", 0] == seeds["genemask", 0] == [(10, 0), (10, 1), (None, 0)]
    assert seeds["random_span", 1] == [(10, 2), (10, 3), (None, 1)]
    assert len({run.folder for model in models for run in model.runs}) == 12
    assert [(m.strategy, m.seed, m.config.seed) for m in models] == [
        ("random_span", 0, 0), ("genemask", 0, 0), ("random_span", 1, 1), ("genemask", 1, 1),
    ]  # fmt: skip


def test_published_draws_are_gone_through_and_begun_again(tmp_path, labelled_set):
    labelled_set(tmp_path / "data" / "Splice" / "5", rows_a_class=15)  # three draws
    (tmp_path / "data" / "Splice" / "5" / "test.csv").rename(tmp_path / "data" / "Splice" / "test.csv")
    models = plan(tmp_path, ("Splice@5",), ("uniform",))
    draws = [[(run.repeat.seed, run.repeat.draw) for run in model.runs] for model in models]
    assert draws == [[(0, 0), (0, 1)], [(1, 2), (1, 0)]]


def test_finished_is_when_nothing_is_left_to_run(tmp_path, labelled_set):
    labelled_set(tmp_path / "data" / "mine")
    trained, untrained = plan(tmp_path, ("mine",), ("random_span", "none"))[:2]
    for model in (trained, untrained):
        assert not model.finished
        model.runs[0].folder.mkdir(parents=True)
        write_json(model.runs[0].folder / "summary.json", {})
    assert (trained.finished, untrained.finished) == (False, True)
    trained.run_folder.mkdir(parents=True)
    write_json(trained.run_folder / "summary.json", {})
    assert trained.finished


def test_without_an_evaluation_there_are_no_runs(tmp_path):
    models = plan_models(PRETRAIN, ("uniform",), 1, Evaluation(None), tmp_path)
    assert models[0].runs == ()
    with pytest.raises(ConfigError):
        plan_models(
            RecipeSettings("pretrain", "tiny", {"steps": -1}), ("uniform",), 1, Evaluation(None), tmp_path
        )

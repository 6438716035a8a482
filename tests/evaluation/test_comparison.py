from __future__ import annotations

import math

import pytest

from cmgems import assets
from cmgems.config import load_config
from cmgems.errors import CmgemsError
from cmgems.evaluation.comparison import (
    Comparison,
    Score,
    find_tasks,
    masking_overrides,
    overall,
    read_pretraining,
    rows,
)
from cmgems.files import write_json
from cmgems.masking import CURRICULA
from cmgems.recipes import load_recipe


def masking(strategy, base="logo_cpu"):
    """The section `masking` of a config whose own curriculum has options."""
    schema = load_recipe(assets.find_recipe("pretrain")).config_schema
    return load_config(schema, assets.find_config(base, "pretrain"), masking_overrides(strategy)).masking


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


def test_a_misspelt_strategy_gets_advice():
    with pytest.raises(CmgemsError, match=r"unknown strategy 'cm_gem'.*did you mean 'cm_gems'"):
        masking_overrides("cm_gem")


def test_an_option_without_a_value_is_refused():
    with pytest.raises(CmgemsError, match="option without a value"):
        masking_overrides("cm_gems+rate")


def labelled_set(folder, rows_a_class=30):
    folder.mkdir(parents=True)
    lines = [f"{'ACGT' * 10}{'ACGT'[i % 4]}{'ACGT'[i // 4 % 4]},{i % 2}" for i in range(2 * rows_a_class)]
    for split in ("train", "dev", "test"):
        (folder / f"{split}.csv").write_text("\n".join(["sequence,label", *lines]) + "\n")


def test_whole_sets_of_gue_get_its_settings_and_few_shot_ones_the_protocols(tmp_path):
    labelled_set(tmp_path / "GUE" / "prom" / "prom_core_tata")
    labelled_set(tmp_path / "mine")
    tata, few, mine = find_tasks(tmp_path, ["prom_core_tata", "prom_core_tata@10", "mine"])
    assert tata.settings["epochs"] == 10
    assert find_tasks(tmp_path, ["prom*"]) == find_tasks(tmp_path, ["GUE/prom/prom_core_tata"]) == [tata]
    assert find_tasks(tmp_path, ["prom/prom_core_tata@10"]) == [few]
    assert (few.shots, few.settings["optim.lr"]) == (10, 1e-4)
    assert not mine.settings


@pytest.mark.parametrize("name", ["mine@many", "mine@0", "yours", "prom_300_tata"])
def test_tasks_that_are_not_there_are_one_line(tmp_path, name):
    labelled_set(tmp_path / "mine")
    with pytest.raises(CmgemsError):
        find_tasks(tmp_path, [name])


def test_pretraining_seeds_have_draws_of_their_own_and_strategies_share_them(tmp_path):
    labelled_set(tmp_path / "mine")
    tasks = tuple(find_tasks(tmp_path, ["mine@10", "mine"]))
    comparison = Comparison(tmp_path / "out", ("a", "b"), 2, tasks, draws=2)
    seeds = {
        (strategy, seed): [(t.shots, r.seed) for t, r, _ in comparison.fine_tunings(strategy, seed)]
        for strategy in "ab"
        for seed in range(2)
    }
    assert seeds["a", 0] == seeds["b", 0] == [(10, 0), (10, 1), (None, 0)]
    assert seeds["a", 1] == [(10, 2), (10, 3), (None, 1)]
    folders = [f for s in "ab" for seed in range(2) for _, _, f in comparison.fine_tunings(s, seed)]
    assert len(set(folders)) == 12


def test_published_draws_are_gone_through_and_begun_again(tmp_path):
    labelled_set(tmp_path / "Splice" / "5", rows_a_class=15)  # three draws
    (tmp_path / "Splice" / "5" / "test.csv").rename(tmp_path / "Splice" / "test.csv")
    tasks = tuple(find_tasks(tmp_path, ["Splice@5"]))
    comparison = Comparison(tmp_path / "out", ("a",), 2, tasks, draws=2)
    draws = [[(r.seed, r.draw) for _, r, _ in comparison.fine_tunings("a", seed)] for seed in range(2)]
    assert draws == [[(0, 0), (0, 1)], [(1, 2), (1, 0)]]


def finished_pretraining(folder, losses, switch=None):
    folder.mkdir(parents=True)
    lines = ['{"step": 1, "loss": 5.0, "masked_share": 0.1}', '{"step": 2, "loss": 4.0, "masked_share": 0.2}']
    lines += [f'{{"step": {step}, "validation_loss": {nats}}}' for step, nats in losses]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    write_json(
        folder / "summary.json",
        {"switched_at": switch, "tokens": 1000, "tokens_per_second": 50.0},
    )


def test_reads_a_finished_pretraining_run(tmp_path):
    finished_pretraining(tmp_path / "run", [(10, 3.0), (20, 2.5)], switch=10)
    found = read_pretraining(tmp_path / "run", "cm_gems", 1)
    assert (found.loss, found.seconds, found.switched_at) == (2.5, 20.0, 10)
    assert found.masked_share == pytest.approx(0.15)
    assert read_pretraining(tmp_path, "cm_gems", 1) is None


def test_scores_are_those_of_finished_runs_without_undefined_ones(tmp_path):
    labelled_set(tmp_path / "data" / "mine")
    comparison = Comparison(tmp_path / "out", ("a", "b"), 1, tuple(find_tasks(tmp_path / "data", ["mine"])))
    ((_, _, folder),) = comparison.fine_tunings("a", 0)
    folder.mkdir(parents=True)
    write_json(folder / "summary.json", {"test_mcc": 0.5, "test_auc": math.nan})
    assert comparison.metrics() == ["mcc", "auc"]
    assert comparison.scores("mcc") == {"mine": [Score("a", 0, "seed0", 0.5)]}
    assert comparison.scores("auc") == {}


def test_finished_is_when_nothing_is_left_to_run(tmp_path):
    labelled_set(tmp_path / "data" / "mine")
    tasks = tuple(find_tasks(tmp_path / "data", ["mine"]))
    comparison = Comparison(tmp_path / "out", ("a", "none"), 1, tasks)
    for strategy in ("a", "none"):
        ((_, _, folder),) = comparison.fine_tunings(strategy, 0)
        folder.mkdir(parents=True)
        assert not comparison.finished(strategy, 0)
        write_json(folder / "summary.json", {})
    assert not comparison.finished("a", 0)
    assert comparison.finished("none", 0)
    finished_pretraining(comparison.pretraining_folder("a", 0), [(1, 2.0)])
    assert comparison.finished("a", 0)


def test_rows_pair_runs_and_leave_out_what_stands_alone():
    scores = [Score("a", seed, "", value) for seed, value in enumerate([0.1, 0.5, 0.9])]
    scores += [Score("b", seed, "", value) for seed, value in enumerate([0.2, 0.6])]
    first, second = rows(scores, ["a", "b", "absent"], "a")
    assert (first.strategy, first.difference) == ("a", None)
    assert second.values.mean == pytest.approx(0.4)
    assert second.difference.pairs == 2
    assert second.difference.mean == pytest.approx(0.1)


def test_draws_from_the_same_weights_are_one_pair():
    scores = [
        Score(strategy, seed, f"draw{draw}", 0.5 + (strategy == "b") * (0.1 * seed + 0.01 * draw))
        for strategy in ("a", "b") for seed in range(2) for draw in range(5)
    ]  # fmt: skip
    _, row = rows(scores, ["a", "b"], "a")
    assert (row.values.count, row.difference.pairs) == (10, 2)
    assert row.difference.mean == pytest.approx(0.07)
    assert row.difference.low == pytest.approx(0.02)


def test_over_all_tasks_a_pretraining_seed_counts_once():
    tasks = {
        "one": [Score(s, seed, "", 0.5 + gain) for s, gain in (("a", 0), ("b", 0.1)) for seed in range(3)],
        "two": [Score(s, seed, "", 0.7 + gain) for s, gain in (("a", 0), ("b", -0.02)) for seed in range(2)],
    }
    found = overall(tasks, "b", "a")
    assert found.difference.pairs == 3
    assert found.difference.mean == pytest.approx((0.04 + 0.04 + 0.1) / 3)
    assert (found.better, found.pairs) == (3, 5)
    assert overall(tasks, "absent", "a") is None

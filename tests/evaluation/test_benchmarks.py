"""Finding the datasets to evaluate, and their settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmgems.config import load_config
from cmgems.errors import CmgemsError, DataError
from cmgems.evaluation.benchmarks import BENCHMARKS, GUE, Dataset, few_shot_settings, find_datasets
from cmgems.recipes import load_recipe


def make(folder, *files):
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("sequence,label\nACGTACGT,0\nACGTACGA,1\n")
    return folder


def names(found):
    return [dataset.name for dataset in found[0]]


def test_the_28_sets_of_gue_and_their_settings():
    assert len(GUE) == 28
    recipe = load_recipe("finetune")

    def settings(name):
        values = Dataset(name, "x", settings=GUE[name]).values()
        config = load_config(recipe.config_schema, None, values=[values])
        assert (config.optim.lr, config.optim.weight_decay, config.batch_size) == (3e-5, 0.01, 32)
        return config.data.max_tokens, config.epochs, config.optim.warmup, config.max_steps

    found = {name: settings(name) for name in GUE}
    marks = ["H3", "H3K14ac", "H3K36me3", "H3K4me1", "H3K4me2", "H3K4me3", "H3K79me3", "H3K9ac", "H4", "H4ac"]
    assert found == {
        **{f"EMP/{mark}": (512, 3, 50, None) for mark in marks},
        **{f"mouse/{i}": (110, 20, 30, 1000) for i in range(5)},
        **{f"tf/{i}": (110, 3, 30, None) for i in range(5)},
        "prom/prom_core_all": (80, 4, 50, None),
        "prom/prom_core_notata": (80, 4, 50, None),
        "prom/prom_core_tata": (80, 10, 50, None),
        "prom/prom_300_all": (310, 4, 50, None),
        "prom/prom_300_notata": (310, 4, 50, None),
        "prom/prom_300_tata": (310, 10, 50, None),
        "splice/reconstructed": (410, 5, 50, None),
        "virus/covid": (1024, 9, 50, None),
    }


@pytest.mark.parametrize(
    ("shots", "lr", "epochs", "batch_size"),
    [(10, 1e-4, 20, 5), (50, 1e-4, 20, 5), (100, 1e-4, 20, 5), (500, 5e-5, 5, 15), (1000, 5e-5, 5, 15)],
)
def test_few_shot_settings(shots, lr, epochs, batch_size):
    recipe = load_recipe("finetune")
    dataset = Dataset("x", "x", settings=few_shot_settings(shots), shots=shots)
    config = load_config(recipe.config_schema, None, values=[dataset.values()])
    assert (config.optim.lr, config.epochs, config.batch_size) == (lr, epochs, batch_size)
    assert (config.optim.warmup, config.optim.weight_decay, config.dropout) == (0.1, 0.01, 0.1)
    assert config.data.shots == shots


def test_gue_is_found_from_above_and_from_inside(tmp_path):
    files = [f"GUE/prom/prom_core_tata/{split}.csv" for split in ("train", "dev", "test")]
    make(tmp_path, *files, "GUE/tf/0/train.csv", "GUE/other/train.csv")
    for folder in (tmp_path, tmp_path / "GUE"):
        found, absent = find_datasets(folder, benchmark="gue")
        assert [d.name for d in found] == ["prom/prom_core_tata", "tf/0"]
        assert len(absent) == 26
    assert names(find_datasets(tmp_path / "GUE" / "prom", benchmark="gue")) == ["prom/prom_core_tata"]
    (only,), _ = find_datasets(tmp_path / "GUE" / "tf" / "0", benchmark="gue")
    assert (only.name, only.metric) == ("tf/0", "mcc")


def test_covid_is_scored_by_f1(tmp_path):
    (covid,), _ = find_datasets(make(tmp_path, "virus/covid/train.csv"), benchmark="gue")
    assert covid.metric == "macro_f1"


def test_any_folder_of_sets_will_do(tmp_path):
    make(tmp_path, "mine/a/train.csv", "mine/b/train.tsv", "c/test.csv")
    (tmp_path / "empty").mkdir()
    found, absent = find_datasets(tmp_path)
    assert [(d.name, d.settings, d.shots) for d in found] == [
        ("c", {}, None),
        ("mine/a", {}, None),
        ("mine/b", {}, None),
    ]
    assert absent == []
    assert names(find_datasets(tmp_path / "mine" / "a")) == ["a"]


def test_links_are_followed_but_not_round_and_round(tmp_path):
    make(tmp_path / "elsewhere", "train.csv")
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "sets" / "loop").symlink_to(tmp_path / "sets")
    assert names(find_datasets(tmp_path / "sets")) == ["linked"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["prom*"], ["prom/prom_core_all", "prom/prom_core_tata"]),
        (["prom_core_tata", "tf/0"], ["prom/prom_core_tata", "tf/0"]),
        (["*all"], ["prom/prom_core_all"]),
    ],
)
def test_sets_are_chosen_by_name_or_glob(tmp_path, wanted, expected):
    make(tmp_path, *(f"{name}/train.csv" for name in ("prom/prom_core_all", "prom/prom_core_tata", "tf/0")))
    assert names(find_datasets(tmp_path, wanted, benchmark="gue")) == expected


def test_published_draws_belong_to_the_set_above(tmp_path):
    make(tmp_path, "Splice-40/10/train.tsv", "Splice-40/100/train.tsv", "Splice-40/test.tsv")
    found, absent = find_datasets(tmp_path, ["*@10", "*@50", "*@100"])
    assert [(d.title, d.folder.name, d.drawn) for d in found] == [
        ("Splice-40, 10-shot", "10", True),
        ("Splice-40, 100-shot", "100", True),
    ]
    assert [d.settings for d in found] == [few_shot_settings(10), few_shot_settings(100)]
    assert absent == ["Splice-40, 50-shot"]
    assert names(find_datasets(tmp_path / "Splice-40", ["*@10"])) == ["Splice-40"]
    make(tmp_path, "whole/train.csv")
    found, absent = find_datasets(tmp_path)
    assert [d.title for d in found] == ["whole"]
    assert absent == ["Splice-40 whole (there are draws of it: Splice-40@10, Splice-40@100)"]


@pytest.mark.parametrize("folder", [".", "sets", "./sets/Splice-40"])
def test_published_draws_are_found_wherever_one_stands(tmp_path, monkeypatch, folder):
    make(tmp_path / "sets", "Splice-40/10/train.tsv", "Splice-40/test.tsv")
    monkeypatch.chdir(tmp_path)
    (found,), absent = find_datasets(Path(folder), ["*@10"])
    assert (found.folder, found.drawn, absent) == (Path("sets/Splice-40/10"), True, [])


def test_our_draws_come_from_any_set(tmp_path):
    make(tmp_path, *(f"tf/0/{split}.csv" for split in ("train", "test")))
    found, absent = find_datasets(tmp_path, ["*@10", "tf/0@50"])
    assert [(d.title, d.folder, d.drawn) for d in found] == [
        ("tf/0, 10-shot", tmp_path / "tf" / "0", False),
        ("tf/0, 50-shot", tmp_path / "tf" / "0", False),
    ]
    assert absent == []


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ([], {}, "no dataset found"),
        (["a/train.csv"], {"benchmark": "gue"}, "no dataset of GUE found"),
        (["prom_a/train.csv"], {"wanted": ["promm_a"]}, "no dataset 'promm_a' in datasets; did you mean 'prom_a'?"),
        (["a/train.csv", "b/train.csv"], {"wanted": ["a", "c"]}, "no dataset 'c' in datasets"),
        (["S/10/train.tsv", "S/test.tsv"], {}, "no dataset found"),
        (["tf/0/train.csv", "copy/tf/0/train.csv"], {"benchmark": "gue"}, "dataset tf/0 twice"),
        (["tf/0/train.csv"], {"benchmark": "gue", "wanted": ["covid"]}, "no dataset found"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said(tmp_path, files, options, message):
    with pytest.raises(DataError) as error:
        find_datasets(make(tmp_path, *files), **options)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("name", ["a@many", "a@0", "a@"])
def test_shots_are_positive_numbers(tmp_path, name):
    with pytest.raises(CmgemsError, match=f"shots of '{name}' are not a positive number in datasets"):
        find_datasets(make(tmp_path, "a/train.csv"), [name])


def test_datasets_come_in_the_order_asked_for_each_once(tmp_path):
    make(tmp_path, *(f"{name}/train.csv" for name in "abc"))
    found, _ = find_datasets(tmp_path, ["b", "*@5", "b@5", "*"])
    assert [d.title for d in found] == ["b", "b, 5-shot", "a, 5-shot", "a", "c, 5-shot", "c"]


def test_whole_sets_have_gues_settings_wherever_they_are(tmp_path):
    make(
        tmp_path,
        "data/GUE/prom/prom_core_tata/train.csv",
        "data/GUE/virus/covid/train.csv",
        "data/mine/train.csv",
    )
    found = {d.name: d for d in find_datasets(tmp_path / "data")[0]}
    (few,), _ = find_datasets(tmp_path / "data", ["prom_core_tata@10"])
    assert found["GUE/virus/covid"].metric == "macro_f1"
    assert (found["mine"].settings, found["mine"].metric) == ({}, "mcc")
    (tata,), _ = find_datasets(tmp_path / "data", ["prom*"])
    assert tata.settings == GUE["prom/prom_core_tata"]
    assert (few.shots, few.metric, few.settings) == (10, "accuracy", few_shot_settings(10))


def test_no_folder(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        find_datasets(tmp_path / "none")


def test_the_real_sets_are_found(shared_data):
    found, absent = find_datasets(shared_data / "gue", benchmark="gue")
    assert [d.name for d in found] == [
        "mouse/2", "mouse/4", "prom/prom_core_all", "prom/prom_core_notata", "prom/prom_core_tata",
        "tf/0", "tf/1", "tf/2", "tf/3",
    ]  # fmt: skip
    assert len(absent) == 19
    few, missing = find_datasets(shared_data / "fewshot", [f"*@{n}" for n in (10, 50, 100, 500, 1000)])
    assert [(d.name, d.shots) for d in few] == [
        *(("Prom-core", n) for n in (10, 50, 100, 500, 1000)), ("Silencer", 10), ("Splice-40", 10), ("Splice-40", 100),
    ]  # fmt: skip
    assert len(missing) == 7


@pytest.mark.parametrize(
    ("benchmark", "count", "one", "metric"),
    [("nt_tasks", 18, "enhancers", "mcc"), ("genomic_benchmarks", 9, "human_enhancers_cohn", "accuracy")],
)
def test_benchmarks_without_a_dev_set(tmp_path, benchmark, count, one, metric):
    known = BENCHMARKS[benchmark]
    assert len(known.sets) == count
    make(tmp_path, f"{one}/train.csv", f"{one}/test.csv", "mine/train.csv", "mine/test.csv")
    (found,), absent = find_datasets(tmp_path, benchmark=benchmark)
    assert (found.name, found.metric, found.settings) == (one, metric, {"data": {"dev_share": 0.1}})
    assert len(absent) == count - 1
    plain = {dataset.name: dataset.settings for dataset in find_datasets(tmp_path)[0]}
    assert plain == {one: {}, "mine": {}}
    with pytest.raises(DataError, match=f"no dataset of {known.title} found"):
        find_datasets(tmp_path / "mine", benchmark=benchmark)


def test_what_does_not_train_has_settings_of_the_data_only():
    settings = {"epochs": 3, "data": {"max_tokens": 80, "dev_share": 0.1}}
    values = Dataset("a", "a", settings=settings).values(trains=False)
    assert values == {"data": {"dir": "a", "shots": None, "dev_share": 0.1}, "task": {"metric": "mcc"}}

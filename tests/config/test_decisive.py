"""What decides a run: settings that may change on the way, and inputs that are compared by what they hold."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cmgems.config import (
    Component,
    changed_inputs,
    component,
    config_dict,
    config_difference,
    contents,
    free,
    input_path,
    load_config,
)
from cmgems.files import sha256_of
from cmgems.recipes import load_recipe
from cmgems.registry import Registry

CUTTERS: Registry[Any] = Registry("cutter")


@CUTTERS.register("words")
@dataclass(frozen=True)
class Words:
    file: Path | None = input_path(sha256_of, None)
    size: int = 3
    threads: int = free(1)


@dataclass(frozen=True)
class Show:
    free: ClassVar[bool] = True

    every: int = 10


@dataclass(frozen=True)
class Low:
    rank: int = 8


@dataclass(frozen=True)
class Config:
    table: Path = input_path(sha256_of)
    rate: float = 0.15
    workers: int = free(0)
    model: Component = component(CUTTERS, "words", or_folder=True, content=sha256_of)
    cutter: Component | None = component(CUTTERS, "words", owner="model")
    low: Low | None = None
    show: Show = field(default_factory=Show)


def config_of(*overrides):
    return load_config(Config, None, ["table=t", *overrides])


@pytest.mark.parametrize(
    "override",
    ["workers=4", "show.every=1", "model.threads=8", "cutter.threads=2", "rate=0.15", "cutter=words"],
)
def test_a_harmless_setting_makes_no_difference(override):
    assert config_difference(config_of(override), config_dict(config_of())) == ""


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("rate=0.2", "`rate` is 0.15 there, 0.2 here"),
        ("table=u", "`table` is t there, u here"),
        ("cutter.size=4", "`cutter.size` is 3 there, 4 here"),
        ("model=./m", "`model` is words there, ./m here"),
        ("low.rank=8", "`low.rank` is null there, 8 here"),
    ],
)
def test_the_key_that_differs_is_named(override, said):
    assert config_difference(config_of(override), config_dict(config_of())) == said


def test_a_key_that_an_earlier_version_lacked_had_its_default():
    there = config_dict(config_of())
    del there["rate"]
    assert config_difference(config_of(), there) == ""
    assert "`rate` is 0.15 there" in config_difference(config_of("rate=0.2"), there)
    there["gone"] = 1
    assert config_difference(config_of(), there) == "`gone` is set there, and unknown here"


def test_inputs_are_known_by_what_they_hold(tmp_path):
    for name in ("t", "u", "w"):
        (tmp_path / name).write_text("same")
    first, moved = (
        contents(config_of(f"table={tmp_path / name}", f"cutter.file={tmp_path / 'w'}")) for name in "tu"
    )
    assert (set(first), changed_inputs(first, moved)) == ({"table", "cutter.file"}, [])
    (tmp_path / "w").write_text("other")
    assert changed_inputs(first, contents(config_of(f"cutter.file={tmp_path / 'w'}"))) == ["cutter.file"]


def test_an_input_that_cannot_be_read_is_left_to_its_reader(tmp_path):
    assert contents(config_of(f"table={tmp_path / 'nowhere'}")) == {}


def test_files_of_a_folder_are_named_when_they_change():
    before = {"data.dir": {"train.csv": "1", "test.csv": "2"}, "table": "3"}
    now = {"data.dir": {"train.csv": "0", "test.csv": "2", "dev.csv": "4"}, "table": "3"}
    assert changed_inputs(before, now) == ["data.dir (dev.csv, train.csv)"]


@pytest.mark.parametrize(
    ("recipe", "overrides"),
    [
        (
            "pretrain",
            ["data.workers=2", "data.prefetch=0", "compute.threads=2", "compute.device=cpu", "compute.compile=on",
             "compute.recompute=true", "checkpoint.every=3", "log.every=3", "parallel.mode=shard", "trouble.spike=0"],
        ),
        ("finetune", ["compute.threads=2", "compute.device=cpu", "checkpoint.keep=3", "log.tensorboard=true"]),
    ],
)  # fmt: skip
def test_what_a_run_of_the_recipes_may_change(recipe, overrides):
    schema = load_recipe(recipe).config_schema
    required = "data.store=x" if recipe == "pretrain" else "data.dir=x"
    there = config_dict(load_config(schema, None, [required]))
    for override in overrides:
        assert config_difference(load_config(schema, None, [required, override]), there) == "", override
    bf16 = load_config(schema, None, [required, "compute.precision=bf16"])
    assert "`compute.precision` is auto there, bf16 here" in config_difference(bf16, there)


@pytest.mark.parametrize(
    ("text", "overrides", "cutter"),
    [
        ("", ["model=./m"], None),
        ("cutter: {name: words, size: 5}\n", ["model=./m"], None),  # it was for the model that ./m replaces
        ("model: ./m\n", [], None),
        ("model: ./m\ncutter: words\n", [], Component("words")),
        ("", ["cutter=words", "model=./m"], Component("words")),
        ("model: ./m\n", ["cutter=words"], Component("words")),
        ("cutter: {name: words, size: 5}\n", [], Component("words", {"size": 5})),
    ],
)
def test_what_a_folder_brings_is_none_unless_it_is_given_with_it(text, overrides, cutter, tmp_path):
    (tmp_path / "c.yaml").write_text(f"table: t\n{text}")
    config = load_config(Config, tmp_path / "c.yaml", overrides)
    assert config.cutter == cutter
    there = config_dict(
        dataclasses.replace(config, cutter=Component("words"))
    )  # as versions before 0.3 wrote it
    if config.model.folder is not None:
        assert config_difference(config, there) == ""

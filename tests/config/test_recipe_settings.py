"""Values for another recipe's config: checked by its schema, merged, kept as they were written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cmgems.config import RecipeSettings, config_dict, dotted_values, dump_config, load_config
from cmgems.config.recipe_settings import merge
from cmgems.errors import ConfigError

RECIPE = '''"""A recipe."""
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from cmgems.errors import CmgemsError

@dataclass(frozen=True)
class Optim:
    lr: float = 1e-4
    schedule: Literal["linear", "cosine"] = "linear"

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise CmgemsError(f"`lr` must be above 0, but is {self.lr}")

@dataclass(frozen=True)
class Config:
    store: Path
    epochs: int = 1
    optim: Optim = Optim()
    labels: tuple[str, ...] = ()
    note: str | None = "x"

def main(config, out):
    pass
'''


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "mine.py").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return "mine.py"


@dataclass(frozen=True)
class Config:
    inner: RecipeSettings = field(default_factory=lambda: RecipeSettings("mine.py", values={"epochs": 2}))
    seeds: int = 1


def load(text: str = "", *overrides: str) -> Config:
    Path("my.yaml").write_text(text)
    return load_config(Config, Path("my.yaml"), overrides)


def test_defaults_then_yaml_then_overrides(recipe: str) -> None:
    assert load().inner == RecipeSettings("mine.py", None, {"epochs": 2})
    found = load("inner: {optim: {lr: 1e-3}}", "inner.epochs=3", "inner.optim.schedule=cosine").inner
    assert found.values == {"epochs": 3, "optim": {"lr": "1e-3", "schedule": "cosine"}}


def test_a_required_key_may_be_missing_here_and_not_in_the_end(recipe: str) -> None:
    settings = load("inner: {optim: {lr: 1e-3}, labels: [a, b], note: null}").inner
    schema = settings.load().config_schema
    with pytest.raises(ConfigError, match="missing key `store`"):
        load_config(schema, None, values=[settings.values])
    found = load_config(schema, None, ["epochs=5"], [settings.values, {"store": Path("s")}])
    assert (found.store, found.epochs, found.optim.lr) == (Path("s"), 5, 1e-3)
    assert (found.labels, found.note) == (("a", "b"), None)


def test_a_config_of_the_recipe_is_laid_below(recipe: str) -> None:
    Path("base.yaml").write_text("recipe: mine\nepochs: 9\noptim: {schedule: cosine}\n")
    settings = load("inner: {config: base.yaml}", "inner.optim.lr=0.5").inner
    assert settings.config == "base.yaml"
    found = load_config(
        settings.load().config_schema, settings.config_path(), values=[settings.values, {"store": "s"}]
    )
    assert (found.epochs, found.optim.lr, found.optim.schedule) == (2, 0.5, "cosine")


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("inner: {optim: {lrr: 1}}", (), "unknown key 'lrr' in my.yaml:1 (inner.optim.lrr); did you mean 'lr'?"),
        ("", ("inner.optim.lr=-1",), "`lr` must be above 0, but is -1.0 in command line (inner.optim.lr)"),
        ("inner: {epochs: many}", (), "`epochs` must be a whole number, but is 'many' in my.yaml:1 (inner.epochs)"),
        ("inner: 5", (), "`inner` must be a section of keys, but is '5' in my.yaml:1 (inner)"),
        ("inner: {recipe: [a]}", (), "`recipe` must be text, but is a list in my.yaml:1 (inner.recipe)"),
        ("", ("inner.recipe=finetun",), "unknown recipe 'finetun' in command line (inner.recipe); did you mean"),
        ("", ("inner.config=no.yaml",), "config not found in command line (inner.config)"),
    ],
)  # fmt: skip
def test_mistakes_are_said_where_they_are(
    recipe: str, text: str, overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        load(text, *overrides)
    (problem,) = error.value.problems
    assert problem.line().startswith(message)


def test_all_mistakes_are_said_at_once(recipe: str) -> None:
    with pytest.raises(ConfigError) as error:
        load("inner: {epochs: many, optim: {lrr: 1}}\nseeds: few\n")
    assert len(error.value.problems) == 3


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("inner.epochs=7", "inner.optim.lr=1e-4", "inner.labels=[a,b]", "inner.note=none"),
        ("inner.store=1.10", "inner.epochs=1_000", "inner.labels=a"),
        ("inner.config=base.yaml",),
    ],
)  # fmt: skip
def test_dumped_and_loaded_it_is_the_same(recipe: str, overrides: tuple[str, ...]) -> None:
    Path("base.yaml").touch()
    config = load("", *overrides)
    again = load(dump_config(config))
    assert again == config
    schema = config.inner.load().config_schema
    assert load_config(schema, None, values=[{"store": "s"}, again.inner.values]) == load_config(
        schema,
        None,
        ["store=s", "epochs=2", *(text.removeprefix("inner.") for text in overrides if "config" not in text)],
    )
    assert config_dict(config)["inner"]["recipe"] == "mine.py"


def test_merging_keeps_options_until_another_name_comes() -> None:
    task = {"task": {"name": "a", "metric": "mcc"}}
    assert merge([task, {"task": {"weight": 1}}]) == {"task": {"name": "a", "metric": "mcc", "weight": 1}}
    assert merge([task, {"task": {"name": "b"}}]) == {"task": {"name": "b"}}
    assert merge([task, {"task": "b"}, {"task": {"metric": "r2"}}]) == {"task": {"name": "b", "metric": "r2"}}
    assert merge([{"lora": None}, {"lora": {"r": 8}}]) == {"lora": {"r": 8}}


def test_values_by_dotted_key_apply_as_overrides_do():
    values = {"masking.curriculum.threshold": 5, "masking.curriculum": "cm_step", "datasets": ["a,b", "c"]}
    assert dotted_values(values) == [
        {"datasets": ["a,b", "c"]},
        {"masking": {"curriculum": "cm_step"}},
        {"masking": {"curriculum": {"threshold": 5}}},
    ]

"""A component that may be a folder: one key for both, and no doubt which is meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cmgems.config import Component, component, dump_config, load_config
from cmgems.errors import ConfigError
from cmgems.registry import Registry

MODELS: Registry[Any] = Registry("model")


@MODELS.register("logo")
@dataclass(frozen=True)
class Logo:
    layers: int = 2


@dataclass(frozen=True)
class Config:
    model: Component = component(MODELS, "logo", or_folder=True)


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("logo", "mine"):
        (tmp_path / name).mkdir()


@pytest.mark.parametrize(
    ("given", "name", "folder"),
    [
        ("logo", "logo", None),  # a registered name wins
        ("./logo", "./logo", Path("logo")),
        ("mine", "./mine", Path("mine")),
        ("runs/later", "runs/later", Path("runs/later")),  # need not be there yet
        ("~/model", f"{Path.home()}/model", Path.home() / "model"),
    ],
)
def test_a_name_or_a_folder(given, name, folder, tmp_path):
    config = load_config(Config, None, [f"model={given}"])
    assert (config.model, config.model.folder) == (Component(name), folder)
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert load_config(Config, tmp_path / "config.yaml") == config


def test_a_folder_drops_the_options_of_the_name_before(tmp_path):
    (tmp_path / "config.yaml").write_text("model: {name: logo, layers: 3}\n")
    assert load_config(Config, tmp_path / "config.yaml", ["model=mine"]).model == Component("./mine")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=mine", "model.layers=3"], r"unknown key 'layers' .*: the folder ./mine has its own settings"),
        (["model=lgo"], r"unknown model 'lgo' .*: it is neither a registered model nor a folder; did you mean 'logo'"),
        (["start=mine"], "unknown key 'start' in command line"),
    ],
)  # fmt: skip
def test_mistakes(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_config(Config, None, overrides)

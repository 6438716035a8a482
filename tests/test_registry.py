"""Registries: names, options and advice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from cmgems.errors import CmgemsError
from cmgems.registry import Registry, did_you_mean, near_misses


@dataclass(frozen=True)
class Model:
    layers: int = 2


@pytest.fixture
def models() -> Registry[Any]:
    registry: Registry[Any] = Registry("model")
    registry.add("tiny", Model())
    registry.register("plain")(Model)
    return registry


def test_names_and_prototypes(models: Registry[Any]) -> None:
    assert models.names() == ["plain", "tiny"]
    assert models.get("tiny") == Model()
    assert models.build("tiny", layers=3) == replace(Model(), layers=3)
    assert models.get("tiny") == Model()


def test_a_name_is_given_once(models: Registry[Any]) -> None:
    with pytest.raises(ValueError, match="'tiny' is registered already"):
        models.add("tiny", Model())


@pytest.mark.parametrize("prototype", [Model, 5, "Model"])
def test_a_prototype_is_a_dataclass_instance(models: Registry[Any], prototype: object) -> None:
    with pytest.raises(ValueError, match="must be a dataclass instance"):
        models.add("other", prototype)


def test_unknown_names_get_advice(models: Registry[Any]) -> None:
    with pytest.raises(CmgemsError, match=r"unknown model 'tinny' in here; did you mean 'tiny'\?"):
        models.get("tinny", where="here")
    with pytest.raises(CmgemsError, match="known: plain, tiny"):
        models.build("gpt")


def test_near_misses() -> None:
    assert near_misses("lr_rate", ["lr", "steps"]) == ["lr"]
    assert near_misses("Genmask", ["genemask", "global_pmi"]) == ["genemask"]
    assert near_misses("zzz", ["lr", "steps"]) == []
    assert did_you_mean("x", []) == "none are known"

"""A dumped config loads back equal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmgems.config import Component, component, config_dict, dump_config, load_config, recipe_label
from cmgems.registry import Registry

MODELS: Registry[Any] = Registry("model")


@MODELS.register("bert")
@dataclass(frozen=True)
class Bert:
    layers: int = 2
    dropout: float | None = None
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Section:
    text: str = ""
    path: Path | None = None
    mode: Literal["a", "null", "2", 1] = "a"


@dataclass(frozen=True)
class Config:
    number: float = 0.0
    count: int = 0
    flag: bool = False
    maybe: str | None = None
    names: tuple[str, ...] = ()
    pair: tuple[float, int] = (0.0, 0)
    section: Section = Section()
    absent: Section | None = None
    model: Component = component(MODELS, "bert")


texts = st.text(max_size=20) | st.sampled_from(
    ["null", "none", "None", "~", "1e-4", "no", "- a", "a: b", "#", "x" * 200]
)
floats = st.floats(allow_nan=False)
integers = st.integers(-(10**18), 10**18)
paths = st.text("ab /.:#'", min_size=1, max_size=9).map(Path)
sections = st.builds(Section, text=texts, path=st.none() | paths, mode=st.sampled_from(["a", "null", "2", 1]))
options = st.fixed_dictionaries(
    {},
    optional={
        "layers": integers,
        "dropout": st.none() | floats,
        "sizes": st.lists(integers, max_size=3).map(tuple),
    },
)
configs = st.builds(
    Config,
    number=floats,
    count=integers,
    flag=st.booleans(),
    maybe=st.none() | texts,
    names=st.lists(texts, max_size=3).map(tuple),
    pair=st.tuples(floats, integers),
    section=sections,
    absent=st.none() | sections,
    model=st.builds(Component, name=st.just("bert"), options=options),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=configs)
def test_round_trip(tmp_path: Path, config: Config) -> None:
    source = tmp_path / "config.yaml"
    source.write_text(dump_config(config, recipe="pretrain"))
    loaded = load_config(Config, source)
    assert loaded == config
    assert [type(value) for value in vars(loaded).values()] == [
        type(value) for value in vars(config).values()
    ]
    assert recipe_label(source) == "pretrain"
    json.dumps(config_dict(config))


def test_it_reads_well() -> None:
    config = Config(number=1e-5, pair=(0.9, 2), model=Component("bert", {"layers": 3}))
    assert dump_config(config).splitlines() == [
        "number: 1.0e-05",
        "count: 0",
        "flag: false",
        "maybe: null",
        "names: []",
        "pair: [0.9, 2]",
        "section:",
        "  text: ''",
        "  path: null",
        "  mode: a",
        "absent: null",
        "model:",
        "  name: bert",
        "  layers: 3",
    ]

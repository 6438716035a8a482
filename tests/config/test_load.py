"""Loading configs: precedence, types, components and one report of everything that is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from cmgems.config import Component, component, load_config, recipe_label
from cmgems.config.source import MAX_BYTES
from cmgems.errors import CmgemsError, ConfigError
from cmgems.registry import Registry

CURRICULA: Registry[Any] = Registry("curriculum")


@CURRICULA.register("constant")
@dataclass(frozen=True)
class Constant:
    strategy: str = "genemask"


@CURRICULA.register("switch")
@dataclass(frozen=True)
class Switch:
    threshold: float = 1.0
    after: int = 0

    def __post_init__(self) -> None:
        if self.threshold <= 0:
            raise CmgemsError("`threshold` must be positive", why=f"it is {self.threshold}")


@dataclass(frozen=True)
class Data:
    genome: Path
    bases: tuple[int, ...] = (1, 2)
    validation: Path | None = None


@dataclass(frozen=True)
class Optim:
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.98)
    schedule: Literal["linear", "cosine"] = "linear"
    weights: Literal["even"] | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise ValueError("`lr` must be positive")


@dataclass(frozen=True)
class Config:
    data: Data
    steps: int
    optim: Optim = Optim(lr=5e-4)
    tags: tuple[str, ...] = field(default_factory=lambda: ("a",))
    curriculum: Component = component(CURRICULA, "switch", threshold=2.0)
    compile: bool = False
    note: str | None = None


REQUIRED = "data: {genome: hg38.fa}\nsteps: 10\n"


def load(tmp_path: Path, text: str, *overrides: str) -> Config:
    source = tmp_path / "my.yaml"
    source.write_text(text)
    return load_config(Config, source, overrides)


def problems(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, *overrides)
    return [problem.line().replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def test_precedence_is_defaults_then_yaml_then_overrides(tmp_path: Path) -> None:
    config = load(tmp_path, REQUIRED + "optim: {schedule: cosine, lr: 1e-3}\n", "optim.lr=2e-3", "steps=20")
    assert config.steps == 20
    assert config.optim == Optim(lr=2e-3, schedule="cosine")
    assert config.data == Data(Path("hg38.fa"))


def test_a_partly_given_section_keeps_the_rest_of_its_default(tmp_path: Path) -> None:
    assert load(tmp_path, REQUIRED + "optim:\n  schedule: cosine\n").optim == Optim(5e-4, schedule="cosine")
    assert load(tmp_path, REQUIRED + "optim:\n").optim == Optim(5e-4)


def test_overrides_alone_are_enough() -> None:
    config = load_config(
        Config, None, ["data.genome=a=b.fa", "steps=1", "tags=[x, y]", "data.bases=", "note=k=v"]
    )
    assert config.data == Data(Path("a=b.fa"), bases=())
    assert (config.tags, config.note) == (("x", "y"), "k=v")


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "0.0001", "+.0001", "0.000_1"])
def test_float_spellings(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, REQUIRED + f"optim: {{lr: {text}}}").optim.lr == 1e-4
    assert load(tmp_path, REQUIRED, f"optim.lr={text}").optim.lr == 1e-4


@pytest.mark.parametrize("text", ["no", "yes", "on", "1:30", "0x10", "010", "2001-01-01", "=", "1e-4"])
def test_text_stays_the_text_that_was_written(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, REQUIRED + f"note: {text}").note == text
    assert load(tmp_path, REQUIRED, f"note={text}").note == text


@pytest.mark.parametrize("text", ["null", "none", "~", "None"])
def test_null(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, REQUIRED + f"note: {text}").note is None
    assert load(tmp_path, REQUIRED + "note: something", f"note={text}").note is None
    assert load(tmp_path, REQUIRED + f"note: '{text}'").note == text


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("steps: abc", "`steps` must be a whole number, but is 'abc' in my.yaml:2 (steps)"),
        ("steps: 1__0", "`steps` must be a whole number, but is '1__0' in my.yaml:2 (steps)"),
        ("steps: 1.5", "`steps` must be a whole number, but is '1.5' in my.yaml:2 (steps)"),
        ("steps: true", "`steps` must be a whole number, but is 'true' in my.yaml:2 (steps)"),
        ("steps: 1:30", "`steps` must be a whole number, but is '1:30' in my.yaml:2 (steps)"),
        ("steps: '5'", "`steps` must be a whole number without quotes, but is '5' in my.yaml:2 (steps)"),
        ("steps:", "`steps` must be a whole number, but is null in my.yaml:2 (steps)"),
        ("steps: [1]", "`steps` must be a whole number, but is a list in my.yaml:2 (steps)"),
        ("steps: {a: 1}", "`steps` must be a whole number, but is a section in my.yaml:2 (steps)"),
    ],
)
def test_wrong_whole_numbers(tmp_path: Path, line: str, error: str) -> None:
    assert problems(tmp_path, f"data: {{genome: a.fa}}\n{line}\n") == [error]


@pytest.mark.parametrize(
    ("override", "error"),
    [
        ("compile=yes", "`compile` must be true or false, but is 'yes' in command line (compile)"),
        ("optim.lr=fast", "`lr` must be a number, but is 'fast' in command line (optim.lr)"),
        ("optim.lr=nan", "`lr` must be a number, but is 'nan' in command line (optim.lr)"),
        ("optim.lr=1e999", "`lr` must be a number, but is '1e999' in command line (optim.lr)"),
        ("optim.betas=1", "`betas` must be a list of 2, but is '1' in command line (optim.betas)"),
        ("data.bases=1,x", "`bases` must be a whole number, but is 'x' in command line (data.bases)"),
        ("data.genome=", "`genome` must be a path, but is '' in command line (data.genome)"),
        (
            "optim.schedule=x",
            "`schedule` must be one of linear, cosine, but is 'x' in command line (optim.schedule)",
        ),
        (
            "optim.weights=x",
            "`weights` must be one of even or a list, but is 'x' in command line (optim.weights)",
        ),
        ("optim.weights=[1,x]", "`weights` must be a number, but is 'x' in command line (optim.weights)"),
        ("optim=x", "`optim` must be a section of keys, but is 'x' in command line (optim)"),
        ("steps.a=1", "`steps` must be a whole number, but is a section in command line (steps)"),
        ("stepz=1", "unknown key 'stepz' in command line (stepz); did you mean 'steps'?"),
        ("lr=1", "unknown key 'lr' in command line (lr); did you mean 'optim.lr'?"),
        ("optim.lr_rate=1", "unknown key 'lr_rate' in command line (optim.lr_rate); did you mean 'lr'?"),
        ("steps", "bad override 'steps' in command line; write it as key=value"),
        ("=5", "bad override '=5' in command line; write it as key=value"),
        ("a..b=5", "bad override 'a..b=5' in command line; write it as key=value"),
        ("optim.lr=-1", "`lr` must be positive in command line (optim.lr)"),
        ("curriculum=cm", "unknown curriculum 'cm' in command line (curriculum); known: constant, switch"),
        (
            "curriculum=swich",
            "unknown curriculum 'swich' in command line (curriculum); did you mean 'switch'?",
        ),
        (
            "curriculum.threshold=x",
            "`threshold` must be a number, but is 'x' in command line (curriculum.threshold)",
        ),
        (
            "curriculum.threshold=0",
            "`threshold` must be positive in command line (curriculum.threshold): it is 0.0",
        ),
        (
            "curriculum.treshold=1",
            "unknown key 'treshold' in command line (curriculum.treshold); did you mean 'threshold'?",
        ),
    ],
)
def test_wrong_overrides(tmp_path: Path, override: str, error: str) -> None:
    assert problems(tmp_path, REQUIRED, override) == [error]


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    text = """
recipe: pretrain
steps: many
step: 3
optim:
  lr: -1
  shedule: cosine
optim:
  lr: 1
data:
  bases: 5
curriculum: [switch]
"""
    assert problems(tmp_path, text, "oops", "compile=maybe") == [
        "duplicate key 'optim' in my.yaml:8: first in line 5",
        "bad override 'oops' in command line; write it as key=value",
        "unknown key 'step' in my.yaml:4 (step); did you mean 'steps'?",
        "missing key `genome` in my.yaml:10 (data.genome); "
        "add it to the config or give data.genome=... on the command line",
        "`bases` must be a list, but is '5' in my.yaml:11 (data.bases)",
        "`steps` must be a whole number, but is 'many' in my.yaml:3 (steps)",
        "unknown key 'shedule' in my.yaml:7 (optim.shedule); did you mean 'schedule'?",
        "`lr` must be positive in my.yaml:6 (optim.lr)",
        "`curriculum` must be a curriculum, but is a list in my.yaml:12 (curriculum)",
        "`compile` must be true or false, but is 'maybe' in command line (compile)",
    ]


def test_missing_keys_without_a_file() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(Config, None)
    assert [problem.where for problem in caught.value.problems] == ["data.genome", "steps"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: [1", "invalid YAML in my.yaml:1: expected ',' or ']'"),
        ("a: 1\n b: 2", "invalid YAML in my.yaml:2: mapping values are not allowed here"),
        ("a: &x 1", "invalid YAML in my.yaml:1: anchors and aliases are not allowed"),
        ("a: 1\nb: !!python/object:os.system x", "invalid YAML in my.yaml:2: tags such as"),
        ("- a\n- b", "invalid config in my.yaml: it must hold `key: value` lines, but is a list"),
        ("words", "invalid config in my.yaml: it must hold `key: value` lines, but is 'words'"),
        ("a: 1\n---\nb: 2", "invalid YAML in my.yaml:2"),
        ("a: \x01", "invalid YAML in my.yaml"),
        ("[" * 5000, "invalid YAML in my.yaml: nested too deeply"),
        ("#" * (MAX_BYTES + 1), "config too large in my.yaml: more than 1000000 bytes"),
        ("{[a]: 1}\n", "invalid key in my.yaml:1: keys must be plain words"),
    ],
)
def test_files_that_are_no_configs(tmp_path: Path, text: str, error: str) -> None:
    assert problems(tmp_path, text)[0].startswith(error)


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"note: \xe9")
    for source, error in [
        (tmp_path / "missing.yaml", "cannot read config"),
        (tmp_path, "cannot read config"),
        (tmp_path / "latin.yaml", "config is not UTF-8 text"),
    ]:
        with pytest.raises(ConfigError, match=error):
            load_config(Config, source)


def test_components(tmp_path: Path) -> None:
    def chosen(text: str, *overrides: str) -> Component:
        return load(tmp_path, REQUIRED + text, *overrides).curriculum

    assert chosen("") == Component("switch", {"threshold": 2.0})
    assert chosen("curriculum: constant") == Component("constant", {})
    assert chosen("curriculum: {threshold: 0.5}") == Component("switch", {"threshold": 0.5})
    assert chosen("curriculum: {name: switch, after: 3}") == Component(
        "switch", {"threshold": 2.0, "after": 3}
    )
    assert chosen("curriculum: {name: switch, after: 3}", "curriculum=constant") == Component("constant", {})
    assert chosen("", "curriculum.strategy=x", "curriculum=constant") == Component(
        "constant", {"strategy": "x"}
    )
    assert chosen("", "curriculum.strategy=x", "curriculum.name=constant") == Component(
        "constant", {"strategy": "x"}
    )
    assert chosen("", "curriculum.threshold=3").build(CURRICULA) == Switch(threshold=3.0)


def test_the_place_of_a_refused_section_is_the_key_it_names(tmp_path: Path) -> None:
    text = REQUIRED + "optim:\n  schedule: cosine\n  lr: 0\n"
    assert problems(tmp_path, text) == ["`lr` must be positive in my.yaml:5 (optim.lr)"]


def test_an_unreadable_value_does_not_hide_the_range_errors_of_its_section(tmp_path: Path) -> None:
    text = REQUIRED + "optim:\n  schedule: x\n  lr: 0\n"
    assert [problem.partition(" in ")[0] for problem in problems(tmp_path, text)] == [
        "`schedule` must be one of linear, cosine, but is 'x'",
        "`lr` must be positive",
    ]


def test_recipe_label(tmp_path: Path) -> None:
    source = tmp_path / "my.yaml"
    source.write_text("recipe: pretrain\nsteps: 1\n")
    assert recipe_label(source) == "pretrain"
    source.write_text("steps: 1\n")
    assert recipe_label(source) is None


def test_a_field_type_that_no_config_can_hold_is_the_authors_error(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Odd:
        value: complex = 1j

    with pytest.raises(TypeError, match="complex"):
        load_config(Odd, None, ["value=1"])


@pytest.mark.parametrize(
    ("text", "value"), [("even", "even"), ("[1, 2.5]", (1, 2.5)), ("null", None), ("[]", ())]
)
def test_a_word_or_a_list(tmp_path, text, value):
    assert load(tmp_path, REQUIRED, f"optim.weights={text}").optim.weights == value
    assert load(tmp_path, f"{REQUIRED}optim: {{weights: {text}}}\n").optim.weights == value

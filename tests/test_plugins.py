"""Plugins are loaded once, and a failing one is named."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from cmgems import plugins
from cmgems.errors import CmgemsError
from cmgems.recipes import describe, load_recipe


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_loaded", set())
    monkeypatch.setattr(plugins, "entry_points", lambda group: [])


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, source: str, value: str) -> None:
    name = value.partition(":")[0]
    (folder / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    entry = EntryPoint(name="mine", value=value, group=plugins.ENTRY_POINT_GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry])


def counting(path: Path) -> str:
    return f"from pathlib import Path\nlog = Path({str(path)!r})\nlog.write_text(log.read_text() + 'x')\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_text("")
    return path


def test_a_file_is_loaded_once(tmp_path: Path, log: Path) -> None:
    plugin = tmp_path / "my-plugin.py"
    plugin.write_text(counting(log))
    plugins.load_plugins([str(plugin)])
    plugins.load_plugins([plugin, tmp_path / "." / "my-plugin.py"])
    assert log.read_text() == "x"


def test_files_of_one_name_do_not_collide(tmp_path: Path, log: Path) -> None:
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        (folder / "plugin.py").write_text(counting(log))
    plugins.load_plugins([tmp_path / "a" / "plugin.py", tmp_path / "b" / "plugin.py"])
    assert log.read_text() == "xx"


def test_an_entry_point_may_be_a_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: Path) -> None:
    install(monkeypatch, tmp_path, counting(log), "fake_plugin_module")
    plugins.load_plugins()
    plugins.load_plugins()
    assert log.read_text() == "x"


def test_an_entry_point_may_be_a_function(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: Path) -> None:
    source = "def register():\n    " + counting(log).replace("\n", "\n    ")
    install(monkeypatch, tmp_path, source, "fake_plugin_function:register")
    plugins.load_plugins()
    plugins.load_plugins()
    assert log.read_text() == "x"


def test_a_failing_entry_point_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, "raise KeyError('gone')", "fake_plugin_broken")
    with pytest.raises(
        CmgemsError, match="plugin 'mine' failed in package fake_plugin_broken: KeyError: 'gone'"
    ):
        plugins.load_plugins()


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("x = 1\n\ny = z\n", "plugin failed to load in {path}:3: NameError: name 'z' is not defined"),
        ("x = 1\ny = (\n", "plugin failed to load in {path}:2: '(' was never closed"),
        (
            "import nowhere\n",
            "plugin failed to load in {path}:1: ModuleNotFoundError: No module named 'nowhere'",
        ),
        ("import json\n\njson.loads('{')\n", "plugin failed to load in {path}:3: JSONDecodeError"),
    ],
)
def test_a_failing_file_is_named_with_the_line(tmp_path: Path, source: str, error: str) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text(source)
    with pytest.raises(CmgemsError) as caught:
        plugins.load_plugins([plugin])
    assert caught.value.line().startswith(error.format(path=plugin))


def test_a_missing_file_and_one_that_is_no_python(tmp_path: Path) -> None:
    with pytest.raises(CmgemsError, match="plugin not found"):
        plugins.load_plugins([tmp_path / "plugin.py"])
    (tmp_path / "plugin.txt").write_text("")
    with pytest.raises(CmgemsError, match=r"must end in \.py"):
        plugins.load_plugins([tmp_path / "plugin.txt"])


RECIPE = '''"""Counts.

More.
"""
from __future__ import annotations
from dataclasses import dataclass
from pathlib import Path

@dataclass(frozen=True)
class Config:
    steps: int = 1

def main(config: Config, out: Path) -> None:
    out.write_text(str(config.steps))
'''


def test_recipes(tmp_path: Path) -> None:
    path = tmp_path / "count.py"
    path.write_text(RECIPE)
    recipe = load_recipe(path)
    assert (recipe.name, recipe.path, describe(path)) == ("count", path, "Counts.")
    config: Any = recipe.config_schema(steps=5)
    recipe.main(config, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "5"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("def main(config, out): ...", "recipe has no dataclass `Config`"),
        ("class Config: ...\ndef main(config, out): ...", "recipe has no dataclass `Config`"),
        (RECIPE.replace("def main", "def other"), "recipe has no function `main"),
        ("def main(", "recipe failed to load in .*count.py:1: '\\(' was never closed"),
    ],
)
def test_files_that_are_no_recipes(tmp_path: Path, source: str, error: str) -> None:
    path = tmp_path / "count.py"
    path.write_text(source)
    with pytest.raises(CmgemsError, match=error):
        load_recipe(path)

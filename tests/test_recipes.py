"""Recipes, configs and tokenizers are found in a wheel and in a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmgems import recipes
from cmgems.errors import CmgemsError


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel's private folder with two recipes, three configs and a tokenizer."""
    files = {
        "recipes/pretrain.py": '"""Pretrain a model.\n\nAt length.\n"""\n',
        "recipes/embed.py": "import os\n",
        "recipes/configs/pretrain/logo.yaml": "# LOGO on a CPU.\nsteps: 1\n",
        "recipes/configs/pretrain/tiny.yaml": "steps: 1\n",
        "recipes/configs/embed/tiny.yaml": "steps: 1  # few\n",
        "tokenizers/kmer6/tokenizer.json": "{}",
    }
    for name, text in files.items():
        path = tmp_path / "_assets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(recipes, "_ROOTS", (tmp_path / "_assets", tmp_path / "checkout"))
    return tmp_path / "_assets"


def test_names(shipped: Path) -> None:
    assert list(recipes.shipped_recipes()) == ["embed", "pretrain"]
    assert list(recipes.shipped_configs()) == ["embed/tiny", "pretrain/logo", "pretrain/tiny"]
    assert recipes.shipped_tokenizers() == {"kmer6": shipped / "tokenizers" / "kmer6"}


def test_the_checkout_is_used_when_there_is_no_wheel(shipped: Path) -> None:
    shipped.rename(shipped.parent / "checkout")
    assert list(recipes.shipped_recipes()) == ["embed", "pretrain"]
    (shipped.parent / "checkout" / "recipes").rename(shipped.parent / "elsewhere")
    with pytest.raises(CmgemsError, match="recipes not found"):
        recipes.shipped_recipes()


def test_find_recipe(shipped: Path, tmp_path: Path) -> None:
    assert recipes.find_recipe("pretrain") == shipped / "recipes" / "pretrain.py"
    mine = tmp_path / "mine.py"
    mine.touch()
    assert recipes.find_recipe(str(mine)) == mine
    with pytest.raises(CmgemsError, match=r"unknown recipe 'pretran'; did you mean 'pretrain'\?"):
        recipes.find_recipe("pretran")
    with pytest.raises(CmgemsError, match=r"recipe not found in nowhere\.py"):
        recipes.find_recipe("nowhere.py")


def test_find_config(shipped: Path, tmp_path: Path) -> None:
    folder = shipped / "recipes" / "configs"
    assert recipes.find_config("pretrain/tiny") == folder / "pretrain" / "tiny.yaml"
    assert recipes.find_config("tiny", "embed") == folder / "embed" / "tiny.yaml"
    assert recipes.find_config("logo") == folder / "pretrain" / "logo.yaml"
    assert recipes.find_config("logo", "embed") == folder / "pretrain" / "logo.yaml"
    mine = tmp_path / "mine.yaml"
    mine.touch()
    assert recipes.find_config(str(mine)) == mine


@pytest.mark.parametrize(
    ("name", "recipe", "error"),
    [
        ("tiny", None, "several configs are named 'tiny'; name one: embed/tiny, pretrain/tiny"),
        ("lgo", "pretrain", r"unknown config 'lgo'; did you mean 'logo'\?"),
        ("pretrain/lgo", None, r"unknown config 'pretrain/lgo'; did you mean 'pretrain/logo'"),
        ("mine.yaml", None, "config not found in mine.yaml"),
    ],
)
def test_configs_that_are_not_there(shipped: Path, name: str, recipe: str | None, error: str) -> None:
    with pytest.raises(CmgemsError, match=error):
        recipes.find_config(name, recipe)


def test_descriptions(shipped: Path) -> None:
    assert recipes.describe(shipped / "recipes" / "pretrain.py") == "Pretrain a model."
    assert recipes.describe(shipped / "recipes" / "embed.py") == ""
    assert recipes.describe(shipped / "recipes" / "configs" / "pretrain" / "logo.yaml") == "LOGO on a CPU."
    assert recipes.describe(shipped / "recipes" / "configs" / "embed" / "tiny.yaml") == ""


def test_every_shipped_recipe_and_config_says_what_it_is() -> None:
    shipped = recipes.shipped_recipes() | recipes.shipped_configs() | recipes.fairseq2_files()
    for path in shipped.values():
        assert recipes.describe(path), path

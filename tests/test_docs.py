"""What the documents point to exists, and the commands they show are real."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import cmgems
from cmgems.cli.main import app
from cmgems.recipes import shipped_configs

TOP = Path(__file__).parents[1]
API_PAGES = sorted((TOP / "docs" / "api").glob("*.md"))
PAGES = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)|src=\"([^\"]+)\"", page.read_text())
    for link in (a or b for a, b in links):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_configs_exist(page):
    text = page.read_text()
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    assert set(re.findall(r"^\$? ?cmgems ([a-z]+)", text, re.MULTILINE)) <= known
    configs = {name.split("/")[1] for name in shipped_configs()}
    assert {c for c in re.findall(r"--config ([a-z_]+)(?![\w.])", text) if c not in ("my", "mine")} <= configs


def test_every_page_is_in_the_navigation():
    navigation = re.findall(r"([\w./]+\.md)$", (TOP / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = [str(page.relative_to(TOP / "docs")) for page in (TOP / "docs").rglob("*.md")]
    assert sorted(navigation) == sorted(pages)


def test_every_public_package_has_a_page():
    packages = ["cmgems", *(m.name for m in pkgutil.walk_packages(cmgems.__path__, "cmgems.") if m.ispkg)]
    public = {name for name in packages if getattr(importlib.import_module(name), "__all__", None)}
    documented = {re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)[0] for page in API_PAGES}
    assert documented == public

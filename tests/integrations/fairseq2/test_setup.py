"""What fairseq2 does at every start, also for people who never use cmgems."""

from __future__ import annotations

import subprocess
import sys

import pytest
from fairseq2.runtime.dependency import DependencyContainer

import cmgems.integrations.fairseq2 as plugin
from cmgems.errors import CmgemsError
from cmgems.integrations.fairseq2 import setup_fairseq2

START = """
import sys, time
import fairseq2.composition.lib
from fairseq2.runtime.dependency import DependencyContainer

container = DependencyContainer()
before = set(sys.modules)
begin = time.process_time()
from cmgems.integrations.fairseq2 import setup_fairseq2
setup_fairseq2(container)
seconds = time.process_time() - begin
print(sorted(name for name in set(sys.modules) - before if not name.startswith("cmgems")))
assert seconds < 0.05, seconds
"""


def test_a_start_costs_next_to_nothing():
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for heavy in ("numba", "torchdata", "sklearn", "scipy", "tokenizers"):
        assert f"'{heavy}'" not in done.stdout


def test_the_entry_point_is_installed():
    from importlib.metadata import entry_points

    (found,) = entry_points(group="fairseq2.extension", name="cmgems")
    assert found.load() is setup_fairseq2


@pytest.mark.parametrize("error", [ImportError, AttributeError, TypeError])
def test_it_does_not_fail_where_nothing_can_be_registered(error):
    class Other:
        def register(self, *arguments, **options):
            raise error("of another version")

    setup_fairseq2(Other())


@pytest.mark.parametrize("version", ["0.7.0", "0.9.1", "1.0"])
def test_another_version_is_named_when_our_names_are_used(version, monkeypatch):
    import fairseq2
    from fairseq2.models import ModelFamily

    container = DependencyContainer()
    setup_fairseq2(container)
    monkeypatch.setattr(fairseq2, "__version__", version)
    with pytest.raises(
        CmgemsError, match=rf"another version of fairseq2 in fairseq2 {version}: .* pip install"
    ):
        container.resolve(ModelFamily, key="cmgems_bert")


def test_a_recipes_command_line_shows_our_errors_as_a_line():
    from fairseq2.recipe import ExceptionHandler

    container = DependencyContainer()
    setup_fairseq2(container)
    for kind in (CmgemsError, plugin.errors.DataError, plugin.errors.DiskError):
        assert container.resolve(ExceptionHandler, key=kind)(kind("wrong")) == kind.exit_code

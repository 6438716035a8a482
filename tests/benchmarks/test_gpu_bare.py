"""A bare machine gets the packages it lacks, before anything is imported that needs them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

GPU = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu"


@pytest.fixture
def wheels(tmp_path):
    """A package that no machine has, and one that every machine has."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in ("nobody_has_this", "pytest"):
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", "answer = 42\n")
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    return folder


def test_what_is_missing_is_installed(wheels, tmp_path, monkeypatch):
    pytest.importorskip("pip")
    monkeypatch.syspath_prepend(GPU)
    from bare import install

    assert install(wheels, tmp_path / "site") == ["nobody_has_this-1.0-py3-none-any.whl"]
    assert (tmp_path / "site" / "nobody_has_this.py").is_file()
    assert not (tmp_path / "site" / "pytest.py").exists()


@pytest.mark.parametrize("script", ["run.py", "bare.py"])
def test_it_begins_without_any_package(script):
    """`-S` and `-I`: nothing but the standard library is found, besides the folder itself."""
    code = f"import sys; sys.path.insert(0, {str(GPU)!r}); import {script[:-3]}"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)

"""Kernels work wherever they are installed; they are kept on disk where that is possible."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numba.core import caching

SOURCE = "from cmgems.jit import kernel\n@kernel\ndef double(x):\n    return 2 * x\n"


def installed(folder: Path, source: str = SOURCE) -> ModuleType:
    """A module with a kernel, imported anew."""
    (folder / "loops.py").write_text(source)
    os.utime(folder / "loops.py", (1e9, 1e9))
    spec = importlib.util.spec_from_file_location("loops", folder / "loops.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_kernel_is_kept_for_the_next_process(tmp_path: Path) -> None:
    assert installed(tmp_path).double(3) == 6
    again = installed(tmp_path).double
    assert again(3) == 6
    assert sum(again.stats.cache_hits.values()) == 1


def test_what_a_kernel_calls_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = "import numba\nFACTOR = 3\n@numba.njit\ndef times(x):\n    return FACTOR * x\n"
    source = "from cmgems.jit import kernel\nfrom called import times\n@kernel\ndef double(x):\n    return times(x)\n"
    monkeypatch.syspath_prepend(tmp_path)
    for factor in (3, 15):  # of another length: Python's own cache goes by size and second
        (tmp_path / "called.py").write_text(called.replace("3", str(factor)))
        sys.modules.pop("called", None)
        importlib.invalidate_caches()
        assert installed(tmp_path, source).double(2) == 2 * factor


def test_no_folder_to_keep_it_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])  # what numba has where none can be written
    assert installed(tmp_path).double(3) == 6


@pytest.mark.parametrize("call", ["_save_index", "_save_data"])
def test_a_disk_that_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, call, full)
    assert installed(tmp_path).double(np.float32(3)) == 6


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
def test_a_damaged_cache_is_not_used(tmp_path: Path, ending: str) -> None:
    installed(tmp_path).double(3)
    kept = list((tmp_path / "__pycache__").glob(f"*{ending}"))
    assert kept
    for file in kept:
        file.write_bytes(file.read_bytes()[:30])
    assert installed(tmp_path).double(3) == 6

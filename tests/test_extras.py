"""What is said of a library that only some users need."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cmgems.errors import CmgemsError
from cmgems.extras import optional


@pytest.mark.parametrize("module", ["no_such_library", "no_such_library.part"])
@pytest.mark.parametrize("folder", [False, True])
def test_a_library_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, folder: bool
) -> None:
    """A folder of its name where the command is started would be taken for it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    if folder:
        (tmp_path / "no_such_library").mkdir()
    with pytest.raises(CmgemsError, match="tables need no_such_library: it is not installed") as refused:
        optional(module, extra="tables", needed_for="tables")
    assert (f"{tmp_path / 'no_such_library'} only has its name" in refused.value.line()) == folder
    for name in [name for name in sys.modules if name.startswith("no_such_library")]:
        monkeypatch.delitem(sys.modules, name)

"""Errors are one line that says what, where, why and what to do."""

from __future__ import annotations

import errno

import pytest

from cmgems.errors import CmgemsError, ConfigError, DataError, DiskError, disk_error, few


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (CmgemsError("bad"), "bad"),
        (CmgemsError("bad", where="x.fa"), "bad in x.fa"),
        (CmgemsError("bad", why="it is 5"), "bad: it is 5"),
        (DataError("bad", where="x.fa:3", why="a\n  b", fix="cut it"), "bad in x.fa:3: a b; cut it"),
        (CmgemsError("bad", why="'a b' and 'a  b'"), "bad: 'a b' and 'a  b'"),
    ],
)
def test_one_line(error: CmgemsError, line: str) -> None:
    assert error.line() == str(error) == line
    assert error.exit_code == 2


def test_config_errors_hold_every_problem() -> None:
    problems = [CmgemsError("first", where="a"), CmgemsError("second")]
    error = ConfigError(problems)
    assert error.problems == problems
    assert str(error) == "first in a"


def test_a_full_disk_is_not_the_users_mistake() -> None:
    full = disk_error(OSError(errno.ENOSPC, "No space left on device"), "out")
    assert isinstance(full, DiskError)
    assert full.exit_code == 1
    denied = disk_error(PermissionError(errno.EACCES, "Permission denied"), "out")
    assert denied.line() == "cannot write in out: Permission denied; check the path and its permissions"
    assert denied.exit_code == 2


def test_few_names():
    assert few(["b", "a"]) == "a, b"
    assert few(list("abcdef")) == "a, b, c, d and 2 more"

"""One file over HTTP: resumed where it broke off, retried, and checked against a checksum.

Proxies are those of the environment (``https_proxy``), as everywhere in Python.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Literal, TypeVar, cast
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from cmgems.errors import DataError, disk_error

T = TypeVar("T")
TIMEOUT = 30.0  # seconds without a byte, after which a connection is given up
TRIES = 5  # in a row without a byte that is new
PAUSE = 2.0  # seconds before another try, twice as long each time
BLOCK = 1 << 20
AGENT = {"User-Agent": "cmgems"}
TRY_AGAIN = "run the same command again: it goes on where it stopped"


@dataclass(frozen=True)
class Checksum:
    """What a file must hash to.

    Attributes:
        kind: The hash function.
        hexadecimal: Its result.
    """

    kind: Literal["md5", "sha256"]
    hexadecimal: str

    def check(self, path: Path, source: str) -> None:
        """Remove the file if it is another one.

        Raises:
            DataError: if it is.
        """
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, self.kind).hexdigest()
        if found != self.hexadecimal.lower():
            path.resolve().unlink()  # in a cache it may be a link
            raise DataError(
                "wrong checksum",
                where=source,
                why=f"{self.kind} is {found}, {self.hexadecimal} was published; what was loaded is removed",
                fix="run the same command again; if it stays so, tell the publisher",
            )


def size_of(url: str) -> int | None:
    """Bytes of a file, None if the server does not say.

    Raises:
        DataError: if there is none, or the server cannot be reached.
    """

    def ask() -> str | None:
        with _open(url, method="HEAD") as response:
            return response.headers.get("Content-Length")

    length = _patiently(ask, url)
    return int(length) if length else None


def read_text(url: str) -> str:
    """A small text file.

    Raises:
        DataError: as ``size_of``.
    """

    def read() -> str:
        with _open(url) as response:
            return response.read().decode("utf-8", "replace")

    return _patiently(read, url)


def fetch(url: str, path: Path, checksum: Checksum | None, advance: Callable[[float], None]) -> None:
    """Load a file, whole or not at all; what there is of it stays in ``path.part``, and the next call goes on.

    Args:
        url: Of the file.
        path: Where it goes.
        checksum: What it must hash to; None if nobody says.
        advance: Told of bytes, those of an earlier call too.

    Raises:
        DataError: if there is none, the connection fails again and again, or the checksum is another.
        CmgemsError: if it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "ab") as out:
            advance(out.tell())
            _load(url, out, advance)
        if checksum is not None:
            checksum.check(part, url)
        part.replace(path)
    except OSError as error:
        raise disk_error(error, part) from error


def _load(url: str, out: IO[bytes], advance: Callable[[float], None]) -> None:
    def load() -> None:
        if not _load_rest(url, out, advance):
            raise ConnectionError("the connection broke off")

    _patiently(load, url, out.tell)


def _patiently(action: Callable[[], T], url: str, progress: Callable[[], int] = lambda: 0) -> T:
    """The result of ``action``, tried again after trouble with the connection: a few times without any ``progress``.

    Raises:
        DataError: if it fails again and again.
    """
    failed, before = 0, progress()
    while True:
        try:
            return action()
        except (ConnectionError, TimeoutError, HTTPException) as error:
            failed, before = (0 if progress() > before else failed + 1), progress()
            if failed == TRIES:
                why = str(error) or type(error).__name__
                raise DataError("cannot load", where=url, why=why, fix=TRY_AGAIN) from error
        time.sleep(PAUSE * 2**failed if failed else 0)


def _load_rest(url: str, out: IO[bytes], advance: Callable[[float], None]) -> bool:
    """Load what is missing; whether that is now all of it."""
    have = out.tell()
    with _open(url, {"Range": f"bytes={have}-"} if have else {}) as response:
        if have and response.status == 200:  # the server knows no ranges
            advance(-have)
            out.seek(0)
            out.truncate()
            have = 0
        if response.status == 416:  # nothing is behind what there is
            return True
        length = response.headers.get("Content-Length")
        while block := _read(response):
            out.write(block)
            advance(len(block))
    return length is None or out.tell() - have == int(length)


def _read(response: HTTPResponse) -> bytes:
    """A block; trouble on the way here is none of writing it."""
    try:
        return response.read(BLOCK)
    except OSError as error:
        raise ConnectionError(str(error)) from error


def _open(url: str, headers: dict[str, str] | None = None, method: str = "GET") -> HTTPResponse:
    request = Request(url, headers=AGENT | (headers or {}), method=method)
    try:
        return cast(HTTPResponse, urlopen(request, timeout=TIMEOUT))
    except HTTPError as error:
        if error.code == 416:
            return cast(HTTPResponse, error)
        if error.code >= 500 or error.code == 429:
            raise ConnectionError(f"the server says {error.code} {error.reason}") from error
        raise DataError("not found", where=url, why=f"the server says {error.code} {error.reason}") from error
    except URLError as error:
        if isinstance(error.reason, TimeoutError | ConnectionError):
            raise ConnectionError(str(error.reason)) from error
        fix = "check the network and the proxy (https_proxy)"
        raise DataError("cannot reach the server", where=url, why=str(error.reason), fix=fix) from error

"""Damage to a file: what editors, transfers and other programs do to one, and what chance does."""

from __future__ import annotations

import bz2
import copy
import gzip
import lzma
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

COMPRESSORS = (gzip.compress, bz2.compress, lzma.compress)
WORDS = (
    *(
        b"\0",
        b"\r",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"\t",
        b" ",
        b",",
        b";",
        b'"',
        b"'",
        b"#",
        b">",
        b":",
        b"=",
        b"-",
        b".",
    ),
    *(
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xff",
        b"\xc3\xa9",
        b"\xc2\xa0",
        b"\xe2\x80\xa8",
        b"\x0b",
        b"\x0c",
        b"\x1c",
    ),
    *(
        b"nan",
        b"NA",
        b"inf",
        b"-inf",
        b"null",
        b"None",
        b"true",
        b"0",
        b"-1",
        b"1_000",
        b"+5",
        b"1e400",
        b"0x10",
    ),
    *(b"9223372036854775808", b"1" * 40, b"\xd9\xa3", b"\xc2\x85", b"N", b"X", b"U", b"acgt"),
    *(b"\x1f\x8b\x08\x04", b"BZh9", b"PK\x03\x04"),
)
# Values that a JSON file may hold in the place of others.
ODD = (
    *(None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**70, 1e308, float("nan"), "", "x", "é\0"),
    *([], [[]], {}, {"a": 1}, [None]),
)


def flip(data: bytes, at: int, random: Random) -> bytes:
    return (
        data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :] if at < len(data) else data
    )


def truncate(data: bytes, at: int, random: Random) -> bytes:
    return data[:at]


def delete(data: bytes, at: int, random: Random) -> bytes:
    return data[:at] + data[at + random.randint(1, 20) :]


def repeat(data: bytes, at: int, random: Random) -> bytes:
    return data[:at] + data[at : at + random.randint(1, 60)] + data[at:]


def move(data: bytes, at: int, random: Random) -> bytes:
    """A piece of the file to another place."""
    piece = data[at : at + random.randint(1, 60)]
    rest = data[:at] + data[at + len(piece) :]
    to = random.randint(0, len(rest))
    return rest[:to] + piece + rest[to:]


def repeat_line(data: bytes, at: int, random: Random) -> bytes:
    lines = data.split(b"\n")
    lines.insert(random.randint(0, len(lines)), random.choice(lines))
    return b"\n".join(lines)


def delete_line(data: bytes, at: int, random: Random) -> bytes:
    lines = data.split(b"\n")
    del lines[random.randrange(len(lines))]
    return b"\n".join(lines)


def line_ends(data: bytes, at: int, random: Random) -> bytes:
    return data.replace(b"\n", random.choice((b"\r\n", b"\r", b"\n\n", b"\n\r", b" \n")))


def encoding(data: bytes, at: int, random: Random) -> bytes:
    return data.decode("latin-1").encode(random.choice(("utf-16", "utf-8-sig", "utf-16-le")))


def compress(data: bytes, at: int, random: Random) -> bytes:
    return random.choice(COMPRESSORS)(data)


Edit = Callable[[bytes, int, Random], bytes]
COMMON: tuple[Edit, ...] = (flip, truncate, delete, repeat, move, repeat_line, delete_line)
RARE: tuple[Edit, ...] = (line_ends, encoding, compress)


def damaged(data: bytes, words: Sequence[bytes], random: Random) -> bytes:
    """``data`` after one to four edits; ``words`` are the format's own, written into the file like those of all."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        at, kind = random.randint(0, len(data)), random.random()
        if kind < 0.4:
            word = random.choice(words if words and kind < 0.2 else WORDS)
            data = data[:at] + word + data[at + random.choice((0, 0, 1, len(word))) :]
        else:
            data = random.choice(COMMON if kind < 0.97 else RARE)(data, at, random)
    return data


def damaged_json(value: Any, random: Random) -> Any:
    """A copy of a JSON value with one to three parts replaced, removed or doubled."""
    value = copy.deepcopy(value)
    for _ in range(random.choice((1, 1, 2, 3))):
        _change(value, random)
    return value


def _change(value: Any, random: Random) -> None:
    """Change a random part of a list or mapping, in place."""
    while isinstance(value, dict | list) and value:
        key = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
        inner = value[key]
        if isinstance(inner, dict | list) and inner and random.random() < 0.7:
            value = inner
            continue
        kind = random.random()
        if kind < 0.15:
            del value[key]
        elif kind < 0.25 and isinstance(value, list):
            value.insert(key, copy.deepcopy(inner))
        elif kind < 0.5 and type(inner) in (int, float):
            value[key] = inner + random.choice((-1, 1, 0.5, -2 * inner, 10 ** random.randint(1, 20)))
        else:
            value[key] = copy.deepcopy(random.choice(ODD))
        return

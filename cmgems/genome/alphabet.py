"""Bases as 1-byte codes, in the order of DNABERT's vocabulary: A, T, C, G = 0, 1, 2, 3.

Everything else, IUPAC ambiguity codes included, is ``AMBIGUOUS``. Case carries no meaning here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint8]

BASES = "ATCG"
AMBIGUOUS = 255
_LETTERS = BASES + "RYSWKMBDHVN"
IUPAC = frozenset(_LETTERS + _LETTERS.lower())  # the letters a sequence may hold


def _encode_table() -> bytes:
    table = bytearray([AMBIGUOUS]) * 256
    for code, base in enumerate(BASES):
        table[ord(base)] = table[ord(base.lower())] = code
    return bytes(table)


_ENCODE = _encode_table()
COMPLEMENT = np.array([1, 0, 3, 2])  # of the codes 0 to 3
_DECODE = BASES.encode() + b"N" * (256 - len(BASES))
_COMPLEMENT = np.arange(256, dtype=np.uint8)
_COMPLEMENT[:4] = COMPLEMENT


def encode(sequence: bytes | bytearray) -> Codes:
    """Codes of ASCII bases: uint8[L], upper and lower case alike, 255 for any other byte."""
    return np.frombuffer(bytearray(sequence).translate(_ENCODE), dtype=np.uint8)


def decode(codes: Codes) -> str:
    """Upper-case bases of ``codes`` uint8[L]; anything but 0..3 becomes N."""
    return np.ascontiguousarray(codes, dtype=np.uint8).tobytes().translate(_DECODE).decode("ascii")


def reverse_complement(codes: Codes) -> Codes:
    """The other strand, read 5' to 3': uint8[..., L]. Ambiguous bases stay ambiguous."""
    return _COMPLEMENT[codes[..., ::-1]]


def other_strand(bases: str) -> str:
    """The reverse complement of ASCII bases, in capitals; what is no base becomes N."""
    return decode(reverse_complement(encode(bases.encode())))

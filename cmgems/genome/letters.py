"""Sequences as text: k-mers put together, whether a sequence can be used, and what a letter that is no base says.

Every command and every recipe judges a sequence by these functions, so that what one of them takes all of them take.
"""

from __future__ import annotations

import numpy as np

from cmgems.errors import RecordError
from cmgems.genome.alphabet import AMBIGUOUS, IUPAC, Codes, encode

LETTERS = "".join(sorted(IUPAC)).encode()
CODES = "only A, C, G, T, N and the IUPAC codes R Y S W K M B D H V are bases"


def bases_of(text: str, where: str = "") -> str:
    """The bases of a text: its one word, or put together from overlapping k-mers ("ACG CGT GTT", DNABERT's input).

    Args:
        text: Any letters; they are not checked.
        where: File and record, for the message.

    Raises:
        RecordError: if it is several words that do not overlap so. Leaving out the spaces would make another sequence.
    """
    words = text.split()
    if len(words) < 2:
        return text.strip()
    bases, k = words[0] + "".join(word[-1] for word in words[1:]), len(words[0])
    for i, word in enumerate(words):
        if word != bases[i : i + k]:
            raise RecordError(
                "words that are not overlapping k-mers",
                where=where,
                why=f"{words[i - 1][:20]} is followed by {word[:20]}",
                fix="write the sequence as one word, or as k-mers one base apart",
            )
    return bases


def foreign_letter(sequence: bytes, where: str) -> RecordError | None:
    """The error about the first letter of a sequence that is no nucleotide code; None if all are.

    Args:
        sequence: ASCII letters, of either case.
        where: File and record, for the message.
    """
    foreign = sequence.translate(None, LETTERS)
    if not foreign:
        return None
    letter = foreign[:1].decode("ascii") if foreign[0] in range(33, 127) else f"byte 0x{foreign[0]:02X}"
    what, fix = _meaning(set(foreign.upper()))
    position = sequence.index(foreign[:1]) + 1
    return RecordError(what, where=f"{where}, position {position:,}", why=f"found {letter!r}", fix=fix)


def checked_codes(sequence: str, where: str) -> Codes:
    """The codes of a sequence, uint8[L].

    Raises:
        RecordError: if it is empty, or has a letter that is no nucleotide code.
    """
    if not sequence:
        raise RecordError("no sequence", where=where, fix="write its bases")
    letters = sequence.encode()
    if problem := foreign_letter(letters, where):
        raise problem
    return encode(letters)


def check_sequence(codes: Codes, least_bases: int, where: str) -> None:
    """Check that a model has something to read in a sequence.

    Args:
        codes: uint8[L].
        least_bases: The shortest stretch of A, C, G, T that makes a token (``TokenMap.least_bases``, bp).
        where: File and record, for the message.

    Raises:
        RecordError: if it is shorter, or has no such stretch.
    """
    if len(codes) < least_bases:
        why = f"{len(codes)} bp, k is {least_bases}"
        raise RecordError("sequence shorter than k", where=where, why=why, fix="give a longer one")
    known = codes != AMBIGUOUS
    if known.all():  # nearly every sequence, and many times faster
        return
    edges = np.flatnonzero(np.diff(known, prepend=False, append=False))
    if (edges[1::2] - edges[::2]).max(initial=0) < least_bases:
        what = "no A, C, G or T" if least_bases == 1 else f"no stretch of {least_bases} bases A, C, G, T"
        raise RecordError(what, where=where, fix="give its bases")


def _meaning(foreign: set[int]) -> tuple[str, str]:
    """What letters may mean, and what to do about them."""
    if foreign == set(b"U"):
        return "looks like RNA", "convert U to T"
    if foreign == set(b"X"):
        return "masked with X", "write N for masked bases"
    if ord(">") in foreign:
        return "header inside a line", "begin a new line before each '>'"
    if foreign <= set(b"-."):
        return "gaps of an alignment", "remove them, or write N"
    if foreign <= set(b"EFILPQZJOXU*"):
        return "looks like protein", CODES
    return "not DNA", CODES

"""Silencers and the same sequences with pieces written over, the set of CM-GEMS (arXiv 2408.07180).

A sequence of L bp has pieces of ``L // 20`` bp. Its negative is the sequence after 12 draws: each time a piece of bases
drawn at random, A, C, G and T alike, is written over a place drawn at random among all where it fits. Places may
overlap, so 46 % of the bases are drawn anew and a third differ; in the published set it is a third too. Three things
are not as there: a piece may reach the last base; a negative always differs from every positive; and it is on the
same side of the split as its own, so that no model knows a test sequence by the two thirds it was trained on.

All draws for a sequence are made from the seed and the sequence alone. The order of the file does not matter.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmgems.data.label_files import write_rows
from cmgems.errors import CmgemsError, DataError
from cmgems.files import atomic_folder, check_new
from cmgems.genome import AMBIGUOUS, decode, encode, read_fasta
from cmgems.genome.alphabet import Codes

PIECES, DRAWS = 20, 12
TEST_SHARE = 0.1
POSITIVE, NEGATIVE = "1", "0"


@dataclass(frozen=True)
class SilencerSet:
    """Pairs of a silencer and its negative.

    Attributes:
        train: (silencer, negative), upper-case bases.
        test: A tenth of all pairs.
        skipped: Reasons, and how many records of the file were left out for each.
    """

    train: list[tuple[str, str]]
    test: list[tuple[str, str]]
    skipped: dict[str, int]


def silencer_set(fasta: Path, max_bp: int = 300, seed: int = 0) -> SilencerSet:
    """Make the set from a FASTA file of silencers, as SilencerDB offers.

    Args:
        fasta: The silencers, plain or compressed.
        max_bp: Longer ones are left out.
        seed: Decides the negatives and the split.

    Raises:
        CmgemsError: if ``max_bp`` is below 20.
        DataError: if the file is not FASTA, or fewer than two silencers are left.
    """
    if max_bp < PIECES:
        raise CmgemsError(
            "length out of range", where="--max-bp", why=f"{max_bp} bp cannot make {PIECES} pieces"
        )
    positives: set[str] = set()
    skipped: Counter[str] = Counter()
    for record in read_fasta(fasta):
        codes_L = encode(record.sequence)
        bases = decode(codes_L)
        reason = _unfit(codes_L, max_bp) or ("repeated" if bases in positives else "")
        if reason:
            skipped[reason] += 1
        else:
            positives.add(bases)
    if len(positives) < 2:
        counts = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
        raise DataError("fewer than two silencers", where=fasta, why=f"left out: {counts or 'none'}")
    keys = {bases: _key(seed, bases) for bases in positives}
    shuffled = sorted(positives, key=keys.__getitem__)
    pairs = [(bases, _unlike_any(bases, keys[bases], positives)) for bases in shuffled]
    tested = max(1, round(TEST_SHARE * len(pairs)))
    return SilencerSet(pairs[tested:], pairs[:tested], dict(skipped))


def write_silencer_set(silencers: SilencerSet, out: Path) -> None:
    """Write ``train.csv`` and ``test.csv`` (``sequence,label``), each silencer (1) followed by its negative (0).

    Raises:
        CmgemsError: if ``out`` exists.
    """
    check_new(out)
    with atomic_folder(out) as partial:
        for split, pairs in (("train", silencers.train), ("test", silencers.test)):
            rows = [row for pair in pairs for row in zip(pair, (POSITIVE, NEGATIVE), strict=True)]
            write_rows(partial / f"{split}.csv", rows)


def negative(codes_L: Codes, generator: np.random.Generator) -> Codes:
    """``codes_L``, uint8 (L,), with twelve random pieces of ``L // 20`` bp written over random places."""
    written_L = codes_L.copy()
    piece = len(codes_L) // PIECES
    for _ in range(DRAWS):
        start = generator.integers(len(codes_L) - piece + 1)
        written_L[start : start + piece] = generator.integers(4, size=piece)
    return written_L


def _unlike_any(bases: str, key: int, positives: set[str]) -> str:
    """The first negative of ``bases`` that is not itself a silencer."""
    generator = np.random.Generator(np.random.Philox(key=key))
    while (written := decode(negative(encode(bases.encode()), generator))) in positives:
        pass
    return written


def _unfit(codes_L: Codes, max_bp: int) -> str:
    """Why a sequence is left out, if it is."""
    if len(codes_L) > max_bp:
        return f"longer than {max_bp} bp"
    if len(codes_L) < PIECES:
        return f"shorter than {PIECES} bp"
    return "with letters other than A, C, G and T" if AMBIGUOUS in codes_L else ""


def _key(seed: int, bases: str) -> int:
    """128 bits from the seed and the sequence."""
    return int.from_bytes(hashlib.sha256(f"{seed} {bases}".encode()).digest()[:16])

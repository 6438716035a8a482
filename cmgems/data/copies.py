"""Rows of one split that another holds too: the same letters, the other strand, or nearly the same.

Two rows are near copies if 10 % of the longer one's length in bases put in, left out or changed makes the one of the
other (edit distance), on either strand. Candidates share words of k bases: each edit spoils at most k of the words of a
row, so a near copy shares all but k times the edits. Of long rows a share of the words stands for all, chosen by a hash
of the word: the same words in every row. Among rows of about one length, up to 250 bp, no near copy is missed, but for
words that more than 2,000 rows hold (the first 2,000 are looked at) and rows of which 16 better candidates, 500 of a
simple repeat, have failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmgems.data.kernels import have_near_copy
from cmgems.data.words import PackedRows, in_parts
from cmgems.genome.alphabet import other_strand

SHARE = 0.1
WORDS_A_ROW = 250
LONGEST_LIST = 2_000
TRIED, TRIED_OF_REPEATS = 16, 500
# Bases of a word by the usual length of a row (bp): chance puts a word of theirs into few other rows, and where it
# can, every near copy has some whole.
WORD_LENGTHS = ((30, 4), (50, 6), (2_000, 8))
LONG_WORD = 11
# Of the words that stand for all a few more may be spoilt by chance; one in twenty is whole where edits lie at random.
MARGIN, LEAST = 1.1, 0.05
HASH = np.uint32(2_654_435_769)  # Knuth's multiplicative hash: 2^32 / golden ratio, odd

Rows = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Copies:
    """Which rows are copies of other rows; a row is of one kind at most.

    Attributes:
        exact_N: The same letters.
        reverse_N: The letters of the other strand.
        near_N: Nearly the same, of either strand.
    """

    exact_N: Rows
    reverse_N: Rows
    near_N: Rows

    @property
    def copied(self) -> Rows:
        """Those of any kind: bool (N,)."""
        return self.exact_N | self.reverse_N | self.near_N


def find_copies(rows: Sequence[str], others: Sequence[str]) -> Copies:
    """Which of ``rows`` are copies of ``others``.

    Args:
        rows: N sequences, in capitals.
        others: Sequences, in capitals.
    """
    known = set(others)
    exact_N = _found(rows, known)
    opposite = [other_strand(bases) for bases in rows]
    reverse_N = ~exact_N & _found(opposite, known)
    near_N = exact_N | reverse_N  # those need no search
    _search(rows, opposite, others, near_N)
    return Copies(exact_N, reverse_N, near_N & ~exact_N & ~reverse_N)


def _found(rows: Sequence[str], known: set[str]) -> Rows:
    return np.array([bases in known for bases in rows], np.bool_)


def _search(rows: Sequence[str], opposite: Sequence[str], others: Sequence[str], found_N: Rows) -> None:
    """Set ``found_N`` where a row or its other strand is a near copy."""
    packed = PackedRows.of(others)
    typical = int(np.median(packed.lengths))
    k = next((k for length, k in WORD_LENGTHS if typical <= length), LONG_WORD)
    share = min(1.0, WORDS_A_ROW / max(typical, 1))
    numbers_W, rows_W = _words(others, k, share)
    by_word = np.argsort(numbers_W, kind="stable")
    holders = rows_W[by_word]
    holder_ends = np.searchsorted(numbers_W[by_word], np.arange(4**k + 1))
    spoilt, least = (k, 0.0) if share == 1 else (k * share * MARGIN, LEAST)
    for strand in (rows, opposite):
        mine = PackedRows.of(strand)
        own_W, own_rows_W = _words(strand, k, share)
        word_ends = np.searchsorted(own_rows_W, np.arange(len(mine) + 1))
        have_near_copy(
            mine.codes_T, mine.ends, own_W, word_ends, spoilt, least,
            packed.codes_T, packed.ends, holders, holder_ends, LONGEST_LIST, TRIED, TRIED_OF_REPEATS, SHARE, found_N,
        )  # fmt: skip


def _words(bases: Sequence[str], k: int, share: float) -> tuple[Numbers, Numbers]:
    """The different words of each row, ordered by row, and their rows, as far as a word's hash is below ``share``."""
    found = [np.empty(0, np.int64)]
    for first, part in in_parts(bases):
        numbers, rows, _ = part.words(k)
        kept = numbers.astype(np.uint32) * HASH < share * 2**32
        found.append(np.unique((rows[kept].astype(np.int64) + first) << 32 | numbers[kept]))
    pairs = np.concatenate(found)
    return (pairs & (2**32 - 1)).astype(np.int32), (pairs >> 32).astype(np.int32)

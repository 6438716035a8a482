"""Near copies of a row among other rows, as compiled loops.

Shape suffixes: N rows, M other rows, T bases of all rows, L and K bases of two sequences.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmgems.jit import kernel

Codes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


@kernel
def within(a_L: Codes, b_K: Codes, limit: int) -> bool:
    """Whether at most ``limit`` bases put in, left out or changed make ``b_K`` of ``a_L`` (edit distance).

    Only the cells of the table within ``limit`` of its diagonal are filled, row by row.
    """
    if abs(len(a_L) - len(b_K)) > limit:
        return False
    width = 2 * limit + 1  # cell j of row i is for i bases of a_L and i - limit + j of b_K
    before = np.full(width + 1, limit + 1, np.int64)
    for j in range(limit, width):
        before[j] = j - limit
    for i in range(1, len(a_L) + 1):
        left, least = limit + 1, limit + 1
        for j in range(width):
            at = i - limit + j
            if at < 0 or at > len(b_K):
                cell = limit + 1
            elif at == 0:
                cell = i
            else:
                cell = before[j] + (a_L[i - 1] != b_K[at - 1])
                cell = min(cell, left + 1, before[j + 1] + 1)
            before[j] = left = cell
            least = min(least, cell)
        if least > limit:
            return False
    return bool(before[limit + len(b_K) - len(a_L)] <= limit)


@kernel
def fullest(
    touched: Ints, counts_M: npt.NDArray[np.int32], ends: Ints, length: int, share: float, needed: int
) -> int:
    """Which of the ``touched`` rows has the highest count, ``needed`` at least; -1 if none has.

    Those that have less, or whose length is too far from ``length``, have a count of 0 afterwards.
    """
    best = -1
    for row in touched:
        own = ends[row + 1] - ends[row]
        if counts_M[row] < needed or abs(own - length) > share * max(own, length):
            counts_M[row] = 0
        elif best < 0 or counts_M[row] > counts_M[best]:
            best = row
    return best


@kernel
def have_near_copy(
    codes_T: Codes,
    ends: Ints,
    words: npt.NDArray[np.int32],
    word_ends: Ints,
    spoilt: float,
    least: float,
    other_codes: Codes,
    other_ends: Ints,
    holders: npt.NDArray[np.int32],
    holder_ends: Ints,
    longest_list: int,
    tried: int,
    tried_of_repeats: int,
    share: float,
    found_N: npt.NDArray[np.bool_],
) -> None:
    """Set ``found_N`` where another row is within an edit distance of ``share`` of the longer one's length.

    Args:
        codes_T, ends: The rows end to end, and where each begins and ends.
        words, word_ends: The different words of each row, row after row, and where those of each begin and end.
        spoilt: How many words of a row an edit spoils; a near copy holds all others.
        least: Share of its words that a near copy holds, however many are spoilt.
        other_codes, other_ends: The M other rows, likewise.
        holders, holder_ends: The other rows that hold each word, word after word, and where each word's begin and end.
        longest_list: So many holders of a word are looked at.
        tried: So many other rows are aligned with a row, those with the most words in common.
        tried_of_repeats: So many if the row has so few different words that all may be spoilt: a simple repeat.
        share: Of the length.
        found_N: Rows that are set already are left out.
    """
    counts_M = np.zeros(len(other_ends) - 1, np.int32)
    touched_M = np.empty(len(other_ends) - 1, np.int64)
    for row in range(len(ends) - 1):
        if found_N[row]:
            continue
        mine = codes_T[ends[row] : ends[row + 1]]
        most = int(len(mine) * share / (1 - share))  # edits, if the other row is the longest that may be near
        own = words[word_ends[row] : word_ends[row + 1]]
        touched = 0
        for word in own:
            first = holder_ends[word]
            for other in holders[first : min(holder_ends[word + 1], first + longest_list)]:
                if counts_M[other] == 0:
                    touched_M[touched] = other
                    touched += 1
                counts_M[other] += 1
        needed = max(1, int(len(own) - spoilt * most), int(least * len(own)))
        is_repeat = least == 0 and len(own) <= spoilt * most
        for _ in range(tried_of_repeats if is_repeat else tried):
            best = fullest(touched_M[:touched], counts_M, other_ends, len(mine), share, needed)
            if best < 0:
                break
            theirs = other_codes[other_ends[best] : other_ends[best + 1]]
            if within(mine, theirs, int(share * max(len(mine), len(theirs)))):
                found_N[row] = True
                break
            counts_M[best] = 0
        for other in touched_M[:touched]:
            counts_M[other] = 0

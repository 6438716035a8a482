"""Compiled loops over the codes of a genome."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmgems.genome.alphabet import AMBIGUOUS, Codes
from cmgems.jit import kernel


@kernel
def gather(
    codes: Codes, starts_B: npt.NDArray[np.int64], lengths_B: npt.NDArray[np.int32], out_BL: Codes
) -> None:
    """Copy the ``length`` valid bases from each start on into ``out_BL``, and pad with 255.

    Ambiguous bases are skipped and do not count (inside a valid run there are none). A row gets fewer bases
    only where the genome ends first.

    Args:
        codes: uint8[bases] of the genome.
        starts_B: int64[B], flat positions.
        lengths_B: int32[B], at most L.
        out_BL: uint8[B, L], overwritten.
    """
    for b in range(len(starts_B)):
        start, length = starts_B[b], lengths_B[b]
        count = min(length, len(codes) - start)
        source_L, row_L = codes[start : start + count], out_BL[b]
        seen = np.uint8(0)  # all codes or-ed: 255 if and only if one of them is
        for i in range(count):
            row_L[i] = source_L[i]
        for i in range(count):
            seen |= row_L[i]
        if seen == AMBIGUOUS:
            position, count = start, 0
            while count < length and position < len(codes):
                code = codes[position]
                position += 1
                if code != AMBIGUOUS:
                    out_BL[b, count] = code
                    count += 1
        for i in range(count, out_BL.shape[1]):
            out_BL[b, i] = AMBIGUOUS


@kernel
def turn_rows(codes_BL: Codes, lengths_B: npt.NDArray[np.int32], turned_B: npt.NDArray[np.bool_]) -> None:
    """Replace rows by their reverse complements.

    Args:
        codes_BL: uint8[B, L], changed in place.
        lengths_B: int32[B], bases of each row; what is behind them stays.
        turned_B: bool[B], the rows to turn.
    """
    for b in np.flatnonzero(turned_B):
        length, row_L = lengths_B[b], codes_BL[b]
        for i in range((length + 1) // 2):
            first, last = row_L[i], row_L[length - 1 - i]
            row_L[i] = last if last == AMBIGUOUS else last ^ 1  # A, T, C, G = 0 to 3
            row_L[length - 1 - i] = first if first == AMBIGUOUS else first ^ 1


@kernel
def soft_masked(
    codes: Codes,
    borders: npt.NDArray[np.int64],
    starts_B: npt.NDArray[np.int64],
    lengths_B: npt.NDArray[np.int32],
    out_BL: npt.NDArray[np.bool_],
) -> None:
    """Which of the bases that ``gather`` copies are soft-masked.

    Args:
        codes: uint8[bases] of the genome.
        borders: int64, start and end of each soft-masked stretch, one after another (flat positions).
        starts_B: int64[B], flat positions.
        lengths_B: int32[B], at most L.
        out_BL: bool[B, L], overwritten.
    """
    for b in range(len(starts_B)):
        out_BL[b] = False
        position, count = starts_B[b], 0
        passed = np.searchsorted(borders, position, side="right")
        while count < lengths_B[b] and position < len(codes):
            while passed < len(borders) and borders[passed] <= position:
                passed += 1
            if codes[position] != AMBIGUOUS:
                out_BL[b, count] = passed % 2 == 1
                count += 1
            position += 1


@kernel
def hash_windows(
    codes: Codes, starts_N: npt.NDArray[np.int64], lengths_N: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint64]:
    """64-bit FNV-1a hash of the ``length`` valid bases from each start on: uint64[N]."""
    hashes_N = np.empty(len(starts_N), dtype=np.uint64)
    for n in range(len(starts_N)):
        value = np.uint64(0xCBF29CE484222325)
        position, count = starts_N[n], 0
        while count < lengths_N[n] and position < len(codes):
            code = codes[position]
            position += 1
            if code != AMBIGUOUS:
                value = (value ^ np.uint64(code)) * np.uint64(0x100000001B3)
                count += 1
        hashes_N[n] = value
    return hashes_N


@kernel
def walk(stretches_R: npt.NDArray[np.int64], steps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Walk each stretch with the next unused steps until they reach its end.

    Args:
        stretches_R: int64[R], lengths to walk (bp).
        steps: int64[W + 1], running sum of the step lengths, from 0.

    Returns:
        int64[R + 1]: stretch r is walked by steps ``first[r]`` to ``first[r + 1] - 1``. A last value above W
        says that the steps did not suffice.
    """
    first = np.empty(len(stretches_R) + 1, dtype=np.int64)
    first[0] = 0
    for r in range(len(stretches_R)):
        first[r + 1] = np.searchsorted(steps, steps[first[r]] + stretches_R[r])
        if first[r + 1] == len(steps):
            first[r + 1 :] = len(steps)
            break
    return first

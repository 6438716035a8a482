"""Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011).

A draw is a pure function of (seed; sample, stream, index). ``sample`` is the global position of a sequence in
the training stream and ``index`` usually a token's position, so a mask does not depend on workers, threads,
prefetch depth, the number of ranks or restarts.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cmgems.jit import kernel

# Streams keep the draws of one token for different purposes apart. Plugins: 16 and up.
STREAM_CENTRES = 0
STREAM_CORRUPTION = 1
STREAM_GUMBEL = 2
STREAM_STEP = 3
STREAM_STRAND = 4
STREAM_RATE = 5
STREAM_SOFT_MASK = 6

_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_LOW_WORD = np.uint64(0xFFFFFFFF)
_WORD = np.uint64(32)


@njit(inline="always")
def philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Four 32-bit words (held in uint64) from a 128-bit counter and a 64-bit key, both as 32-bit words."""
    for _ in range(10):
        p0 = _MULTIPLIER_0 * c0
        p1 = _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (p1 >> _WORD) ^ c1 ^ k0, p1 & _LOW_WORD, (p0 >> _WORD) ^ c3 ^ k1, p0 & _LOW_WORD
        k0 = (k0 + _WEYL_0) & _LOW_WORD
        k1 = (k1 + _WEYL_1) & _LOW_WORD
    return c0, c1, c2, c3


@njit(inline="always")
def draw_block(seed, sample, stream, block):  # type: ignore[no-untyped-def]
    """The four words of one block of four indices; all arguments uint64."""
    return philox(
        block & _LOW_WORD, stream, sample & _LOW_WORD, sample >> _WORD, seed & _LOW_WORD, seed >> _WORD
    )


@njit(inline="always")
def draw_row(seed, sample, stream, columns):  # type: ignore[no-untyped-def]
    """One uint32 word for each index below ``columns``; the loop compiles to vector instructions."""
    blocks = (columns + 3) // 4
    words_S = np.empty(4 * blocks, np.uint32)
    for block in range(blocks):
        words = draw_block(seed, sample, stream, np.uint64(block))
        words_S[4 * block] = np.uint32(words[0])
        words_S[4 * block + 1] = np.uint32(words[1])
        words_S[4 * block + 2] = np.uint32(words[2])
        words_S[4 * block + 3] = np.uint32(words[3])
    return words_S[:columns]


@njit(inline="always")
def unit(words):  # type: ignore[no-untyped-def]
    """32-bit words as float64 in the open interval (0, 1)."""
    return (words + 0.5) * 2.0**-32


@kernel
def _fill_uniform(seed, samples_B, stream, out_BS):  # type: ignore[no-untyped-def]
    for b in range(len(out_BS)):
        out_BS[b] = unit(draw_row(seed, samples_B[b], stream, out_BS.shape[1]))


def uniform(seed: int, samples_B: np.ndarray, stream: int, columns: int) -> np.ndarray:
    """Uniform draws for each sample.

    Args:
        seed: Run seed, 0 to 2**64 - 1.
        samples_B: uint64, global position of each sample.
        stream: Which of a sample's independent streams.
        columns: Draws for each sample (S).

    Returns:
        float64 of shape (B, S), in the open interval (0, 1).
    """
    out_BS = np.empty((len(samples_B), columns))
    _fill_uniform(np.uint64(seed), samples_B.astype(np.uint64), np.uint64(stream), out_BS)
    return out_BS


def turned_rows(seed: int, samples_B: np.ndarray, share: float) -> np.ndarray:
    """Which samples are read on the other strand, each with probability ``share``: bool (B,).

    Args:
        seed: Run seed, 0 to 2**64 - 1.
        samples_B: uint64, global position of each sample.
        share: From 0 (none) to 1 (all).
    """
    turned_B: np.ndarray = uniform(seed, samples_B, STREAM_STRAND, 1)[:, 0] < share
    return turned_B

"""Guessing masked tokens by a Markov chain, as compiled loops. Plain references are in tests/pretraining.

A stretch of bases is a base-4 number, first base most significant; a *state* is the stretch of the last bases.

Shape suffixes: L bases of a row, T its masked tokens in their order, S states, 4 bases.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cmgems.jit import kernel

HIDDEN = 255
_HIDDEN = np.uint8(HIDDEN)


@njit(inline="always")
def _choices(code):  # type: ignore[no-untyped-def]
    """First and one past the last base that may stand at a place."""
    if code == _HIDDEN:
        return 0, 4
    return np.int64(code), np.int64(code) + 1


@njit(inline="always")
def _weight(stretch, shown, size, kept, other):  # type: ignore[no-untyped-def]
    """How likely the input shows token ``shown``, -1 for none, if ``stretch`` ends in a token of ``size`` numbers."""
    if shown < 0:
        return 1.0
    return kept + other if stretch & (size - 1) == shown else other


@njit
def _backward(codes_L, shown_L, size, chain_S4, kept, other):  # type: ignore[no-untyped-def]
    """How likely what is seen from a base on is after each state: float64 (L + 1, S), the highest of a row 1."""
    length, states = len(codes_L), len(chain_S4)
    after_LS = np.ones((length + 1, states))
    for t in range(length - 1, -1, -1):
        first, stop = _choices(codes_L[t])
        highest = 0.0
        for state in range(states):
            total = 0.0
            for base in range(first, stop):
                stretch = 4 * state + base
                weight = _weight(stretch, shown_L[t], size, kept, other)
                total += chain_S4[state, base] * weight * after_LS[t + 1, stretch & (states - 1)]
            after_LS[t, state] = total
            highest = max(highest, total)
        after_LS[t] /= highest
    return after_LS


@njit
def _forward(before_S, code, shown, size, chain_S4, kept, other):  # type: ignore[no-untyped-def]
    """The distribution of the state one base on: float64 (S,)."""
    states = len(chain_S4)
    first, stop = _choices(code)
    next_S = np.zeros(states)
    for state in range(states):
        if before_S[state] == 0.0:
            continue
        for base in range(first, stop):
            stretch = 4 * state + base
            weight = _weight(stretch, shown, size, kept, other)
            next_S[stretch & (states - 1)] += before_S[state] * chain_S4[state, base] * weight
    return next_S / next_S.sum()


@njit
def _free(before_S, chain_S4, after_S, bases):  # type: ignore[no-untyped-def]
    """Likelihood of each stretch of ``bases`` bp that may follow: float64 (4^bases,).

    Args:
        before_S: Distribution of the state before it.
        chain_S4: The chain.
        after_S: How likely what comes after it is, by state.
        bases: Its length.
    """
    states = len(chain_S4)
    # All that is kept of each stretch are its last bases: those of the state, or all new ones if they are more.
    stretch_N = before_S
    for done in range(1, bases + 1):
        size = max(states, 4**done)
        longer_N = np.zeros(size)
        for stretch in range(len(stretch_N)):
            if stretch_N[stretch] == 0.0:
                continue
            for base in range(4):
                likely = stretch_N[stretch] * chain_S4[stretch & (states - 1), base]
                longer_N[(4 * stretch + base) & (size - 1)] += likely
        stretch_N = longer_N
    size = 4**bases
    likely_N = np.zeros(size)
    for stretch in range(len(stretch_N)):
        likely_N[stretch & (size - 1)] += stretch_N[stretch] * after_S[stretch & (states - 1)]
    return likely_N


@kernel
def guess_beside(codes_L, starts_T, lengths_T, truths_T, shown_T, chain_S4, start_S, kept, other):  # type: ignore[no-untyped-def]
    """Guess each masked token from the visible bases before and after it; its own bases count as hidden.

    Args:
        codes_L: uint8, visible bases 0..3, the others 255.
        starts_T: int64, first base of each token.
        lengths_T: int64, its bases (bp).
        truths_T: int64, its number.
        shown_T: int64, the number of the token of this length that the input shows in its place; -1 for none.
        chain_S4: float64, probability of the next base by state.
        start_S: float64, distribution of the state before the row.
        kept: Probability that a masked token is left as it is.
        other: Probability that it is replaced by a certain token.

    Returns:
        float64 (T,) nats of each token, and bool (T,) whether the likeliest is the true one.
    """
    nothing_L = np.full(len(codes_L), -1)
    after_LS = _backward(codes_L, nothing_L, 4, chain_S4, kept, other)
    nats_T, right_T = np.empty(len(starts_T)), np.empty(len(starts_T), np.bool_)
    before_S, t = start_S, 0
    for token in range(len(starts_T)):
        while t < starts_T[token]:
            before_S = _forward(before_S, codes_L[t], -1, 4, chain_S4, kept, other)
            t += 1
        likely_N = _free(before_S, chain_S4, after_LS[t + lengths_T[token]], lengths_T[token])
        if shown_T[token] >= 0:
            likely_N *= other
            likely_N[shown_T[token]] *= (kept + other) / other
        nats_T[token] = np.log(likely_N.sum() / likely_N[truths_T[token]])
        right_T[token] = likely_N.argmax() == truths_T[token]
    return nats_T, right_T


@kernel
def guess_read_off(codes_L, starts_T, truths_T, shown_L, k, chain_S4, start_S, kept, other):  # type: ignore[no-untyped-def]
    """Guess each masked k-mer from all that the input shows, in tokens that overlap it and beside it.

    Args:
        codes_L: uint8, bases that a token shows which is not masked 0..3, the others 255.
        starts_T: int64, first base of each token.
        truths_T: int64, its number.
        shown_L: int64, the number of the masked token that ends with a base, where the input shows one; else -1.
        k: Bases of a token.
        chain_S4: float64, probability of the next base by state, a state having k - 1 bases at least.
        start_S, kept, other: As for ``guess_beside``.

    Returns:
        As ``guess_beside``.
    """
    states, size = len(chain_S4), 4**k
    after_LS = _backward(codes_L, shown_L, size, chain_S4, kept, other)
    nats_T, right_T = np.empty(len(starts_T)), np.empty(len(starts_T), np.bool_)
    before_S, t = start_S, 0
    for token in range(len(starts_T)):
        last = starts_T[token] + k - 1
        while t < last:
            before_S = _forward(before_S, codes_L[t], shown_L[t], size, chain_S4, kept, other)
            t += 1
        first, stop = _choices(codes_L[last])
        likely_N = np.zeros(size)
        for state in range(states):
            if before_S[state] == 0.0:
                continue
            for base in range(first, stop):
                stretch = 4 * state + base
                weight = _weight(stretch, shown_L[last], size, kept, other)
                likely = before_S[state] * chain_S4[state, base] * weight
                likely_N[stretch & (size - 1)] += likely * after_LS[last + 1, stretch & (states - 1)]
        nats_T[token] = np.log(likely_N.sum() / likely_N[truths_T[token]])
        right_T[token] = likely_N.argmax() == truths_T[token]
    return nats_T, right_T

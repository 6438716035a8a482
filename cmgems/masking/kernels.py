"""Hot loops of the masking strategies. Plain numpy references stand in tests/masking."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmgems.masking.random import STREAM_CENTRES, STREAM_CORRUPTION, STREAM_GUMBEL, draw_words, unit

_CENTRES = np.uint64(STREAM_CENTRES)
_CORRUPTION = np.uint64(STREAM_CORRUPTION)
_GUMBEL = np.uint64(STREAM_GUMBEL)
IGNORE = -100


@njit(inline="always")
def _extent(maskable_S):  # type: ignore[no-untyped-def]
    """First and last maskable position, (0, -1) when there is none; spans are clipped to them."""
    first, last = 0, len(maskable_S) - 1
    while first <= last and not maskable_S[first]:
        first += 1
    while last >= first and not maskable_S[last]:
        last -= 1
    return first, last


@njit(inline="always")
def _mask_span(mask_S, maskable_S, start, stop, first, last):  # type: ignore[no-untyped-def]
    """Mask start..stop (both included) clipped to the sequence."""
    for s in range(max(start, first), min(stop, last) + 1):
        mask_S[s] = maskable_S[s]


@njit(inline="always")
def _draw_centres(maskable_S, first, last, seed, sample, probability, centres_S):  # type: ignore[no-untyped-def]
    """Bernoulli(probability) for each maskable token; fills centres_S in order, returns how many."""
    threshold = np.uint64(probability * 4294967296.0)
    count = 0
    words = draw_words(seed, sample, _CENTRES, np.uint64(first // 4))
    for s in range(first, last + 1):
        if s % 4 == 0:
            words = draw_words(seed, sample, _CENTRES, np.uint64(s // 4))
        if words[s % 4] < threshold and maskable_S[s]:
            centres_S[count] = s
            count += 1
    return count


@njit(cache=True, nogil=True)
def random_span(maskable_BS, seed, samples_B, probability, low, high):  # type: ignore[no-untyped-def]
    """Each centre masks offsets low..high."""
    mask_BS = np.zeros(maskable_BS.shape, np.bool_)
    centres_S = np.empty(maskable_BS.shape[1], np.int64)
    for b in range(maskable_BS.shape[0]):
        first, last = _extent(maskable_BS[b])
        count = _draw_centres(maskable_BS[b], first, last, seed, samples_B[b], probability, centres_S)
        for i in range(count):
            _mask_span(mask_BS[b], maskable_BS[b], centres_S[i] + low, centres_S[i] + high, first, last)
    return mask_BS


@njit(cache=True, nogil=True)
def genemask(maskable_BS, ranks_BS, seed, samples_B, probability, low, high, reach, few):  # type: ignore[no-untyped-def]
    """Each centre masks offsets low..high; the better half of them also the wide span about its best position."""
    mask_BS = np.zeros(maskable_BS.shape, np.bool_)
    centres_S = np.empty(maskable_BS.shape[1], np.int64)
    best_S = np.empty(maskable_BS.shape[1], np.int64)
    for b in range(maskable_BS.shape[0]):
        first, last = _extent(maskable_BS[b])
        count = _draw_centres(maskable_BS[b], first, last, seed, samples_B[b], probability, centres_S)
        for i in range(count):
            start, stop = max(centres_S[i] + low, first), min(centres_S[i] + high, last)
            _mask_span(mask_BS[b], maskable_BS[b], start, stop, first, last)
            best = centres_S[i]
            for s in range(start, stop + 1):
                if maskable_BS[b, s] and (
                    ranks_BS[b, s] < ranks_BS[b, best] or (ranks_BS[b, s] == ranks_BS[b, best] and s < best)
                ):
                    best = s
            # Insertion sort by rank; equal ranks stay in the order of their centres.
            j = i
            while j > 0 and ranks_BS[b, best_S[j - 1]] > ranks_BS[b, best]:
                best_S[j] = best_S[j - 1]
                j -= 1
            best_S[j] = best
        widened = (count + 1) // 2
        if widened < few:
            widened = count
        for i in range(widened):
            _mask_span(mask_BS[b], maskable_BS[b], best_S[i] - reach, best_S[i] + reach, first, last)
    return mask_BS


@njit(cache=True, nogil=True)
def top_ranked(maskable_BS, ranks_BS, seed, samples_B, probability, reach, temperature):  # type: ignore[no-untyped-def]
    """m ~ Binomial(n, probability) centres, each masking +-reach.

    The m best scores win, leftmost first among equals. The score is -rank at temperature 0; above it
    -rank / temperature plus Gumbel noise, which samples without replacement in proportion to
    exp(-rank / temperature) (the Gumbel-top-k trick; Kool et al., ICML 2019).
    """
    mask_BS = np.zeros(maskable_BS.shape, np.bool_)
    centres_S = np.empty(maskable_BS.shape[1], np.int64)
    scores_S = np.empty(maskable_BS.shape[1], np.float64)
    for b in range(maskable_BS.shape[0]):
        first, last = _extent(maskable_BS[b])
        wanted = _draw_centres(maskable_BS[b], first, last, seed, samples_B[b], probability, centres_S)
        found = 0
        if wanted > 0:
            words = draw_words(seed, samples_B[b], _GUMBEL, np.uint64(first // 4))
            for s in range(first, last + 1):
                if temperature > 0.0 and s % 4 == 0:
                    words = draw_words(seed, samples_B[b], _GUMBEL, np.uint64(s // 4))
                if not maskable_BS[b, s]:
                    continue
                score = -np.float64(ranks_BS[b, s])
                if temperature > 0.0:
                    score = score / temperature - np.log(-np.log(unit(words[s % 4])))
                if found == wanted and score <= scores_S[found - 1]:
                    continue
                j = found if found < wanted else found - 1
                found = min(found + 1, wanted)
                while j > 0 and scores_S[j - 1] < score:
                    scores_S[j] = scores_S[j - 1]
                    centres_S[j] = centres_S[j - 1]
                    j -= 1
                scores_S[j] = score
                centres_S[j] = s
        for i in range(found):
            _mask_span(mask_BS[b], maskable_BS[b], centres_S[i] - reach, centres_S[i] + reach, first, last)
    return mask_BS


@njit(cache=True, nogil=True)
def corrupt(ids_BS, mask_BS, seed, samples_B, mask_id, specials, vocabulary, masked_share, random_share):  # type: ignore[no-untyped-def]
    """Apply 80/10/10 at the masked positions of ids_BS, in place.

    Returns the flat positions (index into B * S) and the true ids there, both int64 of length M.
    """
    rows, columns = ids_BS.shape
    count = 0
    for b in range(rows):
        for s in range(columns):
            count += mask_BS[b, s]
    positions_M = np.empty(count, np.int64)
    labels_M = np.empty(count, np.int64)
    i = 0
    for b in range(rows):
        for s in range(columns):
            if not mask_BS[b, s]:
                continue
            positions_M[i] = b * columns + s
            labels_M[i] = ids_BS[b, s]
            i += 1
            words = draw_words(seed, samples_B[b], _CORRUPTION, np.uint64(s))
            kind = unit(words[0])
            if kind < masked_share:
                ids_BS[b, s] = mask_id
            elif kind < masked_share + random_share:
                ids_BS[b, s] = specials + np.int64(unit(words[1]) * (vocabulary - specials))
    return positions_M, labels_M

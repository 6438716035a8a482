"""Hot loops of the masking strategies. Plain numpy references stand in tests/masking."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmgems.masking.random import (
    STREAM_CENTRES,
    STREAM_CORRUPTION,
    STREAM_GUMBEL,
    draw_words,
    fill_words,
    unit,
    words_buffer,
)

_CENTRES = np.uint64(STREAM_CENTRES)
_CORRUPTION = np.uint64(STREAM_CORRUPTION)
_GUMBEL = np.uint64(STREAM_GUMBEL)

# The least and the most Gumbel noise, -log(-log(u)), that a word with given upper bits can bring. Bounds by them
# tell which tokens are out of the running without a logarithm for each; the margin covers rounding.
_NOISE_BITS = 10
_NOISE_SHIFT = np.uint32(32 - _NOISE_BITS)
_MARGIN = 1e-4
_edges = np.arange(2**_NOISE_BITS + 1) << (32 - _NOISE_BITS)
_LEAST_NOISE = (-np.log(-np.log((_edges[:-1] + 0.5) * 2.0**-32)) - _MARGIN).astype(np.float32)
_MOST_NOISE = (-np.log(-np.log((_edges[1:] - 0.5) * 2.0**-32)) + _MARGIN).astype(np.float32)
_COLDEST = 1e-28  # below it single precision could overflow, and noise is nothing beside a rank
_GROUPS = 16
_TRIALS = 512
_WORDS = 2.0**32


@njit(inline="always")
def _mask_span(mask_S, start, stop):  # type: ignore[no-untyped-def]
    """Mask start..stop (both included) as far as the row reaches."""
    for s in range(max(start, 0), min(stop, len(mask_S) - 1) + 1):
        mask_S[s] = True


@njit(inline="always")
def _only(mask_S, maskable_S):  # type: ignore[no-untyped-def]
    """Take the tokens that must not be masked out of the spans."""
    for s in range(len(mask_S)):
        mask_S[s] &= maskable_S[s]


@njit(inline="always")
def _flags_buffer(columns):  # type: ignore[no-untyped-def]
    """One False for each of at least ``columns`` positions, for :func:`_where`."""
    return np.zeros((columns + 7) // 8 * 8, np.bool_)


@njit(inline="always")
def _positions_buffer(columns):  # type: ignore[no-untyped-def]
    """Room for what :func:`_where` finds."""
    return np.empty((columns + 7) // 8 * 8 + 1, np.int64)


@njit(inline="always")
def _where(flags_S, where_S):  # type: ignore[no-untyped-def]
    """Positions of the flags, in order, to where_S; returns how many. Passes over eight at a time."""
    octets = flags_S.view(np.uint64)
    count = 0
    for octet in range(len(octets)):
        if octets[octet] == 0:
            continue
        # No branch to mispredict: a position without a flag is written over.
        for s in range(8 * octet, 8 * octet + 8):
            where_S[count] = s
            count += flags_S[s]
    return count


@njit(inline="always")
def _draw_centres(maskable_S, seed, sample, probability, words_S, flags_S, centres_S):  # type: ignore[no-untyped-def]
    """Bernoulli(probability) for each maskable token; fills centres_S in order, returns how many."""
    threshold = np.uint64(probability * _WORDS)
    fill_words(seed, sample, _CENTRES, words_S)
    for s in range(len(maskable_S)):
        flags_S[s] = (words_S[s] < threshold) & maskable_S[s]
    return _where(flags_S, centres_S)


@njit(cache=True, nogil=True)
def bernoulli(maskable_BS, seed, samples_B, probability):  # type: ignore[no-untyped-def]
    """Each maskable token by itself."""
    threshold = np.uint64(probability * _WORDS)
    mask_BS = np.empty(maskable_BS.shape, np.bool_)
    words_S = words_buffer(maskable_BS.shape[1])
    for b in range(maskable_BS.shape[0]):
        fill_words(seed, samples_B[b], _CENTRES, words_S)
        for s in range(maskable_BS.shape[1]):
            mask_BS[b, s] = (words_S[s] < threshold) & maskable_BS[b, s]
    return mask_BS


@njit(cache=True, nogil=True)
def random_span(maskable_BS, seed, samples_B, probability, low, high):  # type: ignore[no-untyped-def]
    """Each centre masks offsets low..high."""
    mask_BS = np.zeros(maskable_BS.shape, np.bool_)
    words_S = words_buffer(maskable_BS.shape[1])
    flags_S = _flags_buffer(maskable_BS.shape[1])
    centres_S = _positions_buffer(maskable_BS.shape[1])
    for b in range(maskable_BS.shape[0]):
        count = _draw_centres(maskable_BS[b], seed, samples_B[b], probability, words_S, flags_S, centres_S)
        for i in range(count):
            _mask_span(mask_BS[b], centres_S[i] + low, centres_S[i] + high)
        _only(mask_BS[b], maskable_BS[b])
    return mask_BS


@njit(cache=True, nogil=True)
def genemask(maskable_BS, ranks_BS, seed, samples_B, probability, low, high, reach, few):  # type: ignore[no-untyped-def]
    """Each centre masks offsets low..high; the better half of them also the wide span about its best position."""
    mask_BS = np.zeros(maskable_BS.shape, np.bool_)
    words_S = words_buffer(maskable_BS.shape[1])
    flags_S = _flags_buffer(maskable_BS.shape[1])
    centres_S = _positions_buffer(maskable_BS.shape[1])
    best_S = np.empty(maskable_BS.shape[1], np.int64)
    for b in range(maskable_BS.shape[0]):
        count = _draw_centres(maskable_BS[b], seed, samples_B[b], probability, words_S, flags_S, centres_S)
        for i in range(count):
            start, stop = max(centres_S[i] + low, 0), min(centres_S[i] + high, maskable_BS.shape[1] - 1)
            _mask_span(mask_BS[b], start, stop)
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
            _mask_span(mask_BS[b], best_S[i] - reach, best_S[i] + reach)
        _only(mask_BS[b], maskable_BS[b])
    return mask_BS


@njit(inline="always")
def _draw_count(trials, seed, sample, probability):  # type: ignore[no-untyped-def]
    """m ~ Binomial(trials, probability) by inversion; one draw for each 512 trials, whose pmf cannot underflow."""
    rarer = min(probability, 1.0 - probability)
    odds = rarer / (1.0 - rarer)
    count = 0
    for chunk in range((trials + _TRIALS - 1) // _TRIALS):
        n = min(trials - chunk * _TRIALS, _TRIALS)
        u = unit(draw_words(seed, sample, _CENTRES, np.uint64(chunk))[0])
        pmf = (1.0 - rarer) ** n
        below, m = pmf, 0
        while below < u and m < n:
            pmf *= odds * (n - m) / (m + 1)
            below += pmf
            m += 1
        count += m if rarer == probability else n - m
    return count


@njit(inline="always")
def _low_bar(floors_S, wanted, best_G):  # type: ignore[no-untyped-def]
    """A value that at least ``wanted`` tokens exceed: the wanted-th best of the bests of 16 groups.

    With it the search meets hardly more tokens than it wants, where a bar that rises from nothing meets six
    times as many.
    """
    best_G[:] = -np.inf
    for row in range(len(floors_S) // _GROUPS):
        floors_G = floors_S[_GROUPS * row : _GROUPS * (row + 1)]
        for group in range(_GROUPS):
            best_G[group] = max(best_G[group], floors_G[group])
    bar = np.float32(np.inf)
    for group in range(_GROUPS):
        better = 0
        for other in range(_GROUPS):
            better += best_G[other] > best_G[group]
        if better < wanted:
            bar = min(bar, best_G[group])
    return bar if wanted <= _GROUPS else np.float32(-np.inf)


@njit(cache=True, nogil=True)
def top_ranked(maskable_BS, ranks_BS, seed, samples_B, probability, reach, temperature):  # type: ignore[no-untyped-def]
    """m ~ Binomial(n, probability) centres, each masking +-reach.

    The m best scores win, leftmost first among equals. The score is -rank at temperature 0; above it
    -rank / temperature plus Gumbel noise, which samples without replacement in proportion to
    exp(-rank / temperature) (the Gumbel-top-k trick; Kool et al., ICML 2019).
    """
    mask_BS = np.zeros(maskable_BS.shape, np.bool_)
    columns = maskable_BS.shape[1]
    words_S = words_buffer(columns)
    flags_S = _flags_buffer(columns)
    near_S, centres_S = _positions_buffer(columns), _positions_buffer(columns)
    floors_S, bounds_S = np.empty(columns, np.float32), np.empty(columns, np.float32)
    scores_S = np.empty(columns, np.float64)
    best_G = np.empty(_GROUPS, np.float32)
    noisy = temperature > _COLDEST
    slope = 1.0 / temperature if noisy else 1.0
    # Bounds in single precision, rounded outwards.
    steep, flat = np.float32(slope * (1.0 + 1e-6)), np.float32(slope * (1.0 - 1e-6))
    nothing = np.float32(-np.inf)
    for b in range(maskable_BS.shape[0]):
        maskable_S, ranks_S = maskable_BS[b], ranks_BS[b]
        trials = 0
        for s in range(columns):
            trials += maskable_S[s]
        wanted = _draw_count(trials, seed, samples_B[b], probability)
        if wanted == 0:
            continue
        if noisy:
            fill_words(seed, samples_B[b], _GUMBEL, words_S)
            for s in range(columns):
                bin_, rank = words_S[s] >> _NOISE_SHIFT, np.float32(ranks_S[s])
                floor, bound = _LEAST_NOISE[bin_] - steep * rank, _MOST_NOISE[bin_] - flat * rank
                floors_S[s] = floor if maskable_S[s] else nothing
                bounds_S[s] = bound if maskable_S[s] else nothing
        else:
            for s in range(columns):
                bound = -np.float32(ranks_S[s])  # exact below 2^24
                floors_S[s] = bound - np.float32(0.5) if maskable_S[s] else nothing
                bounds_S[s] = bound if maskable_S[s] else nothing
        low = _low_bar(floors_S, wanted, best_G)
        bar = np.float64(low)
        for s in range(columns):
            flags_S[s] = bounds_S[s] > low
        found = 0
        for i in range(_where(flags_S, near_S)):
            s = near_S[i]
            if bounds_S[s] <= bar:
                continue
            score = -np.float64(ranks_S[s])
            if noisy:
                score = score / temperature - np.log(-np.log(unit(words_S[s])))
                if score <= bar:
                    continue
            # Insertion sort, best first; of equals the one further left stays ahead.
            j = min(found, wanted - 1)
            while j > 0 and scores_S[j - 1] < score:
                scores_S[j] = scores_S[j - 1]
                centres_S[j] = centres_S[j - 1]
                j -= 1
            scores_S[j] = score
            centres_S[j] = s
            found = min(found + 1, wanted)
            if found == wanted:
                bar = scores_S[wanted - 1]
        for i in range(found):
            _mask_span(mask_BS[b], centres_S[i] - reach, centres_S[i] + reach)
        _only(mask_BS[b], maskable_S)
    return mask_BS


@njit(cache=True, nogil=True)
def corrupt(  # type: ignore[no-untyped-def]
    clean_BS, mask_BS, seed, samples_B, mask_id, pad_id, first_known, known, masked_share, random_share
):
    """Apply 80/10/10 at the masked positions of a copy of clean_BS.

    Returns the corrupted ids, the attention mask, and the flat positions (index into B * S) and the true ids of
    the masked tokens, both int64 of length M.
    """
    rows, columns = clean_BS.shape
    changed_share = masked_share + random_share
    ids_BS, attention_BS = np.empty_like(clean_BS), np.empty(clean_BS.shape, np.bool_)
    total = 0
    for b in range(rows):  # short loops become vector instructions
        for s in range(columns):
            ids_BS[b, s] = clean_BS[b, s]
        for s in range(columns):
            attention_BS[b, s] = clean_BS[b, s] != pad_id
        for s in range(columns):
            total += mask_BS[b, s]
    positions_M, labels_M = np.empty(total, np.int64), np.empty(total, np.int64)
    masked_S = np.empty(columns, np.int64)
    kinds_S, tokens_S = np.empty(columns, np.uint32), np.empty(columns, np.uint32)
    done = 0
    for b in range(rows):
        mask_S, ids_S, count = mask_BS[b], ids_BS[b], 0
        for s in range(columns):  # as in _where; masked positions are too many to pass over octets
            masked_S[count] = s
            count += mask_S[s]
        for i in range(count):
            words = draw_words(seed, samples_B[b], _CORRUPTION, np.uint64(masked_S[i]))
            kinds_S[i], tokens_S[i] = np.uint32(words[0]), np.uint32(words[1])
        for i in range(count):
            s, kind = masked_S[i], unit(kinds_S[i])
            label = ids_S[s]
            positions_M[done + i] = b * columns + s
            labels_M[done + i] = label
            token = first_known + np.int32(unit(tokens_S[i]) * known)
            ids_S[s] = mask_id if kind < masked_share else (token if kind < changed_share else label)
        done += count
    return ids_BS, attention_BS, positions_M, labels_M


@njit(cache=True, nogil=True)
def look_up(table_V, ids_BS, first_known, known):  # type: ignore[no-untyped-def]
    """``table_V[ids_BS]``, and which ids are among the ``known`` ones from ``first_known`` on; int32, all in range."""
    found_BS, maskable_BS = np.empty(ids_BS.shape, table_V.dtype), np.empty(ids_BS.shape, np.bool_)
    first, count = np.uint32(first_known), np.uint32(known)
    for b in range(ids_BS.shape[0]):
        for s in range(ids_BS.shape[1]):
            found_BS[b, s] = table_V[np.uint32(ids_BS[b, s])]
        for s in range(ids_BS.shape[1]):  # a loop of its own becomes vector instructions
            maskable_BS[b, s] = (
                np.uint32(np.uint32(ids_BS[b, s]) - first) < count
            )  # ids below first wrap round
    return found_BS, maskable_BS

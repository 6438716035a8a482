"""Loops of the masking strategies, compiled by Numba. Plain Python references are in tests/masking/reference.py.

Array names carry their shape: B sequences, S token positions, C centres, M masked tokens, V token ids.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cmgems.jit import kernel
from cmgems.masking.random import (
    STREAM_CENTRES,
    STREAM_CORRUPTION,
    STREAM_GUMBEL,
    STREAM_RATE,
    STREAM_SOFT_MASK,
    draw_block,
    draw_row,
    unit,
)

_CENTRES = np.uint64(STREAM_CENTRES)
_CORRUPTION = np.uint64(STREAM_CORRUPTION)
_GUMBEL = np.uint64(STREAM_GUMBEL)
_RATE = np.uint64(STREAM_RATE)
_SOFT_MASK = np.uint64(STREAM_SOFT_MASK)
_TRIALS = 512
_COLDEST = (
    1e-28  # colder is temperature 0: the noise is lost in rounding, and -rank / temperature could overflow
)


@njit(inline="always")
def _draw_centres(maskable_S, seed, sample, probability):  # type: ignore[no-untyped-def]
    """Each maskable token with the given probability: int64 positions_C, in order."""
    words_S = draw_row(seed, sample, _CENTRES, len(maskable_S))
    return np.flatnonzero((words_S < np.uint64(probability * 2.0**32)) & maskable_S)


@njit(inline="always")
def _mask_span(mask_S, start, stop):  # type: ignore[no-untyped-def]
    """Mask start..stop (both included) as far as the row reaches."""
    mask_S[max(start, 0) : stop + 1] = True


@kernel
def random_span(maskable_BS, seed, samples_B, probability, low, high):  # type: ignore[no-untyped-def]
    """Each centre masks offsets low..high."""
    mask_BS = np.zeros(maskable_BS.shape, np.bool_)
    for b in range(len(mask_BS)):
        for centre in _draw_centres(maskable_BS[b], seed, samples_B[b], probability):
            _mask_span(mask_BS[b], centre + low, centre + high)
    return mask_BS & maskable_BS


@kernel
def weighted_span(maskable_BS, ranks_BS, seed, samples_B, probability, low, high, weights_C, worst):  # type: ignore[no-untyped-def]
    """As ``random_span``, with centres in proportion to the weight of their part of the ranking, ``probability`` on
    average over a row."""
    mask_BS = np.zeros(maskable_BS.shape, np.bool_)
    classes, columns = len(weights_C), maskable_BS.shape[1]
    for b in range(len(mask_BS)):
        weights_S, total = np.zeros(columns), 0.0
        for s in range(columns):
            if maskable_BS[b, s]:
                weights_S[s] = weights_C[min((np.int64(ranks_BS[b, s]) - 1) * classes // worst, classes - 1)]
                total += weights_S[s]
        if total == 0.0:
            continue
        scale = probability * (np.count_nonzero(maskable_BS[b]) / total)
        words_S = draw_row(seed, samples_B[b], _CENTRES, columns)
        for s in range(columns):
            if words_S[s] < np.uint64(min(scale * weights_S[s], 1.0) * 2.0**32):
                _mask_span(mask_BS[b], s + low, s + high)
    return mask_BS & maskable_BS


@kernel
def uniform_rate(maskable_BS, seed, samples_B, lowest, highest):  # type: ignore[no-untyped-def]
    """Each token with a probability drawn for its row, and in any case the token with the lowest draw."""
    rows, columns = maskable_BS.shape
    mask_BS = np.zeros((rows, columns), np.bool_)
    for b in range(rows):
        rate = lowest + (highest - lowest) * unit(draw_block(seed, samples_B[b], _RATE, np.uint64(0))[0])
        bound = np.uint64(rate * 2.0**32)
        words_S = draw_row(seed, samples_B[b], _CENTRES, columns)
        first = -1
        for s in range(columns):
            if maskable_BS[b, s]:
                mask_BS[b, s] = words_S[s] < bound
                if first < 0 or words_S[s] < words_S[first]:
                    first = s
        if first >= 0:
            mask_BS[b, first] = True
    return mask_BS


@kernel
def genemask(maskable_BS, ranks_BS, seed, samples_B, probability, low, high, first, last, few):  # type: ignore[no-untyped-def]
    """Each centre masks offsets low..high; the better half of them also first..last from its best-ranked position."""
    mask_BS = np.zeros(maskable_BS.shape, np.bool_)
    for b in range(len(mask_BS)):
        maskable_S, ranks_S = maskable_BS[b], ranks_BS[b]
        centres_C = _draw_centres(maskable_S, seed, samples_B[b], probability)
        best_C = np.empty_like(centres_C)
        for c, centre in enumerate(centres_C):
            _mask_span(mask_BS[b], centre + low, centre + high)
            best = -1
            for s in range(max(centre + low, 0), min(centre + high + 1, len(ranks_S))):
                if maskable_S[s] and (best < 0 or ranks_S[s] < ranks_S[best]):
                    best = s
            best_C[c] = best
        widened = (len(best_C) + 1) // 2
        if widened < few:
            widened = len(best_C)
        # A stable sort: equal ranks stay in the order of their centres.
        for best in best_C[np.argsort(ranks_S[best_C], kind="mergesort")[:widened]]:
            _mask_span(mask_BS[b], best + first, best + last)
    return mask_BS & maskable_BS


@njit(inline="always")
def _draw_count(trials, seed, sample, probability):  # type: ignore[no-untyped-def]
    """m ~ Binomial(trials, probability) by inversion; one draw for each 512 trials, whose pmf cannot underflow."""
    rarer = min(probability, 1.0 - probability)
    odds = rarer / (1.0 - rarer)
    count = 0
    for chunk in range((trials + _TRIALS - 1) // _TRIALS):
        n = min(trials - chunk * _TRIALS, _TRIALS)
        u = unit(draw_block(seed, sample, _CENTRES, np.uint64(chunk))[0])
        pmf = (1.0 - rarer) ** n
        below, m = pmf, 0
        while below < u and m < n:
            pmf *= odds * (n - m) / (m + 1)
            below += pmf
            m += 1
        count += m if rarer == probability else n - m
    return count


@kernel
def top_ranked(maskable_BS, ranks_BS, seed, samples_B, probability, first, last, temperature):  # type: ignore[no-untyped-def]
    """m ~ Binomial(n, probability) centres, each masking offsets first..last.

    The m best scores win, leftmost first among equals. The score is -rank at temperature 0; above it
    -rank / temperature plus Gumbel noise, which samples without replacement in proportion to
    exp(-rank / temperature) (the Gumbel-top-k trick; Kool et al., ICML 2019).
    """
    rows, columns = maskable_BS.shape
    mask_BS = np.zeros((rows, columns), np.bool_)
    for b in range(rows):
        maskable_S, ranks_S = maskable_BS[b], ranks_BS[b]
        wanted = _draw_count(np.count_nonzero(maskable_S), seed, samples_B[b], probability)
        if wanted == 0:
            continue
        words_S = draw_row(seed, samples_B[b], _GUMBEL, columns)
        # The best so far, best first; of equals the one further left stays ahead.
        scores_C, centres_C = np.full(wanted, -np.inf), np.zeros(wanted, np.int64)
        bar = -np.inf
        for s in range(columns):
            if not maskable_S[s]:
                continue
            score = -np.float64(ranks_S[s])
            if temperature > _COLDEST:
                score, u = score / temperature, unit(words_S[s])
                # The noise is below u / sqrt(1 - u), so most tokens are ruled out without computing logarithms.
                if u <= (bar - score) * np.sqrt(1.0 - u):
                    continue
                score -= np.log(-np.log(u))
            if score <= bar:
                continue
            c = wanted - 1
            while c > 0 and scores_C[c - 1] < score:
                scores_C[c], centres_C[c] = scores_C[c - 1], centres_C[c - 1]
                c -= 1
            scores_C[c], centres_C[c] = score, s
            bar = scores_C[wanted - 1]
        for centre in centres_C:
            _mask_span(mask_BS[b], centre + first, centre + last)
    return mask_BS & maskable_BS


@kernel
def kmers_from(ids_BS, codes_V, k):  # type: ignore[no-untyped-def]
    """Number of the k-mer of single bases that starts at each position, int32 (B, S); 4^k where one is not known.

    ``codes_V`` is the code of each id, below 0 if it is no known base.
    """
    words_BS = np.full(ids_BS.shape, 4**k, np.int32)
    for b in range(len(ids_BS)):
        number, known = 0, 0
        for s in range(ids_BS.shape[1]):
            base = codes_V[ids_BS[b, s]]
            known = known + 1 if base >= 0 else 0
            number = (number << 2 | base) & (4**k - 1)
            if known >= k:
                words_BS[b, s - k + 1] = number
    return words_BS


@kernel
def bound_spans(  # type: ignore[no-untyped-def]
    ids_BS, maskable_BS, codes_VL, lengths_V, ranks_K, k, seed, samples_B, probability, worst, longest
):
    """Each span of bound tokens with the given probability, drawn where it starts.

    A maskable token goes on with the span before it, up to ``longest`` tokens, where the k-mer across their border,
    k // 2 of its bases before it, has rank ``worst`` or better. ``codes_VL`` are the codes of the bases of each id,
    below 0 if unknown, and ``lengths_V`` says how many it has.
    """
    rows, columns = ids_BS.shape
    mask_BS = np.zeros((rows, columns), np.bool_)
    bound, behind = np.uint64(probability * 2.0**32), k - k // 2
    starts_S = np.empty(columns, np.int64)  # the base that each token starts with
    for b in range(rows):
        is_bound_S = np.zeros(columns, np.bool_)
        number, known, bases = 0, 0, 0
        waiting = 0  # the first border whose k-mer has not been read to its end
        for s in range(columns):
            starts_S[s] = bases
            token = ids_BS[b, s]
            for place in range(lengths_V[token]):
                code = codes_VL[token, place]
                known = known + 1 if code >= 0 else 0
                number = (number << 2 | code) & (4**k - 1)
                bases += 1
                if waiting <= s and bases == starts_S[waiting] + behind:
                    is_bound_S[waiting] = known >= k and ranks_K[number] <= worst
                    waiting += 1
        words_S = draw_row(seed, samples_B[b], _CENTRES, columns)
        length = 0
        for s in range(columns):
            if not maskable_BS[b, s]:
                length = 0
            elif 0 < length < longest and is_bound_S[s]:
                mask_BS[b, s] = mask_BS[b, s - 1]
                length += 1
            else:
                mask_BS[b, s] = words_S[s] < bound
                length = 1
    return mask_BS


@kernel
def thin(mask_BS, soft_BS, seed, samples_B, share):  # type: ignore[no-untyped-def]
    """Of neighbouring tokens that are masked and soft, all stay masked with probability ``share``, or none."""
    kept_BS = mask_BS.copy()
    bound = np.uint64(share * 2.0**32)
    for b in range(len(kept_BS)):
        kept, before = True, False
        for s in range(kept_BS.shape[1]):
            thinned = mask_BS[b, s] and soft_BS[b, s]
            if thinned and not before:
                words = draw_block(seed, samples_B[b], _SOFT_MASK, np.uint64(s // 4))
                kept = words[s % 4] < bound
            if thinned and not kept:
                kept_BS[b, s] = False
            before = thinned
    return kept_BS


@kernel
def corrupt(  # type: ignore[no-untyped-def]
    clean_BS, mask_BS, seed, samples_B, mask_id, first_known, known, masked_share, random_share
):
    """Apply 80/10/10 at the masked positions of a copy of clean_BS.

    Returns the corrupted ids, and the flat positions (index into B * S) and the true ids of the masked tokens, both
    int64 of length M.
    """
    rows, columns = clean_BS.shape
    masked = np.count_nonzero(mask_BS)
    ids_BS = clean_BS.copy()
    positions_M, labels_M = np.empty(masked, np.int64), np.empty(masked, np.int64)
    m = 0
    for b in range(rows):
        for s in np.flatnonzero(mask_BS[b]):
            positions_M[m] = b * columns + s
            labels_M[m] = clean_BS[b, s]
            m += 1
            words = draw_block(seed, samples_B[b], _CORRUPTION, np.uint64(s))
            kind = unit(words[0])
            if kind < masked_share:
                ids_BS[b, s] = mask_id
            elif kind < masked_share + random_share:
                ids_BS[b, s] = first_known + np.int32(unit(words[1]) * known)
    return ids_BS, positions_M, labels_M

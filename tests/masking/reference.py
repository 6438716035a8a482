"""The masking strategies again, as straight lines of plain Python written from the papers' descriptions.

They take the same uniform draws as the kernels and nothing else from the package.
"""

from __future__ import annotations

import math

SPANS = {3: (-1, 1), 4: (-1, 2), 5: (-2, 2), 6: (-2, 3)}


def _extent(maskable: list[bool]) -> tuple[int, int]:
    where = [s for s, ok in enumerate(maskable) if ok]
    return (where[0], where[-1]) if where else (0, -1)


def _span(maskable: list[bool], start: int, stop: int) -> set[int]:
    first, last = _extent(maskable)
    return {s for s in range(max(start, first), min(stop, last) + 1) if maskable[s]}


def _centres(maskable: list[bool], draws: list[float], probability: float) -> list[int]:
    return [s for s, ok in enumerate(maskable) if ok and draws[s] < probability]


def uniform(maskable, ranks, k, rate, draws, gumbel_draws):
    return set(_centres(maskable, draws, rate))


def random_span(maskable, ranks, k, rate, draws, gumbel_draws):
    low, high = SPANS[k]
    masked: set[int] = set()
    for centre in _centres(maskable, draws, rate / k):
        masked |= _span(maskable, centre + low, centre + high)
    return masked


def genemask(maskable, ranks, k, rate, draws, gumbel_draws):
    low, high = SPANS[k]
    wide = k - 1
    centres = _centres(maskable, draws, rate / ((k + 2 * wide + 1) / 2))
    masked: set[int] = set()
    best = []
    for centre in centres:
        window = _span(maskable, centre + low, centre + high)
        masked |= window
        best.append(min(window, key=lambda s: (ranks[s], s)))
    half = math.ceil(len(centres) / 2)
    if half < 5:
        half = len(centres)
    for position in sorted(best, key=lambda s: ranks[s])[:half]:
        masked |= _span(maskable, position - wide, position + wide)
    return masked


def _widened_best(maskable, scores, k, rate, draws):
    wide = k - 1
    count = len(_centres(maskable, draws, rate / (2 * wide + 1)))
    order = sorted((s for s, ok in enumerate(maskable) if ok), key=lambda s: (-scores[s], s))
    masked: set[int] = set()
    for position in order[:count]:
        masked |= _span(maskable, position - wide, position + wide)
    return masked


def global_pmi(maskable, ranks, k, rate, draws, gumbel_draws):
    return _widened_best(maskable, [-rank for rank in ranks], k, rate, draws)


def annealed(maskable, ranks, k, rate, draws, gumbel_draws, temperature=1000.0):
    scores = [
        -rank / temperature - math.log(-math.log(u)) for rank, u in zip(ranks, gumbel_draws, strict=True)
    ]
    return _widened_best(maskable, scores, k, rate, draws)

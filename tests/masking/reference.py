"""The masking strategies in plain Python, written from the papers' descriptions, to test the kernels against.

They take the same uniform draws as the kernels and nothing else from the package.
"""

from __future__ import annotations

import math

SPANS = {3: (-1, 1), 4: (-1, 2), 5: (-2, 2), 6: (-2, 3)}


def narrow(k: int, single: bool) -> tuple[int, int]:
    """What a centre hides: of single bases the k-mer that starts there."""
    return (0, k - 1) if single else SPANS[k]


def wide(k: int, single: bool) -> tuple[int, int]:
    """All that shares a base with a k-mer."""
    return (0, k - 1) if single else (1 - k, k - 1)


def ranks_of_bases(letters: str, rank_of: dict[str, int], k: int) -> list[int]:
    """Of the k-mer that starts at each base; last, where one has another letter or the sequence ends."""
    return [rank_of.get(letters[s : s + k], 4**k + 1) for s in range(len(letters))]


def ranks_of(ids: list[int], table: list[int], rank_by: str) -> list[int]:
    """The released code takes the position in the sequence for a token id."""
    if rank_by == "token":
        return [table[token] for token in ids]
    return [table[min(position, len(table) - 1)] for position in range(len(ids))]


def _extent(maskable: list[bool]) -> tuple[int, int]:
    where = [s for s, ok in enumerate(maskable) if ok]
    return (where[0], where[-1]) if where else (0, -1)


def _span(maskable: list[bool], start: int, stop: int) -> set[int]:
    first, last = _extent(maskable)
    return {s for s in range(max(start, first), min(stop, last) + 1) if maskable[s]}


def _centres(maskable: list[bool], draws: list[float], probability: float) -> list[int]:
    return [s for s, ok in enumerate(maskable) if ok and draws[s] < probability]


def uniform(maskable, ranks, k, rate, draws, gumbel_draws, single=False):
    return set(_centres(maskable, draws, rate))


def pmi_spans(tokens, maskable, rank_of, k, rate, draws, tightest, longest):
    """``tokens`` are the letters of each token, "?" for a special one or an ambiguous base."""
    masked: set[int] = set()
    span: list[int] = []
    for s, ok in enumerate(maskable):
        before, after = "".join(tokens[:s]), "".join(tokens[s:])
        across = before[max(0, len(before) - k // 2) :] + after[: k - k // 2]
        bound = rank_of.get(across, 4**k + 1) <= round(tightest * 4**k)
        if not ok:
            span = []
            continue
        span = [*span, s] if span and bound and len(span) < longest else [s]
        if draws[span[0]] < rate:
            masked.add(s)
    return masked


def random_span(maskable, ranks, k, rate, draws, gumbel_draws, wider=0, single=False):
    low, high = narrow(k, single)
    low, high = low - math.floor(wider / 2), high + math.ceil(wider / 2)
    masked: set[int] = set()
    for centre in _centres(maskable, draws, rate / (k + wider)):
        masked |= _span(maskable, centre + low, centre + high)
    return masked


def loss_weighted(
    maskable, ranks, k, rate, draws, gumbel_draws, weights=(1.0,) * 10, worst=None, single=False
):
    low, high = narrow(k, single)
    weight = {
        s: weights[min((ranks[s] - 1) * 10 // (worst or 4**k), 9)] for s, ok in enumerate(maskable) if ok
    }
    masked: set[int] = set()
    total = sum(weight.values())
    for centre in weight:
        # On average over the tokens as probable as with equal weights.
        if total and draws[centre] < min(rate / k * (len(weight) / total) * weight[centre], 1.0):
            masked |= _span(maskable, centre + low, centre + high)
    return masked


def uniform_rate(maskable, draws, rate_draw, lowest=0.0, highest=1.0):
    where = [s for s, ok in enumerate(maskable) if ok]
    rate = lowest + (highest - lowest) * rate_draw
    return {s for s in where if draws[s] < rate} | {
        min(where, key=lambda s: (draws[s], s)) for _ in where[:1]
    }


def genemask(maskable, ranks, k, rate, draws, gumbel_draws, single=False):
    (low, high), (first, last) = narrow(k, single), wide(k, single)
    # The best k-mer of a span may be any of it, and adds what it has beyond.
    widened = k + (k - 1) / 2 if single else 2 * k - 1
    centres = _centres(maskable, draws, rate / ((k + widened) / 2))
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
        masked |= _span(maskable, position + first, position + last)
    return masked


def _binomial(trials, probability, draws):
    """By inversion of the rarer outcome; draw 4i serves the i-th 512 trials."""
    rarer = min(probability, 1 - probability)
    count = 0
    for chunk, start in enumerate(range(0, trials, 512)):
        n = min(trials - start, 512)
        m, below = 0, (1 - rarer) ** n
        while below < draws[4 * chunk] and m < n:
            m += 1
            below += math.comb(n, m) * rarer**m * (1 - rarer) ** (n - m)
        count += m if probability <= 0.5 else n - m
    return count


def thin(masked, soft, draws, share):
    """Of a set of masked positions, what is left: the draw at a stretch's first position decides for all of it."""
    kept = set()
    for position in sorted(masked):
        first = position
        while soft[position] and first - 1 in masked and soft[first - 1]:
            first -= 1
        if not soft[position] or draws[first] < share:
            kept.add(position)
    return kept


def _widened_best(maskable, scores, k, rate, draws, single):
    first, last = wide(k, single)
    count = _binomial(sum(maskable), min(rate / (last - first + 1), 1.0), draws)
    order = sorted((s for s, ok in enumerate(maskable) if ok), key=lambda s: (-scores[s], s))
    masked: set[int] = set()
    for position in order[:count]:
        masked |= _span(maskable, position + first, position + last)
    return masked


def global_pmi(maskable, ranks, k, rate, draws, gumbel_draws, single=False):
    return _widened_best(maskable, [-rank for rank in ranks], k, rate, draws, single)


def annealed(maskable, ranks, k, rate, draws, gumbel_draws, temperature=1000.0, single=False):
    scores = [
        -rank / temperature - math.log(-math.log(u)) for rank, u in zip(ranks, gumbel_draws, strict=True)
    ]
    return _widened_best(maskable, scores, k, rate, draws, single)

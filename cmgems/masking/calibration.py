"""Masking rates that give the wanted share of masked tokens.

The papers' rate is nominal: it is divided by the width of what a centre hides, and where spans overlap, fewer tokens
are masked. Here the nominal rate is solved for, so that the share of masked tokens is the wanted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from cmgems.errors import CmgemsError
from cmgems.masking.batch import Strategy, TokenBatch
from cmgems.masking.ranks import RankBy, Ranks
from cmgems.masking.strategies import Annealed

# Tokens to measure on, and masks drawn for each window: together they give the share to about 0.05 points.
SAMPLE_TOKENS = 200_000
MASKS = 16
# The share found is this close to the target on the sample; a strategy that misses it by MISSED raises an error.
TOLERANCE = 2e-4
MISSED = 3e-3
# One more centre hides up to 11 tokens: on fewer tokens than this, that alone changes the share by more than MISSED.
FEW_TOKENS = 200
# At this nominal rate every token is a centre, however wide the strategy's spans.
HIGHEST_RATE = 64.0
# What lies between is interpolated: temperatures, and the targets of a rate schedule.
NODES_PER_DECADE = 2
TARGET_SPACING = 0.02


class Calibration:
    """Solves for the nominal rate at which a strategy masks a target share of the maskable tokens.

    Deterministic: a function of the arguments alone.

    Args:
        ids: int32 (B, S) unmasked ids of typical windows, about ``SAMPLE_TOKENS`` in all.
        ranks: NPMI ranks for the tokenizer of the ids.
        targets: The lowest and the highest share of the maskable tokens that will be asked for.
        seed: Seed of the masks drawn to measure the share.
        rank_by: As in the run.
    """

    def __init__(
        self,
        ids: Iterable[np.ndarray],
        ranks: Ranks,
        targets: tuple[float, float],
        seed: int,
        rank_by: RankBy = "token",
    ) -> None:
        low, high = targets
        self._targets: list[float] = np.linspace(
            low, high, 1 + math.ceil((high - low) / TARGET_SPACING)
        ).tolist()
        rows = list(ids)
        width = max(ids_BS.shape[1] for ids_BS in rows)
        pad = [((0, 0), (0, width - ids_BS.shape[1])) for ids_BS in rows]
        ids_BS = np.concatenate(
            [
                np.pad(row, by, constant_values=ranks.tokenizer.pad_id)
                for row, by in zip(rows, pad, strict=True)
            ]
        )
        samples_B = np.arange(len(ids_BS), dtype=np.uint64)
        self._batch = TokenBatch(ids_BS, samples_B, ranks, rate=low, seed=seed, rank_by=rank_by)
        self._tokens = int(np.count_nonzero(self._batch.maskable_BS))
        self._solved: dict[tuple[Strategy, float], float] = {}

    def share(self, strategy: Strategy, rate: float) -> float:
        """Share of the sample's maskable tokens that ``strategy`` masks at the nominal ``rate``."""
        masked = 0
        for mask in range(MASKS):
            samples_B = self._batch.samples_B + np.uint64(mask * len(self._batch.samples_B))
            masked += int(
                np.count_nonzero(strategy.select(replace(self._batch, rate=rate, samples_B=samples_B)))
            )
        return masked / max(1, MASKS * self._tokens)

    def rate(self, name: str, strategy: Strategy, target: float) -> float:
        """The nominal rate for ``strategy``.

        Solved for where a run asks for one target only; else, and for `annealed`, interpolated between targets at most
        ``TARGET_SPACING`` apart, and temperatures, that were solved for.

        Args:
            name: The strategy's name, for errors.
            strategy: The strategy, with its options.
            target: Share of the maskable tokens to mask.

        Raises:
            CmgemsError: if no rate gives the target.
        """
        low, high = self._targets[0], self._targets[-1]
        part = (target - low) / (high - low) if high > low else 0.0
        return _between(
            part * (len(self._targets) - 1), lambda node: self._at(name, strategy, self._targets[node])
        )

    def _at(self, name: str, strategy: Strategy, target: float) -> float:
        if not isinstance(strategy, Annealed) or strategy.temperature == 0:
            return self._solve(name, strategy, target)
        return _between(
            NODES_PER_DECADE * math.log10(strategy.temperature),
            lambda node: self._solve(name, Annealed(10 ** (node / NODES_PER_DECADE)), target),
        )

    def _solve(self, name: str, strategy: Strategy, target: float) -> float:
        key = strategy, target
        if key not in self._solved:
            self._solved[key] = self._bisect(name, strategy, target)
        return self._solved[key]

    def _bisect(self, name: str, strategy: Strategy, target: float) -> float:
        low, high = 0.0, target
        share = self.share(strategy, high)
        shares = {high: share}  # by nominal rate
        while share < target and high < HIGHEST_RATE:
            low, high = high, 2 * high
            share = shares[high] = self.share(strategy, high)
        while abs(share - target) > TOLERANCE and high - low > 1e-6:
            rate = (low + high) / 2
            share = shares[rate] = self.share(strategy, rate)
            low, high = (rate, high) if share < target else (low, rate)
        # If the share jumps past the target, the last rate tried may not be the nearest.
        nearest = min(shares, key=lambda rate: abs(shares[rate] - target))
        if abs(shares[nearest] - target) > MISSED:
            few = self._tokens < FEW_TOKENS
            why = f"the nearest share of tokens it masks is {shares[nearest]:.3f}"
            raise CmgemsError(
                f"`target_rate` {target:g} cannot be reached",
                where=f"masking strategy {name!r}",
                why=f"{why}, with only {self._tokens} tokens to measure on" if few else why,
                fix="give more sequence" if few else "choose another target_rate or strategy",
            )
        return nearest


def _between(place: float, at: Callable[[int], float]) -> float:
    """``at(place)`` by linear interpolation between the whole numbers on either side."""
    left = math.floor(place)
    part = place - left
    return at(left) + part * (at(left + 1) - at(left)) if part else at(left)

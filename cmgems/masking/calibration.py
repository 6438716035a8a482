"""Masking rates that give the wanted share of masked tokens.

The papers' rate is nominal: it is divided by the width of what a centre hides, and where spans overlap, fewer tokens
are masked. Here the nominal rate is solved for, so that the share of masked tokens is the wanted one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from cmgems.errors import CmgemsError
from cmgems.masking.batch import Strategy, TokenBatch
from cmgems.masking.ranks import RankBy
from cmgems.masking.strategies import Annealed
from cmgems.tokenization import Tokenizer

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
NODES_PER_DECADE = 2


class Calibration:
    """Solves for the nominal rate at which a strategy masks the target share of the maskable tokens.

    Deterministic: a function of the arguments alone.

    Args:
        ids: int32 (B, S) unmasked ids of typical windows, about ``SAMPLE_TOKENS`` in all.
        tokenizer: Tokenizer of the ids.
        token_ranks_V: int32 rank by token id.
        target: Share of the maskable tokens to mask.
        seed: Seed of the masks drawn to measure the share.
        rank_by: As in the run.
    """

    def __init__(
        self,
        ids: Iterable[np.ndarray],
        tokenizer: Tokenizer,
        token_ranks_V: np.ndarray,
        target: float,
        seed: int,
        rank_by: RankBy = "token",
    ) -> None:
        self.target = target
        rows = list(ids)
        width = max(ids_BS.shape[1] for ids_BS in rows)
        pad = [((0, 0), (0, width - ids_BS.shape[1])) for ids_BS in rows]
        ids_BS = np.concatenate(
            [np.pad(row, by, constant_values=tokenizer.pad_id) for row, by in zip(rows, pad, strict=True)]
        )
        samples_B = np.arange(len(ids_BS), dtype=np.uint64)
        self._batch = TokenBatch.of(
            ids_BS, samples_B, tokenizer, token_ranks_V, rate=target, seed=seed, rank_by=rank_by
        )
        self._tokens = int(np.count_nonzero(self._batch.maskable_BS))
        self._solved: dict[Strategy, float] = {}

    def share(self, strategy: Strategy, rate: float) -> float:
        """Share of the sample's maskable tokens that ``strategy`` masks at the nominal ``rate``."""
        masked = 0
        for mask in range(MASKS):
            samples_B = self._batch.samples_B + np.uint64(mask * len(self._batch.samples_B))
            masked += int(
                np.count_nonzero(strategy.select(replace(self._batch, rate=rate, samples_B=samples_B)))
            )
        return masked / max(1, MASKS * self._tokens)

    def rate(self, name: str, strategy: Strategy) -> float:
        """The nominal rate for ``strategy``; for `annealed`, interpolated between temperatures that were solved for.

        Args:
            name: The strategy's name, for errors.
            strategy: The strategy, with its options.

        Raises:
            CmgemsError: if no rate gives the target.
        """
        if not isinstance(strategy, Annealed) or strategy.temperature == 0:
            return self._solve(name, strategy)
        node = NODES_PER_DECADE * math.log10(strategy.temperature)
        left = math.floor(node)
        cooler, hotter = (self._solve(name, Annealed(10 ** (n / NODES_PER_DECADE))) for n in (left, left + 1))
        return cooler + (node - left) * (hotter - cooler)

    def _solve(self, name: str, strategy: Strategy) -> float:
        if strategy not in self._solved:
            self._solved[strategy] = self._bisect(name, strategy)
        return self._solved[strategy]

    def _bisect(self, name: str, strategy: Strategy) -> float:
        low, high = 0.0, self.target
        share = self.share(strategy, high)
        shares = {high: share}  # by nominal rate
        while share < self.target and high < HIGHEST_RATE:
            low, high = high, 2 * high
            share = shares[high] = self.share(strategy, high)
        while abs(share - self.target) > TOLERANCE and high - low > 1e-6:
            rate = (low + high) / 2
            share = shares[rate] = self.share(strategy, rate)
            low, high = (rate, high) if share < self.target else (low, rate)
        # If the share jumps past the target, the last rate tried may not be the nearest.
        nearest = min(shares, key=lambda rate: abs(shares[rate] - self.target))
        if abs(shares[nearest] - self.target) > MISSED:
            few = self._tokens < FEW_TOKENS
            why = f"the nearest share of tokens it masks is {shares[nearest]:.3f}"
            raise CmgemsError(
                f"`target_rate` {self.target} cannot be reached",
                where=f"masking strategy {name!r}",
                why=f"{why}, with only {self._tokens} tokens to measure on" if few else why,
                fix="give more sequence" if few else "choose another target_rate or strategy",
            )
        return nearest

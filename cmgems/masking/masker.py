"""The masking of one run: curriculum, ranks and corruption behind one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmgems.config import Component, component, input_path
from cmgems.errors import CmgemsError
from cmgems.files import sha256_of
from cmgems.masking import kernels
from cmgems.masking.batch import STRATEGIES, Strategy, TokenBatch
from cmgems.masking.calibration import Calibration
from cmgems.masking.corruption import MaskedBatch, corrupt
from cmgems.masking.curriculum import CURRICULA, Curriculum, CurriculumState, tenth_loss_key
from cmgems.masking.ranks import RankBy, Ranks, check_rank_by
from cmgems.masking.schedules import RATE_SCHEDULES, RateSchedule
from cmgems.masking.strategies import (
    check_side_by_side,
    has_own_rate,
    needs_ranks,
    needs_table,
    own_rate_error,
)
from cmgems.pmi import PMITable
from cmgems.tokenization import Tokenizer

NOMINAL_RATE = 0.15
# Steps of a run whose strategies are calibrated before it starts.
STEPS_CALIBRATED = 200


@dataclass(frozen=True)
class MaskingConfig:
    """How tokens are masked.

    Attributes:
        curriculum: Which strategy masks when; a strategy's name is that one throughout.
        table: PMI table (`cmgems pmi build`); random_span, uniform, uniform_rate and
            random_mask need none.
        rate: Nominal share of masked tokens, as in the papers; the realised share differs by strategy, since
            spans overlap.
        target_rate: Share of tokens actually masked, instead of `rate`: when a run starts, the nominal rate of each
            strategy is solved for on training windows.
        rate_schedule: How the rate, nominal or target, goes over the run's steps to the one given here: `constant`, or
            from its `start` (0.3) on a line (`linear`) or half a cosine (`cosine`).
        soft_mask: How often tokens of soft-masked bases (lower case in the FASTA: repeats) are masked, relative to
            others: of what a strategy picks among them this share stays, spans whole.
        rank_by: `token`, or `position` to reproduce the released code (see docs/method.md).
    """

    curriculum: Component = component(CURRICULA, "cm_gems")
    table: Path | None = input_path(sha256_of, None)
    rate: float = NOMINAL_RATE
    target_rate: float | None = None
    rate_schedule: Component = component(RATE_SCHEDULES, "constant")
    soft_mask: float = 1.0
    rank_by: RankBy = "token"

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise CmgemsError(f"`rate` must be between 0 and 1, but is {self.rate}")
        if not 0 <= self.soft_mask <= 1:
            raise CmgemsError(f"`soft_mask` must be from 0 to 1, but is {self.soft_mask}")
        self._check_own_rates()
        if self.target_rate is None:
            return
        if not 0 < self.target_rate < 1:
            raise CmgemsError(f"`target_rate` must be between 0 and 1, but is {self.target_rate}")
        if self.rate != NOMINAL_RATE:
            raise CmgemsError(
                "`target_rate` and `rate` are both set", fix="`rate` is solved for; give one of them"
            )

    def _check_own_rates(self) -> None:
        """No rate is given where it would be passed over in silence; a target must be met in every phase."""
        names = self.curriculum.build(CURRICULA).strategies()
        own = [name for name in names if has_own_rate(name)]
        given = {
            "target_rate": self.target_rate is not None,
            "rate": self.rate != NOMINAL_RATE and len(own) == len(names),
            "rate_schedule": self.rate_schedule.name != "constant" and len(own) == len(names),
        }
        for option in [option for option, there in given.items() if own and there]:
            raise own_rate_error(own[0], option)


def mask_batch(
    ids_BS: np.ndarray,
    samples_B: np.ndarray,
    ranks: Ranks,
    named_strategy: tuple[str, Strategy],
    *,
    rate: float,
    seed: int,
    rank_by: RankBy = "token",
    soft_BS: np.ndarray | None = None,
    soft_mask: float = 1.0,
) -> MaskedBatch:
    """Choose positions with one strategy and corrupt them: a pure function of its arguments.

    Of the soft-masked tokens chosen, bool ``soft_BS``, neighbours stay together with probability ``soft_mask``.
    """
    name, strategy = named_strategy
    batch = TokenBatch(ids_BS, samples_B, ranks, rate=rate, seed=seed, rank_by=rank_by)
    mask_BS = strategy.select(batch)
    if soft_BS is not None:
        mask_BS = kernels.thin(mask_BS, soft_BS, np.uint64(seed), samples_B, soft_mask)
    return corrupt(batch, mask_BS, name)


class Masker:
    """Masks the batches of a run by its curriculum.

    Args:
        config: The run's masking section.
        tokenizer: Tokenizer of the ids.
        steps: Optimizer steps of the whole run.
        seed: Seed of the masks.

    Attributes:
        tenths: Gives the tenth of the ranking of each masked token of a batch, int64 (M,), if the curriculum is to be
            told the loss of each; else None.

    Raises:
        CmgemsError: if the curriculum ranks tokens and no table is given, the table is for other tokens, a strategy is,
            or single bases are to be ranked by position.
    """

    def __init__(self, config: MaskingConfig, tokenizer: Tokenizer, steps: int, seed: int) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.curriculum: Curriculum = config.curriculum.build(CURRICULA)
        self.schedule: RateSchedule = config.rate_schedule.build(RATE_SCHEDULES)
        self.steps = steps
        self.seed = seed
        self.state = CurriculumState()
        self.ranks = self._ranks()
        asked = self._asks_for_tenths
        self.tenths: Callable[[MaskedBatch], npt.NDArray[np.int64]] | None = self._tenths if asked else None
        self._calibration: Calibration | None = None

    def _ranks(self) -> Ranks:
        ranking = [name for name in self.curriculum.strategies() if needs_ranks(name)]
        for name in self.curriculum.strategies():
            check_side_by_side(name, self.tokenizer, "masking.curriculum")
        check_rank_by(self.config.rank_by, self.tokenizer, "masking.rank_by")
        table = self.config.table
        if table is None and (ranking or self._asks_for_tenths):
            name = (ranking or self.curriculum.strategies())[0]
            raise needs_table(name, "masking.table", "set masking.table=pmi.safetensors")
        return Ranks.of(None if table is None else PMITable.load(table), self.tokenizer)

    @property
    def _asks_for_tenths(self) -> bool:
        return hasattr(self.curriculum, "observe_tenths")

    def _tenths(self, batch: MaskedBatch) -> npt.NDArray[np.int64]:
        ids_BS = batch.ids_BS.copy()
        ids_BS.flat[batch.positions_M] = batch.labels_M
        return self.ranks.tenths(self.ranks.look_up(ids_BS).flat[batch.positions_M])

    def strategy(self, step: int) -> tuple[str, Strategy]:
        """Name and strategy of an optimizer step, by the validations seen so far."""
        return self.curriculum.strategy(step, self.steps, self.state, self.seed)

    def scheduled_rate(self, step: int) -> float:
        """The rate of an optimizer step by the schedule: the target, if one is set, else the nominal rate."""
        config = self.config
        last = config.rate if config.target_rate is None else config.target_rate
        return self.schedule.rate(step, self.steps, last)

    def calibrate(self, ids: Iterable[np.ndarray]) -> None:
        """Solve for the nominal rates that give the target of each step, for every strategy of the curriculum.

        Args:
            ids: int32 (B, S) unmasked training windows.

        Raises:
            CmgemsError: if a strategy cannot reach a target.
        """
        assert self.config.target_rate is not None
        targets = [self.scheduled_rate(step) for step in range(self.steps)]
        ends = min(targets), max(targets)
        self._calibration = Calibration(ids, self.ranks, ends, self.seed, self.config.rank_by)
        named = [(name, STRATEGIES.get(name)) for name in self.curriculum.strategies()]
        for step in range(0, self.steps, max(1, self.steps // STEPS_CALIBRATED)):
            for name, strategy in [self.strategy(step), *named]:
                self.rate(name, strategy, step)

    def rate(self, name: str, strategy: Strategy, step: int) -> float:
        """The nominal rate that a strategy is called with at an optimizer step.

        Raises:
            ValueError: if a target rate is set and ``calibrate`` was not called.
        """
        rate = self.scheduled_rate(step)
        if self.config.target_rate is None:
            return rate
        if self._calibration is None:
            raise ValueError("a masker with a target rate must be calibrated first")
        return self._calibration.rate(name, strategy, rate)

    def mask(
        self, ids_BS: np.ndarray, samples_B: np.ndarray, step: int, soft_BS: np.ndarray | None = None
    ) -> MaskedBatch:
        """Mask a batch of the given optimizer step; ``soft_BS``, bool, says which of its tokens are soft-masked."""
        named = self.strategy(step)
        return mask_batch(
            ids_BS,
            samples_B,
            self.ranks,
            named,
            rate=self.rate(*named, step),
            seed=self.seed,
            rank_by=self.config.rank_by,
            soft_BS=soft_BS,
            soft_mask=self.config.soft_mask,
        )

    def observe(self, step: int, perplexity: float, tenth_losses: tuple[float, ...] = ()) -> None:
        """Tell the curriculum a fixed-mask validation perplexity, and the loss of each of ``tenths`` if it asks."""
        self.state = self.curriculum.observe(step, perplexity, self.state)
        if self.tenths is not None:
            self.state = self.curriculum.observe_tenths(tenth_losses, self.state)  # type: ignore[attr-defined]

    def figures(self) -> dict[str, float]:
        """What the curriculum's state adds to the record of a validation, by name."""
        return {tenth_loss_key(tenth): loss for tenth, loss in enumerate(self.state.tenth_losses)}

    def state_dict(self) -> dict[str, Any]:
        """The curriculum's state as JSON-able values."""
        return asdict(self.state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore ``state_dict``."""
        tenth_losses = tuple(state.get("tenth_losses", ()))  # not in checkpoints before 0.3
        self.state = CurriculumState(tuple(state["perplexities"]), state["switched_at"], tenth_losses)

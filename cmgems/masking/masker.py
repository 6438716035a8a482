"""The masking of one run: curriculum, ranks and corruption behind one call."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmgems.config import Component, component
from cmgems.errors import CmgemsError
from cmgems.masking.batch import Strategy, TokenBatch
from cmgems.masking.corruption import MaskedBatch, corrupt
from cmgems.masking.curriculum import CURRICULA, Curriculum, CurriculumState
from cmgems.masking.ranks import RankBy, lookup_ranks
from cmgems.masking.strategies import needs_ranks
from cmgems.pmi import PMITable
from cmgems.tokenization import Tokenizer


@dataclass(frozen=True)
class MaskingConfig:
    """How tokens are masked.

    Attributes:
        curriculum: Which strategy masks when.
        table: PMI table (`cmgems pmi build`); only random_span and uniform do without.
        rate: Nominal share of masked tokens, as in the papers; the realised share differs by strategy, since
            spans overlap.
        rank_by: `token`, or `position` to reproduce the released code (see docs/method.md).
    """

    curriculum: Component = component(CURRICULA, "cm_gems")
    table: Path | None = None
    rate: float = 0.15
    rank_by: RankBy = "token"

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise CmgemsError(f"`rate` must be between 0 and 1, but is {self.rate}")


def mask_batch(
    ids_BS: np.ndarray,
    samples_B: np.ndarray,
    tokenizer: Tokenizer,
    token_ranks_V: np.ndarray,
    named_strategy: tuple[str, Strategy],
    *,
    rate: float,
    seed: int,
    rank_by: RankBy = "token",
) -> MaskedBatch:
    """Choose positions with one strategy and corrupt them: a pure function of its arguments."""
    name, strategy = named_strategy
    batch = TokenBatch(
        ids_BS=ids_BS,
        maskable_BS=ids_BS >= tokenizer.special_count,
        ranks_BS=lookup_ranks(token_ranks_V, ids_BS, rank_by),
        k=tokenizer.k,
        rate=rate,
        seed=seed,
        samples_B=samples_B,
    )
    return corrupt(batch, strategy.select(batch), tokenizer, name)


class Masker:
    """Masks the batches of a run by its curriculum.

    Args:
        config: The run's masking section.
        tokenizer: Tokenizer of the ids.
        steps: Optimizer steps of the whole run.
        seed: Seed of the masks.

    Raises:
        CmgemsError: if the curriculum ranks tokens and no table is given, or the table does not fit.
    """

    def __init__(self, config: MaskingConfig, tokenizer: Tokenizer, steps: int, seed: int) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.curriculum: Curriculum = config.curriculum.build(CURRICULA)
        self.steps = steps
        self.seed = seed
        self.state = CurriculumState()
        self.token_ranks_V = self._token_ranks()

    def _token_ranks(self) -> np.ndarray:
        if self.config.table is not None:
            return PMITable.load(self.config.table).token_ranks(self.tokenizer)
        ranking = [name for name in self.curriculum.strategies() if needs_ranks(name)]
        if ranking:
            raise CmgemsError(
                f"masking strategy {ranking[0]!r} needs a PMI table",
                where="masking.table",
                why="it is not set",
                fix="make one with `cmgems pmi build STORE -o pmi.safetensors` and set masking.table=pmi.safetensors",
            )
        return np.zeros(self.tokenizer.vocab_size, np.int32)

    def strategy(self, step: int) -> tuple[str, Strategy]:
        """Name and strategy of an optimizer step, as things stand now."""
        return self.curriculum.strategy(step, self.steps, self.state, self.seed)

    def mask(self, ids_BS: np.ndarray, samples_B: np.ndarray, step: int) -> MaskedBatch:
        """Mask a batch of the given optimizer step."""
        return mask_batch(
            ids_BS,
            samples_B,
            self.tokenizer,
            self.token_ranks_V,
            self.strategy(step),
            rate=self.config.rate,
            seed=self.seed,
            rank_by=self.config.rank_by,
        )

    def observe(self, step: int, perplexity: float) -> None:
        """Tell the curriculum a fixed-mask validation perplexity."""
        self.state = self.curriculum.observe(step, perplexity, self.state)

    def state_dict(self) -> dict[str, Any]:
        """The curriculum's state as JSON-able values."""
        return asdict(self.state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self.state = CurriculumState(tuple(state["perplexities"]), state["switched_at"])

"""A curriculum: two strategies in turns, one for each so many steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cmgems.errors import CmgemsError
from cmgems.masking import CURRICULA, STRATEGIES, CurriculumState, Strategy


@CURRICULA.register("in_turns")
@dataclass(frozen=True)
class InTurns:
    """Masks with `first` and `second` in turns.

    Attributes:
        first: A strategy, ours or one of a plugin.
        second: Another.
        every: Steps of a turn.
    """

    first: str = "uniform"
    second: str = "random_span"
    every: int = 100

    def __post_init__(self) -> None:
        if self.every < 1:
            raise CmgemsError(f"`every` must be 1 or more, but is {self.every}")
        for name in self.strategies():
            STRATEGIES.get(name)  # one that is unknown is refused here, before a run starts

    def strategies(self) -> tuple[str, ...]:
        """Names of all strategies it may pick."""
        return self.first, self.second

    def strategy(self, step: int, steps: int, state: CurriculumState, seed: int) -> tuple[str, Strategy]:
        """The strategy of ``step`` (from 0) of ``steps``, and the name to log."""
        name = self.strategies()[step // self.every % 2]
        return name, STRATEGIES.get(name)

    def observe(self, step: int, perplexity: float, state: CurriculumState) -> CurriculumState:
        """The state after a validation; this curriculum does not act on it."""
        return replace(state, perplexities=(*state.perplexities, perplexity))

"""Curricula: which strategy masks the batches of a step.

A curriculum is data, not a callback: a frozen description here, and a small state that is saved with every
checkpoint. It sees only the step, the number of steps and what the fixed-mask validations so far have measured.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Protocol

import numpy as np

from cmgems.errors import CmgemsError
from cmgems.masking.batch import STRATEGIES, Strategy
from cmgems.masking.random import STREAM_STEP, uniform
from cmgems.masking.strategies import Annealed, LossWeighted, RandomSpan
from cmgems.registry import Registry


@dataclass(frozen=True)
class CurriculumState:
    """What a curriculum remembers.

    Attributes:
        perplexities: Fixed-mask validation perplexities, oldest first.
        switched_at: The first step of the second phase, or None before the switch.
        tenth_losses: Running loss (nats) of the tokens of each tenth of the ranking; empty if none was measured.
    """

    perplexities: tuple[float, ...] = ()
    switched_at: int | None = None
    tenth_losses: tuple[float, ...] = ()


def tenth_loss_key(tenth: int) -> str:
    """Under what name the running loss of a tenth of the ranking (from 0) is logged."""
    return f"loss_tenth_{tenth + 1}"


class Curriculum(Protocol):
    """Picks a strategy for each step. Registered as a frozen dataclass.

    One that has a method ``observe_tenths(losses, state) -> state`` is also told, after each ``observe``, the mean
    fixed-mask loss (nats) of the tokens of each tenth of the ranking; NaN where no token was masked.
    """

    def strategy(self, step: int, steps: int, state: CurriculumState, seed: int) -> tuple[str, Strategy]:
        """The strategy of ``step`` (from 0) of ``steps``, and the name to log."""
        ...

    def observe(self, step: int, perplexity: float, state: CurriculumState) -> CurriculumState:
        """The state after a validation at ``step`` finished optimizer steps."""
        ...

    def strategies(self) -> tuple[str, ...]:
        """Names of all strategies it may pick."""
        ...


class _Curricula(Registry[Curriculum]):
    """The registered curricula, and each other masking strategy's name for that strategy from first step to last, with
    its own options."""

    def get(self, name: str, where: str = "") -> Curriculum:
        """See ``Registry.get``."""
        if name not in super().names() and name in STRATEGIES.names():
            return _throughout(name)
        return super().get(name, where)

    def summary(self, name: str) -> str:
        """See ``Registry.summary``."""
        return super().summary(name) if name in super().names() else STRATEGIES.summary(name)

    def names(self) -> list[str]:
        """See ``Registry.names``."""
        return sorted({*super().names(), *STRATEGIES.names()})


CURRICULA: Registry[Curriculum] = _Curricula("curriculum")


class _KeepsHistory:
    """Keeps the validation history without acting on it."""

    def observe(self, step: int, perplexity: float, state: CurriculumState) -> CurriculumState:
        return replace(state, perplexities=(*state.perplexities, perplexity))


def _named(name: str) -> tuple[str, Strategy]:
    return name, STRATEGIES.get(name)


def _throughout(name: str) -> Curriculum:
    """A strategy that is a curriculum too: itself at every step."""
    prototype: Any = STRATEGIES.get(name)

    @dataclass(frozen=True)
    class Throughout(type(prototype), _KeepsHistory):  # type: ignore[misc]
        def strategies(self) -> tuple[str, ...]:
            return (name,)

        def strategy(self, step: int, steps: int, state: CurriculumState, seed: int) -> tuple[str, Strategy]:
            return name, replace(prototype, **_values(self))

    return Throughout(**_values(prototype))


def _values(prototype: Any) -> dict[str, Any]:
    return {field.name: getattr(prototype, field.name) for field in fields(prototype)}


@CURRICULA.register("fixed")
@dataclass(frozen=True)
class Fixed(_KeepsHistory):
    """One strategy as it is from the first step to the last; a config may name the strategy itself instead."""

    masking: str = "random_span"

    def __post_init__(self) -> None:
        STRATEGIES.get(self.masking)

    def strategies(self) -> tuple[str, ...]:
        return (self.masking,)

    def strategy(self, step: int, steps: int, state: CurriculumState, seed: int) -> tuple[str, Strategy]:
        return _named(self.masking)


@dataclass(frozen=True)
class _EasyThenHard:
    easy: str
    hard: str

    def __post_init__(self) -> None:
        STRATEGIES.get(self.easy)
        STRATEGIES.get(self.hard)

    def strategies(self) -> tuple[str, ...]:
        return (self.easy, self.hard)


@CURRICULA.register("cm_step")
@dataclass(frozen=True)
class CMStep(_KeepsHistory, _EasyThenHard):
    """CM-STEP: the share of hard batches grows by one percent each hundredth of the run.

    Attributes:
        easy: Strategy of the other batches.
        hard: Strategy drawn with probability floor(step / (steps / 100)) / 100.
    """

    easy: str = "random_span"
    hard: str = "global_pmi"

    def strategy(self, step: int, steps: int, state: CurriculumState, seed: int) -> tuple[str, Strategy]:
        share = math.floor(100 * step / steps) / 100
        draw = uniform(seed, np.array([step], np.uint64), STREAM_STEP, 1)[0, 0]
        return _named(self.hard if draw < share else self.easy)


@CURRICULA.register("cm_gems")
@dataclass(frozen=True)
class CMGems(_EasyThenHard):
    """CM-GEMS: `easy` until the validation perplexity has flattened, then `hard` to the end.

    It switches once, and never back. With the defaults, the paper's, that is as soon as two validations in a row differ
    by less than ``threshold``.

    Attributes:
        threshold: A change below this is flat.
        unit: Of the threshold: `perplexity`, or `percent` of the perplexity before the change.
        patience: Changes in a row that must be flat.
        smoothing: Validations whose mean perplexity takes the place of the last one's.
    """

    easy: str = "genemask"
    hard: str = "global_pmi"
    threshold: float = 1.0
    unit: Literal["perplexity", "percent"] = "perplexity"
    patience: int = 1
    smoothing: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.threshold > 0:
            raise CmgemsError(f"`threshold` must be above 0, but is {self.threshold}")
        for name in ("patience", "smoothing"):
            if getattr(self, name) < 1:
                raise CmgemsError(f"`{name}` must be 1 or more, but is {getattr(self, name)}")

    def strategy(self, step: int, steps: int, state: CurriculumState, seed: int) -> tuple[str, Strategy]:
        return _named(self.easy if state.switched_at is None else self.hard)

    def observe(self, step: int, perplexity: float, state: CurriculumState) -> CurriculumState:
        perplexities = (*state.perplexities, perplexity)
        switching = state.switched_at is None and self._flat(perplexities)
        switched_at = step if switching else state.switched_at
        return replace(state, perplexities=perplexities, switched_at=switched_at)

    def _flat(self, perplexities: tuple[float, ...]) -> bool:
        """Whether the last ``patience`` changes of the smoothed perplexities are all below the threshold."""
        wanted = self.patience + self.smoothing
        if len(perplexities) < wanted:
            return False
        smooth = [sum(part) / self.smoothing for part in _stretches(perplexities[-wanted:], self.smoothing)]
        return all(
            abs(after - before) < self.threshold * (before / 100 if self.unit == "percent" else 1)
            for before, after in itertools.pairwise(smooth)
        )


def _stretches(values: tuple[float, ...], length: int) -> list[tuple[float, ...]]:
    """All stretches of so many neighbouring values, from the first on."""
    return [values[i : i + length] for i in range(len(values) - length + 1)]


@CURRICULA.register("random_mask")
@dataclass(frozen=True)
class RandomMask(_KeepsHistory):
    """RandomMask (Liang et al., arXiv 2310.07644): `random_span` masking whose spans widen in stages.

    The stages are equally long. Wider spans have fewer centres, so that the share of masked tokens stays at the rate.

    Attributes:
        stages: The first one masks DNABERT's spans.
        wider: Tokens by which the spans of a stage are wider than those of the one before.
    """

    stages: int = 5
    wider: int = 2

    def __post_init__(self) -> None:
        if self.stages < 2:
            raise CmgemsError(f"`stages` must be 2 or more, but is {self.stages}")
        if self.wider < 1:
            raise CmgemsError(f"`wider` must be 1 or more, but is {self.wider}")

    def strategies(self) -> tuple[str, ...]:
        return ("random_span",)

    def strategy(self, step: int, steps: int, state: CurriculumState, seed: int) -> tuple[str, Strategy]:
        return "random_span", RandomSpan(self.wider * (self.stages * step // steps))


@CURRICULA.register("loss_weighted")
@dataclass(frozen=True)
class LossWeightedCurriculum(_KeepsHistory):
    """`loss_weighted` masking by the running losses of the tenths of the ranking: what is guessed worst is masked most.

    Yang et al. (arXiv 2208.10806) weigh parts of speech so. Here losses are those of each validation, under a mask that
    never changes: no step waits for them, and all processes of a run have the same ones. Until the first one, all
    weights are equal.

    Attributes:
        memory: Share of a running loss that the next validation leaves; 0 for the last one's losses alone.
    """

    memory: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.memory < 1:
            raise CmgemsError(f"`memory` must be 0 or more and below 1, but is {self.memory}")

    def strategies(self) -> tuple[str, ...]:
        return ("loss_weighted",)

    def strategy(self, step: int, steps: int, state: CurriculumState, seed: int) -> tuple[str, Strategy]:
        return "loss_weighted", LossWeighted(state.tenth_losses) if state.tenth_losses else LossWeighted()

    def observe_tenths(self, losses: tuple[float, ...], state: CurriculumState) -> CurriculumState:
        finite = [loss for loss in losses if math.isfinite(loss)]
        if not finite:
            return state
        usual = sum(finite) / len(finite)
        known = [loss if math.isfinite(loss) else usual for loss in losses]
        running = tuple(
            self.memory * before + (1 - self.memory) * loss
            for before, loss in zip(state.tenth_losses or known, known, strict=True)
        )
        return replace(state, tenth_losses=running)


@CURRICULA.register("annealed")
@dataclass(frozen=True)
class AnnealedCurriculum(_KeepsHistory):
    """Lowers the temperature of `annealed` masking from `hot` to `cold` ranks along a pacing function.

    The temperature falls geometrically, since only its ratio to the ranks matters.

    Attributes:
        hot: Temperature at the first step (ranks); well above the number of k-mers means uniform.
        cold: Temperature at the last step (ranks); below 1 means `global_pmi`.
        pacing: How progress through the run maps to progress of the temperature.
        stages: Number of equal stages of the `step` pacing.
    """

    hot: float = 10_000.0
    cold: float = 10.0
    pacing: Literal["linear", "root", "step", "cosine"] = "linear"
    stages: int = 5

    def __post_init__(self) -> None:
        if not math.inf > self.hot >= self.cold > 0:
            raise CmgemsError(
                f"`hot` and `cold` must be finite, with `hot` >= `cold` > 0, but are {self.hot} and {self.cold}"
            )
        if self.stages < 2:
            raise CmgemsError(f"`stages` must be 2 or more, but is {self.stages}")

    def strategies(self) -> tuple[str, ...]:
        return ("annealed",)

    def temperature(self, step: int, steps: int) -> float:
        """Temperature (in ranks) of a step."""
        progress = step / max(1, steps - 1)
        paced = {
            "linear": progress,
            "root": math.sqrt(progress),
            "step": min(math.floor(progress * self.stages), self.stages - 1) / (self.stages - 1),
            "cosine": (1 - math.cos(math.pi * progress)) / 2,
        }[self.pacing]
        return math.exp((1 - paced) * math.log(self.hot) + paced * math.log(self.cold))

    def strategy(self, step: int, steps: int, state: CurriculumState, seed: int) -> tuple[str, Strategy]:
        return "annealed", Annealed(self.temperature(step, steps))

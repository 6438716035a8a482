"""Watching the losses: steps whose loss is not finite, and sudden spikes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import ClassVar, Literal

from cmgems.errors import CmgemsError
from cmgems.training.step import StepResult

# Losses of a masking strategy that a new one is compared with, and how many there must be.
WINDOW, ENOUGH = 64, 20
# The median absolute deviation of a normal distribution times this is its standard deviation.
MAD_TO_SD = 1.4826
# Spreads below this share of the median count as this much: a loss that hardly moves has no spikes of 1 %.
LEAST_SPREAD = 0.01


@dataclass(frozen=True)
class TroubleConfig:
    """What to do when a step goes wrong.

    Attributes:
        nonfinite: `stop` saves the batch whose loss or gradient is not finite and ends the run; `skip` leaves the
            parameters as they were and takes the next batch.
        patience: Steps skipped in a row after which a run ends all the same.
        spike: A loss is noted as a spike when it is this many standard deviations above the median of the last 64 of
            the same masking strategy; 0 for never. The deviation is estimated by the median absolute deviation.
    """

    free: ClassVar[bool] = True  # a run may go on with others

    nonfinite: Literal["stop", "skip"] = "stop"
    patience: int = 10
    spike: float = 6.0

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise CmgemsError(f"`patience` must be 1 or more, but is {self.patience}")
        if self.spike < 0:
            raise CmgemsError(f"`spike` must be 0 or more, but is {self.spike}")


@dataclass
class Watch:
    """Looks at every step's loss. Its fields are JSON-able and part of every checkpoint.

    Attributes:
        skipped: Steps skipped so far.
        in_a_row: Of these, the last ones without a good step between.
        spikes: Spikes so far; a loss that stays high is one.
        spiking: Whether the last step was part of one.
        losses: The last losses of each masking strategy: a curriculum's switch is no spike.
    """

    skipped: int = 0
    in_a_row: int = 0
    spikes: int = 0
    spiking: bool = False
    losses: dict[str, list[float]] = field(default_factory=dict)

    def check(self, result: StepResult, strategy: str, config: TroubleConfig) -> str:
        """A message if the step is skipped or a spike begins, else ""."""
        loss, norm = result.loss, result.gradient_norm
        if not is_finite(result):
            self.skipped += 1
            self.in_a_row += 1
            return f"skipped: loss {loss}, gradient norm {norm} ({self.skipped} steps so far)"
        self.in_a_row = 0
        losses = self.losses.setdefault(strategy, [])
        usual, limit = _usual(losses, config.spike)
        losses.append(loss)
        del losses[:-WINDOW]
        first, self.spiking = loss > limit and not self.spiking, loss > limit
        self.spikes += first
        return f"loss spike: {loss:.4f}, usually {usual:.4f}" if first else ""


def is_finite(result: StepResult) -> bool:
    """Whether a step has changed the parameters: both its loss and its gradient were finite."""
    return math.isfinite(result.loss) and math.isfinite(result.gradient_norm)


def _usual(losses: Sequence[float], spike: float) -> tuple[float, float]:
    """The median of recent losses, and the loss above which there is a spike."""
    if len(losses) < ENOUGH or not spike:
        return math.nan, math.inf
    usual = median(losses)
    deviation = MAD_TO_SD * median(abs(loss - usual) for loss in losses)
    return usual, usual + spike * max(deviation, LEAST_SPREAD * usual)

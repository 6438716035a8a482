"""Schedules of the masking rate: how it changes over the steps of a run, whatever the curriculum.

Source: Ankner et al., Dynamic Masking Rate Schedules for MLM Pretraining (EACL 2024, arXiv 2305.15096), whose best one
falls linearly from 30 to 15 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from cmgems.errors import CmgemsError
from cmgems.registry import Registry


class RateSchedule(Protocol):
    """The masking rate of each step. Registered as a frozen dataclass."""

    def rate(self, step: int, steps: int, last: float) -> float:
        """The rate of ``step`` (from 0) of ``steps``, above 0 and below 1; ``last`` is the config's."""
        ...


RATE_SCHEDULES: Registry[RateSchedule] = Registry("masking rate schedule")


@RATE_SCHEDULES.register("constant")
@dataclass(frozen=True)
class Constant:
    """The same rate at every step."""

    def rate(self, step: int, steps: int, last: float) -> float:
        return last


@dataclass(frozen=True)
class _FromStart:
    """Goes from ``start`` at the first step to the config's rate at the last.

    Attributes:
        start: Above or below the config's rate.
    """

    start: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.start < 1:
            raise CmgemsError(f"`start` must be between 0 and 1, but is {self.start}")

    def rate(self, step: int, steps: int, last: float) -> float:
        done = self._paced(step / max(1, steps - 1))
        return (1 - done) * self.start + done * last

    def _paced(self, progress: float) -> float:
        raise NotImplementedError


@RATE_SCHEDULES.register("linear")
@dataclass(frozen=True)
class Linear(_FromStart):
    """From `start` to the rate of the config, by the same amount with each step."""

    def _paced(self, progress: float) -> float:
        return progress


@RATE_SCHEDULES.register("cosine")
@dataclass(frozen=True)
class Cosine(_FromStart):
    """From `start` to the rate of the config along half a cosine: slowly at both ends, fastest in the middle."""

    def _paced(self, progress: float) -> float:
        return (1 - math.cos(math.pi * progress)) / 2

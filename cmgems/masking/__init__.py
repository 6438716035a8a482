"""Which tokens to hide: strategies, curricula that choose among them, and the 80/10/10 corruption."""

from cmgems.masking.batch import STRATEGIES, Strategy, TokenBatch
from cmgems.masking.corruption import MaskedBatch, corrupt
from cmgems.masking.curriculum import CURRICULA, Curriculum, CurriculumState
from cmgems.masking.masker import Masker, MaskingConfig, mask_batch
from cmgems.masking.micro_batches import micro_batches
from cmgems.masking.ranks import RankBy
from cmgems.masking.schedules import RATE_SCHEDULES, RateSchedule
from cmgems.masking.strategies import (
    Annealed,
    GeneMask,
    GlobalPMI,
    LossWeighted,
    RandomSpan,
    Uniform,
    UniformRate,
    has_own_rate,
    needs_ranks,
)

__all__ = [
    "CURRICULA",
    "RATE_SCHEDULES",
    "STRATEGIES",
    "Annealed",
    "Curriculum",
    "CurriculumState",
    "GeneMask",
    "GlobalPMI",
    "LossWeighted",
    "MaskedBatch",
    "Masker",
    "MaskingConfig",
    "RandomSpan",
    "RankBy",
    "RateSchedule",
    "Strategy",
    "TokenBatch",
    "Uniform",
    "UniformRate",
    "corrupt",
    "has_own_rate",
    "mask_batch",
    "micro_batches",
    "needs_ranks",
]

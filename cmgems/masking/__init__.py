"""Which tokens to hide: strategies, curricula that choose among them, and the 80/10/10 corruption."""

from cmgems.masking.batch import STRATEGIES, Strategy, TokenBatch
from cmgems.masking.corruption import MaskedBatch, corrupt
from cmgems.masking.curriculum import CURRICULA, Curriculum, CurriculumState
from cmgems.masking.masker import Masker, MaskingConfig, mask_batch
from cmgems.masking.micro_batches import micro_batches, never_empty
from cmgems.masking.ranks import RankBy, Ranks
from cmgems.masking.schedules import RATE_SCHEDULES, RateSchedule
from cmgems.masking.strategies import (
    Annealed,
    GeneMask,
    GlobalPMI,
    LossWeighted,
    PMISpans,
    RandomSpan,
    Uniform,
    UniformRate,
    has_own_rate,
    is_side_by_side,
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
    "PMISpans",
    "RandomSpan",
    "RankBy",
    "Ranks",
    "RateSchedule",
    "Strategy",
    "TokenBatch",
    "Uniform",
    "UniformRate",
    "corrupt",
    "has_own_rate",
    "is_side_by_side",
    "mask_batch",
    "micro_batches",
    "needs_ranks",
    "never_empty",
]

"""Pretraining data: masked batches from a genome store."""

from cmgems.pretraining.baselines import measure_baselines
from cmgems.pretraining.pipeline import FixedValidation, GenomeData, PretrainingData

__all__ = ["FixedValidation", "GenomeData", "PretrainingData", "measure_baselines"]

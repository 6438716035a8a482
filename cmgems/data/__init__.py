"""Feeding the models: masked pretraining batches from a genome store, labelled sequences for fine-tuning."""

from cmgems.data.labelled import LabelledConfig, LabelledSet, few_shot, labelled_batches, read_splits
from cmgems.data.pipeline import FixedValidation, GenomeData, PretrainingData

__all__ = [
    "FixedValidation",
    "GenomeData",
    "LabelledConfig",
    "LabelledSet",
    "PretrainingData",
    "few_shot",
    "labelled_batches",
    "read_splits",
]

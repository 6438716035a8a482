"""Using trained models: sequences of any length, predictions, vectors, base probabilities, variants, explanations.

``Model`` has it all as methods; the functions behind them take an ``Engine``, which is what it is made of.
"""

from cmgems.inference.attention import AttentionMaps, AttentionReader
from cmgems.inference.classify import base_logits, class_logits
from cmgems.inference.cutter import Cutter
from cmgems.inference.embed import Embedder, Pool, Vectors
from cmgems.inference.engine import Engine
from cmgems.inference.explain import ExplainedSequence
from cmgems.inference.labelled_variants import LabelledVariants, VariantResults
from cmgems.inference.model import Model
from cmgems.inference.occlusion import occlude
from cmgems.inference.predictions import Prediction, write_predictions
from cmgems.inference.pseudo_likelihood import (
    Score,
    base_probabilities,
    log_likelihoods,
    score_sequences,
    write_scores,
)
from cmgems.inference.sequences import (
    NamedSequence,
    iter_sequences,
    named_sequences,
    read_sequences,
    usable_sequences,
)
from cmgems.inference.source import Reading
from cmgems.inference.spread import hidden_rows, spread
from cmgems.inference.tables import check_table, write_vectors
from cmgems.inference.variant_labels import VariantLabels
from cmgems.inference.variant_table import read_variants
from cmgems.inference.variants import Allele, AlleleTotals, check_variants, score_alleles, write_variants
from cmgems.inference.vcf import Variant, read_vcf
from cmgems.inference.windows import Window, WindowMean, split

__all__ = [
    "Allele",
    "AlleleTotals",
    "AttentionMaps",
    "AttentionReader",
    "Cutter",
    "Embedder",
    "Engine",
    "ExplainedSequence",
    "LabelledVariants",
    "Model",
    "NamedSequence",
    "Pool",
    "Prediction",
    "Reading",
    "Score",
    "Variant",
    "VariantLabels",
    "VariantResults",
    "Vectors",
    "Window",
    "WindowMean",
    "base_logits",
    "base_probabilities",
    "check_table",
    "check_variants",
    "class_logits",
    "hidden_rows",
    "iter_sequences",
    "log_likelihoods",
    "named_sequences",
    "occlude",
    "read_sequences",
    "read_variants",
    "read_vcf",
    "score_alleles",
    "score_sequences",
    "split",
    "spread",
    "usable_sequences",
    "write_predictions",
    "write_scores",
    "write_variants",
    "write_vectors",
]

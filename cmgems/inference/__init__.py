"""Using trained models: sequences of any length, embeddings, base probabilities and variant scores."""

from cmgems.inference.attention import AttentionMaps, AttentionReader
from cmgems.inference.batches import Cutter
from cmgems.inference.classify import base_logits, class_logits
from cmgems.inference.embed import Embedder, Pool
from cmgems.inference.explain import BASE_COLUMNS, Answer, Explainer, base_rows
from cmgems.inference.occlusion import Occlusion
from cmgems.inference.predictions import base_cells, column_names, sequence_cells
from cmgems.inference.pseudo_likelihood import PseudoLikelihood, log_likelihoods
from cmgems.inference.sequences import Contigs, NamedSequence, check_sequences, read_sequences
from cmgems.inference.spread import hidden_rows, spread
from cmgems.inference.tables import check_table, open_table
from cmgems.inference.variants import Allele, check_variants, count_skipped, score_alleles
from cmgems.inference.vcf import Variant, read_vcf
from cmgems.inference.windows import Window, merge_means, split

__all__ = [
    "BASE_COLUMNS",
    "Allele",
    "Answer",
    "AttentionMaps",
    "AttentionReader",
    "Contigs",
    "Cutter",
    "Embedder",
    "Explainer",
    "NamedSequence",
    "Occlusion",
    "Pool",
    "PseudoLikelihood",
    "Variant",
    "Window",
    "base_cells",
    "base_logits",
    "base_rows",
    "check_sequences",
    "check_table",
    "check_variants",
    "class_logits",
    "column_names",
    "count_skipped",
    "hidden_rows",
    "log_likelihoods",
    "merge_means",
    "open_table",
    "read_sequences",
    "read_vcf",
    "score_alleles",
    "sequence_cells",
    "split",
    "spread",
]

"""What a model looks at: attention and importance of single bases, and the motifs in what it attends to."""

from cmgems.insight.attention import AttentionMaps, AttentionReader
from cmgems.insight.explain import Answer, Explainer
from cmgems.insight.importance import Masker
from cmgems.insight.meme import meme_text
from cmgems.insight.motifs import Motif, MotifConfig, Site, Word
from cmgems.insight.regions import high_bases
from cmgems.insight.search import find_motifs
from cmgems.insight.spread import hidden_rows, spread
from cmgems.insight.tables import BASE_COLUMNS, base_rows, motif_table, site_table

__all__ = [
    "BASE_COLUMNS",
    "Answer",
    "AttentionMaps",
    "AttentionReader",
    "Explainer",
    "Masker",
    "Motif",
    "MotifConfig",
    "Site",
    "Word",
    "base_rows",
    "find_motifs",
    "hidden_rows",
    "high_bases",
    "meme_text",
    "motif_table",
    "site_table",
    "spread",
]

"""Motifs: words enriched where a model looks, merged, as matrices and for MEME."""

from cmgems.motifs.discover import Discovery, discover_motifs
from cmgems.motifs.meme import meme_text
from cmgems.motifs.motif import Motif, MotifConfig, Site, Word
from cmgems.motifs.regions import high_bases
from cmgems.motifs.search import find_motifs
from cmgems.motifs.tables import motif_table, site_table

__all__ = [
    "Discovery",
    "Motif",
    "MotifConfig",
    "Site",
    "Word",
    "discover_motifs",
    "find_motifs",
    "high_bases",
    "meme_text",
    "motif_table",
    "site_table",
]

"""How strongly the bases of a k-mer go together: n-gram counts, PMI definitions and the ranked table."""

from cmgems.pmi.counts import count_ngrams
from cmgems.pmi.definitions import DEFINITIONS
from cmgems.pmi.table import PMITable

__all__ = ["DEFINITIONS", "PMITable", "count_ngrams"]

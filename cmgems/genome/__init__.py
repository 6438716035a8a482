"""Genomes: codes, FASTA reading, the on-disk store, held-out splits and training windows."""

from cmgems.genome.aliases import read_aliases
from cmgems.genome.alphabet import AMBIGUOUS, BASES, decode, encode, reverse_complement
from cmgems.genome.contigs import Contigs
from cmgems.genome.fasta import FastaRecord, read_fasta
from cmgems.genome.kernels import gather, turn_rows
from cmgems.genome.letters import check_sequence, checked_codes
from cmgems.genome.splits import Split, split_runs
from cmgems.genome.store import GenomeStore, store_content
from cmgems.genome.windows import SAMPLERS, GeneMaskSampler, Sampler, TiledSampler

__all__ = [
    "AMBIGUOUS",
    "BASES",
    "SAMPLERS",
    "Contigs",
    "FastaRecord",
    "GeneMaskSampler",
    "GenomeStore",
    "Sampler",
    "Split",
    "TiledSampler",
    "check_sequence",
    "checked_codes",
    "decode",
    "encode",
    "gather",
    "read_aliases",
    "read_fasta",
    "reverse_complement",
    "split_runs",
    "store_content",
    "turn_rows",
]

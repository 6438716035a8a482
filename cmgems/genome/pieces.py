"""Short pieces of a genome to look at or to measure on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from cmgems.errors import DataError
from cmgems.genome.alphabet import AMBIGUOUS, Codes, encode
from cmgems.genome.fasta import FastaRecord, read_fasta
from cmgems.genome.letters import foreign_letter
from cmgems.genome.store import GenomeStore, maximal_runs
from cmgems.genome.windows import TiledSampler

NamedCodes = tuple[str, Codes]


def named_codes(sequences: str | Sequence[str | NamedCodes]) -> list[NamedCodes]:
    """A sequence or several, as strings or ``(name, codes)``, with their names; strings get "sequence 1" and so on.

    Raises:
        DataError: if one holds another letter than A, C, G, T and the IUPAC codes, or none holds A, C, G or T.
    """
    named: list[NamedCodes] = []
    for number, item in enumerate([sequences] if isinstance(sequences, str) else sequences, 1):
        name = f"sequence {number}"
        if isinstance(item, str) and (problem := foreign_letter(item.encode(), name)):
            fix = f"{problem.fix}; a file is given as a Path"
            raise DataError(problem.what, where=problem.where, why=problem.why, fix=fix)
        named.append((name, encode(item.encode())) if isinstance(item, str) else item)
    if not any((codes < 4).any() for _, codes in named):
        raise DataError("no A, C, G or T", where="sequences", fix="give sequences of DNA")
    return named


def first_pieces(fasta: Path, max_bp: int, count: int) -> list[NamedCodes]:
    """The beginnings of the first ``count`` sequences that hold bases; if only one does, its first pieces.

    Args:
        fasta: FASTA file, plain or compressed.
        max_bp: Length of a piece, at most (bp).
        count: Number of pieces, at most.

    Returns:
        ``(name:start-end, codes uint8[L])`` of each, positions from 1.

    Raises:
        DataError: if the file is not FASTA, or holds no A, C, G or T.
    """

    def pieces(record: FastaRecord) -> Iterator[NamedCodes]:
        for start in range(0, len(record.sequence), max_bp):
            codes = encode(record.sequence[start : start + max_bp])
            if (codes < 4).any():
                yield f"{record.name}:{start + 1}-{start + len(codes)}", codes

    of_each = (list(islice(pieces(record), count)) for record in read_fasta(fasta))
    found = list(islice(filter(None, of_each), count))
    if not found:
        raise DataError("no A, C, G or T", where=fasta, fix="give a FASTA file of DNA")
    return found[0] if len(found) == 1 else [pieces_of_one[0] for pieces_of_one in found]


def random_windows(
    source: Path | Sequence[NamedCodes], count: int, *, min_bp: int, max_bp: int, seed: int
) -> list[Codes]:
    """``count`` windows without N, or all there are, in random order.

    Args:
        source: Folder of a genome store, FASTA file, or sequences.
        count: Number of windows, at most.
        min_bp, max_bp: Length of a window (bp).
        seed: Decides which windows.

    Returns:
        Codes, uint8[L] each.

    Raises:
        DataError: if the source cannot be read, or has no window.
    """
    if isinstance(source, Path) and source.is_dir():
        store = GenomeStore.open(source)
        starts_N, lengths_N = TiledSampler(max_bp, min_bp).windows(store, store.runs, seed, 0)
        chosen = zip(starts_N[:count], lengths_N[:count], strict=True)
        windows = [store.codes[start : start + length] for start, length in chosen]
    else:
        if isinstance(source, Path):
            every = _tiles((encode(record.sequence) for record in read_fasta(source)), min_bp, max_bp)
        else:
            every = _tiles((codes for _, codes in source), min_bp, max_bp)
        windows = [every[i] for i in np.random.default_rng(seed).permutation(len(every))[:count]]
    if not windows:
        where = source if isinstance(source, Path) else "sequences"
        raise DataError(f"no stretch of {min_bp} bases A, C, G, T", where=where, fix="give more sequence")
    return windows


def _tiles(sequences: Iterable[Codes], min_bp: int, max_bp: int) -> list[Codes]:
    """The stretches without N of all sequences, cut into windows of ``max_bp``; shorter than ``min_bp`` is left out."""
    found: list[Codes] = []
    for codes in sequences:
        for first, end in maximal_runs(codes != AMBIGUOUS, np.empty(0, np.int64)):
            run = codes[first:end]
            found += [run[start : start + max_bp] for start in range(0, len(run), max_bp)]
    return [codes for codes in found if len(codes) >= min_bp]

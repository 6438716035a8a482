"""Motifs: what the high-attention regions of positive sequences have in common and negative ones have not.

The procedure of DNABERT (Ji et al. 2021, doi 10.1093/bioinformatics/btab083): stretches of high attention, a
hypergeometric test of what is in them against the negatives, alignment of what is alike, and a window around each
instance. docs/explain.md says where this departs from the released code.

Shape suffixes: L flat bases of both sets, N candidate words, W bases of a motif's window, 4 = A, T, C, G.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cmgems.errors import DataError
from cmgems.genome import AMBIGUOUS, reverse_complement
from cmgems.genome.alphabet import Codes, other_strand
from cmgems.inference.spread import Values
from cmgems.motifs.enrichment import (
    Integers,
    Mask,
    TwoSets,
    benjamini_hochberg,
    hypergeometric,
    number_of,
    words,
)
from cmgems.motifs.motif import Motif, MotifConfig, Site, Word
from cmgems.motifs.regions import high_bases
from cmgems.pmi.definitions import kmer


def find_motifs(
    positives: Sequence[Codes], negatives: Sequence[Codes], signals: Sequence[Values], config: MotifConfig
) -> list[Motif]:
    """The motifs of the positive sequences, best first.

    The most enriched word and those that align with it are a motif; its occurrences are then cut out of both sets and
    the rest is tested again, so that what comes next is enriched beyond what was found.

    Args:
        positives: Base codes of each.
        negatives: Of each sequence to compare with.
        signals: Attention or importance of each positive's bases.
        config: How to search.

    Raises:
        DataError: if a set is empty, or no positive has a stretch of high signal long enough.
    """
    if not positives or not negatives:
        raise DataError("motifs need two sets", why=f"{len(positives)} positives, {len(negatives)} negatives")
    sets = TwoSets.of(positives, negatives, gap=config.window)
    high_L = _high_words(signals, len(sets.codes_L), config)
    if not high_L.any():
        raise DataError(
            "no region of high signal",
            where="positives",
            why=f"no sequence has {config.min_bp} bases in a row above its mean",
            fix="lower --min-bp, or try another --layer",
        )
    whole = sets
    found: list[Motif] = []
    while len(found) < config.top:
        words_L = words(sets.codes_L, config.width, config.both_strands)
        aligned, tested = _best_words(sets, words_L, high_L, config)
        if not aligned:
            break
        held_L = np.isin(words_L, [member.number for member in aligned])
        sites, codes_IW = _sites(whole, words_L, held_L & high_L, aligned, config)
        if len(sites) >= config.min_sequences:
            owners = np.unique(sets.sequence_L[held_L])
            inside = int((owners < sets.positives).sum())
            best_words = tuple(member.word for member in aligned)
            found.append(Motif(best_words, inside, len(owners) - inside, tested, sites, codes_IW))
        rest_L = sets.codes_L.copy()
        rest_L[(np.flatnonzero(held_L)[:, None] + np.arange(config.width)).ravel()] = AMBIGUOUS
        sets = replace(sets, codes_L=rest_L)
    return found


@dataclass(frozen=True)
class _Aligned:
    """A word of a motif.

    Attributes:
        number: The word that is counted.
        word: What is told of it, in the motif's direction.
        offset: Where it starts in the motif's best word (bp).
        turned: Whether the motif holds its reverse complement.
    """

    number: int
    word: Word
    offset: int
    turned: bool


def _high_words(signals: Sequence[Values], length: int, config: MotifConfig) -> Mask:
    """Where words start that share enough with regions of high signal, bool (L,); the positives come first."""
    high_L = np.zeros(length, np.bool_)
    start = 0
    for signal_L in signals:
        if len(signal_L) >= config.width:
            high = high_bases(signal_L, config.min_bp)
            shared = sliding_window_view(high, config.width).sum(1) >= config.min_bp
            high_L[start : start + len(shared)] = shared
        start += len(signal_L) + config.window
    return high_L


def _best_words(
    sets: TwoSets, words_L: Integers, high_L: Mask, config: MotifConfig
) -> tuple[list[_Aligned], int]:
    """The most enriched word and the enriched ones that align with it, best first, and how many were tested."""
    total = sets.presence(words_L, config.width, only_positives=False)
    in_positives = sets.presence(words_L, config.width, only_positives=True)
    numbers_N = np.unique(words_L[high_L])
    numbers_N = numbers_N[numbers_N >= 0]
    # By the total, which says nothing about the label: dropping words with few positives would bend the test.
    numbers_N = numbers_N[total[numbers_N] >= config.min_sequences]
    if not len(numbers_N):
        return [], 0
    p_N = hypergeometric(in_positives[numbers_N], total[numbers_N], sets.positives, sets.negatives)
    corrected_N = benjamini_hochberg(p_N)
    order = [i for i in np.lexsort((-in_positives[numbers_N], p_N)) if corrected_N[i] < config.cutoff]
    best = kmer(int(numbers_N[order[0]]), config.width) if order else ""
    aligned: list[_Aligned] = []
    for i in order:
        number = int(numbers_N[i])
        text = kmer(number, config.width)
        if alignment := align(best, text, config.both_strands):
            turned, offset = alignment
            count = int(in_positives[number])
            bases = other_strand(text) if turned else text
            word = Word(bases, count, int(total[number]) - count, float(p_N[i]), float(corrected_N[i]))
            aligned.append(_Aligned(number, word, offset, turned))
    return aligned, len(numbers_N)


def align(best: str, text: str, both_strands: bool) -> tuple[bool, int] | None:
    """Whether a word is turned and where it starts in the best one (bp), aligned without gaps; None if they differ.

    All bases but one must agree: one is another, or the word is shifted by one.
    """
    for turned in (False, True)[: 1 + both_strands]:
        bases = other_strand(text) if turned else text
        if sum(a == b for a, b in zip(best, bases, strict=True)) >= len(best) - 1:
            return turned, 0
        if best[1:] == bases[:-1]:
            return turned, 1
        if best[:-1] == bases[1:]:
            return turned, -1
    return None


def _sites(
    sets: TwoSets, words_L: Integers, held_L: Mask, aligned: Sequence[_Aligned], config: MotifConfig
) -> tuple[tuple[Site, ...], Codes]:
    """The windows around the words at ``held_L`` and their bases uint8 (sites, W)."""
    ranks = {member.number: rank for rank, member in enumerate(aligned)}
    before = (config.window - config.width) // 2
    after = config.window - config.width - before
    # A sequence is followed by a window of unknown bases; the first is preceded by them too.
    padded_L = np.concatenate([np.full(config.window, AMBIGUOUS, np.uint8), sets.codes_L])
    firsts = np.searchsorted(sets.sequence_L, np.arange(sets.positives))
    taken_L = np.zeros(len(padded_L), np.bool_)
    found: list[tuple[Site, Codes]] = []
    # Best words first: a shifted one of the same place must not take it.
    for at in sorted(np.flatnonzero(held_L).tolist(), key=lambda at: ranks[int(words_L[at])]):
        member = aligned[ranks[int(words_L[at])]]
        as_counted = int(number_of(sets.codes_L[None, at : at + config.width])[0]) == member.number
        forward = as_counted != member.turned
        start = config.window + (at - member.offset if forward else at + member.offset)
        if taken_L[start : start + config.width].any():
            continue
        taken_L[start : start + config.width] = True
        start -= before if forward else after
        codes_W = padded_L[start : start + config.window]
        sequence = int(sets.sequence_L[at])
        site = Site(sequence, start - config.window - int(firsts[sequence]), "+" if forward else "-")
        found.append((site, codes_W if forward else reverse_complement(codes_W)))
    found.sort(key=lambda pair: (pair[0].sequence, pair[0].start))
    codes_IW = (
        np.stack([codes_W for _, codes_W in found]) if found else np.empty((0, config.window), np.uint8)
    )
    return tuple(site for site, _ in found), codes_IW

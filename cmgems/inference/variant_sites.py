"""What the place of a variant says without a model: its GC content, whether it is a CpG site, its trinucleotide."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmgems.genome import AMBIGUOUS, Contigs, encode
from cmgems.genome.alphabet import COMPLEMENT
from cmgems.inference.variants import Allele
from cmgems.pmi import count_ngrams

REACH_BP = 250  # of the window of the GC content, to either side
C, G = (int(code) for code in encode(b"CG"))


@dataclass(frozen=True)
class Site:
    """The place of one changed base.

    Attributes:
        gc: Share of G and C among the known bases up to 250 bp to either side.
        cpg: Whether the reference base is the C or the G of a CG.
        trinucleotide: log of how often the genome has the alternative between the two neighbours, over how often
            the reference, on both strands (nats); 0 if a neighbour is unknown. In balance it is the log of the
            ratio of the two mutation rates, there and back.
    """

    gc: float
    cpg: bool
    trinucleotide: float


@dataclass(frozen=True, eq=False)
class Sites:
    """Looks up places in a genome.

    Attributes:
        contigs: The genome.
        counts_444: int64, how often it has each trinucleotide, on both strands.
    """

    contigs: Contigs
    counts_444: npt.NDArray[np.int64]

    @classmethod
    def of(cls, contigs: Contigs) -> Sites:
        """Count the trinucleotides of a genome."""
        forward_444 = count_ngrams(contigs.store, 3)[3].reshape(4, 4, 4)
        backward_444 = forward_444.transpose(2, 1, 0)[np.ix_(COMPLEMENT, COMPLEMENT, COMPLEMENT)]
        return cls(contigs, forward_444 + backward_444)

    def site(self, allele: Allele) -> Site:
        """The place of an allele that has one changed base."""
        codes = self.contigs.find(allele.variant.contig, allele.variant.where)
        place = allele.variant.position - 1 + allele.offset
        first = max(place - REACH_BP, 0)
        window = np.asarray(codes[first : place + REACH_BP + 1])  # a plain array: memmap's own is slow
        known = int(np.count_nonzero(window != AMBIGUOUS))
        gc = int(np.count_nonzero((window == C) | (window == G))) / max(known, 1)
        at = place - first
        before = int(window[at - 1]) if at else AMBIGUOUS
        after = int(window[at + 1]) if at + 1 < len(window) else AMBIGUOUS
        changed = allele.variant.ref[allele.offset] + allele.alt[allele.offset]
        ref, alt = encode(changed.encode()).tolist()
        cpg = (ref == C and after == G) or (ref == G and before == C)
        if AMBIGUOUS in (before, after):
            return Site(gc, cpg, 0.0)
        there, here = (self.counts_444[before, base, after] + 1 for base in (alt, ref))
        return Site(gc, cpg, math.log(there / here))

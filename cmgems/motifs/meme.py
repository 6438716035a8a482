"""MEME's minimal motif format, which TOMTOM, FIMO and their kin read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmgems.genome import BASES
from cmgems.genome.alphabet import Codes
from cmgems.motifs.motif import Motif

MEME_ORDER = "ACGT"


def meme_text(motifs: Sequence[Motif], background: Sequence[Codes], both_strands: bool) -> str:
    """The motifs in MEME's minimal format, version 4.

    Args:
        motifs: Best first. E is the p-value of the best word times the number of words tested: how many such words
            chance would be expected to bring.
        background: Sequences whose composition is written as the background's.
        both_strands: Whether sites were looked for on both.
    """
    order = [BASES.index(base) for base in MEME_ORDER]
    counts_4 = sum((np.bincount(codes[codes < 4], minlength=4) for codes in background), np.zeros(4))
    if not counts_4.any():  # nothing is known of it
        counts_4 = np.ones(4)
    shares_4 = (counts_4 / counts_4.sum())[order]
    composition = " ".join(f"{b} {p:.4f}" for b, p in zip(MEME_ORDER, shares_4, strict=True))
    lines = [
        "MEME version 4",
        "",
        f"ALPHABET= {MEME_ORDER}",
        "",
        f"strands: {'+ -' if both_strands else '+'}",
        "",
        "Background letter frequencies",
        composition,
        "",
    ]
    for number, motif in enumerate(motifs, start=1):
        expected = motif.words[0].p * motif.tested
        width = motif.codes_IW.shape[1]
        lines += [
            f"MOTIF motif_{number} {motif.consensus}",
            f"letter-probability matrix: alength= 4 w= {width} nsites= {len(motif.sites)} E= {expected:.2e}",
            *(" " + "  ".join(f"{p:.6f}" for p in row_4) for row_4 in motif.shares[:, order]),
            "",
        ]
    return "\n".join(lines)

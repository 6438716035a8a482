"""A synthetic genome with planted structure, for the demo and for tests without a download.

It has what makes real vertebrate DNA worth learning: domains of different GC content, CpG depletion and CpG
islands, families of interspersed repeats, microsatellites, and promoters with TATA box, initiator and GC
boxes. Every contig has a generator of its own, so it does not depend on the number of contigs.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.files import write_bytes, write_text
from cmgems.genome.alphabet import AMBIGUOUS, Codes, decode, encode, reverse_complement
from cmgems.genome.layout import Positions

CONTIG_BP = 500_000
MIN_BASES = 20_000
WINDOW_BP = 300
TSS_IN_WINDOW = 249  # a promoter window holds 249 bp before the transcription start site and 50 bp after it
BP_A_PROMOTER = 3_000
BP_AN_ISLAND = 8_000
REPEAT_SHARE = 0.4
REPEAT_FAMILIES = 8
LABELLED_ROWS = {"train": 2000, "dev": 400, "test": 400}
UNKNOWN_ROWS = 8
HELD_OUT_CONTIG = 1_000_000  # number of the first contig that is never in the FASTA file

_A, _T, _C, _G = range(4)


@dataclass(frozen=True, eq=False)
class SimulatedGenome:
    """A synthetic genome.

    Attributes:
        names: Contig names.
        codes: uint8[L] of each contig; 255 is N.
        tss: int64[P] of each contig, sorted: 0-based transcription start sites.
        strands: int8[P] of each contig: 1, or -1 where the promoter is on the other strand.
        soft_masked: bool[L] of each contig: lies in a repeat.
        islands: int64[I, 2] of each contig: CpG islands ``[start, end)``.
    """

    names: tuple[str, ...]
    codes: tuple[Codes, ...]
    tss: tuple[Positions, ...]
    strands: tuple[npt.NDArray[np.int8], ...]
    soft_masked: tuple[npt.NDArray[np.bool_], ...]
    islands: tuple[Positions, ...]


@dataclass(frozen=True)
class DemoData:
    """Files written by ``write_demo_data``.

    Attributes:
        genome: FASTA, gzipped.
        promoters: Folder with train.csv, dev.csv and test.csv (``sequence,label``), as in GUE.
        unknown: FASTA with the first sequences of test.csv, to predict; their names say the label.
    """

    genome: Path
    promoters: Path
    unknown: Path


def simulate(bases: int, seed: int) -> SimulatedGenome:
    """Draw a genome of ``bases`` bp in contigs of about 500 kbp, at least two; a pure function.

    Raises:
        CmgemsError: if ``bases`` is below 20,000.
    """
    if bases < MIN_BASES:
        raise CmgemsError(f"`bases` must be at least {MIN_BASES:,}, but is {bases:,}")
    count = max(2, round(bases / CONTIG_BP))
    borders = np.linspace(0, bases, count + 1).astype(np.int64)
    return _genome([(number, int(bp)) for number, bp in enumerate(np.diff(borders))], seed)


def write_demo_data(folder: Path, bases: int = 2_000_000, seed: int = 0) -> DemoData:
    """Write a synthetic genome and a labelled promoter set that shares no window with it.

    The set has 300 bp windows: half of them (label 1) with a transcription start site at index 249, read in
    its direction, the others with no part of a promoter. They come from contigs that are not in the
    FASTA file but have the same repeat families and composition.

    Returns:
        The paths: ``folder/genome.fa.gz``, ``folder/promoters`` and ``folder/unknown.fa``.
    """
    data = DemoData(folder / "genome.fa.gz", folder / "promoters", folder / "unknown.fa")
    genome = simulate(bases, seed)
    fasta = "".join(
        f">{name} simulated by cmgems, seed {seed}\n{_wrapped(_soft_masked_text(codes, masked))}"
        for name, codes, masked in zip(genome.names, genome.codes, genome.soft_masked, strict=True)
    )
    write_bytes(data.genome, gzip.compress(fasta.encode(), compresslevel=6, mtime=0))

    rows = _labelled_rows(sum(LABELLED_ROWS.values()), seed)
    for name, count in LABELLED_ROWS.items():
        lines, rows = rows[:count], rows[count:]
        text = "".join(f"{sequence},{label}\n" for sequence, label in lines)
        write_text(data.promoters / f"{name}.csv", "sequence,label\n" + text)
        if name == "test":
            few = enumerate(lines[:UNKNOWN_ROWS], 1)
            records = (f">window{number} labelled {label}\n{sequence}\n" for number, (sequence, label) in few)
            write_text(data.unknown, "".join(records))
    return data


def _labelled_rows(count: int, seed: int) -> list[tuple[str, int]]:
    """``count`` rows in random order, half of them promoters."""
    contigs = 1 + count * BP_A_PROMOTER // 2 // CONTIG_BP * 5 // 4
    genome = _genome([(HELD_OUT_CONTIG + number, CONTIG_BP) for number in range(contigs)], seed)
    windows: dict[int, list[Codes]] = {1: [], 0: []}
    for codes, tss, strands in zip(genome.codes, genome.tss, genome.strands, strict=True):
        starts = _promoter_starts(tss, strands)
        used = np.concatenate([[0], np.cumsum(_covered(starts, len(codes)) | (codes == AMBIGUOUS))])
        for start, strand in zip(starts, strands, strict=True):
            window = codes[start : start + WINDOW_BP]
            windows[1].append(window if strand > 0 else reverse_complement(window))
        # On a grid, so that no two windows overlap: the same bases must not be both in train and in test.
        grid = np.arange(0, len(codes) - WINDOW_BP, WINDOW_BP)
        free = grid[used[grid + WINDOW_BP] == used[grid]]
        windows[0].extend(codes[start : start + WINDOW_BP] for start in free)

    rng = _generator(seed, HELD_OUT_CONTIG - 1)
    rows = [
        (decode(windows[label][i]), label)
        for label in (1, 0)
        for i in rng.permutation(len(windows[label]))[: count // 2]
    ]
    return [rows[i] for i in rng.permutation(len(rows))]


def _promoter_starts(tss: Positions, strands: npt.NDArray[np.int8]) -> Positions:
    """First base of each promoter's window on the forward strand."""
    return tss - _tss_in_window(strands)


def _tss_in_window(strands: npt.NDArray[np.int8]) -> Positions:
    return np.where(strands > 0, TSS_IN_WINDOW, WINDOW_BP - 1 - TSS_IN_WINDOW)


def _covered(starts: Positions, bases: int) -> npt.NDArray[np.bool_]:
    covered = np.zeros(bases, dtype=np.bool_)
    covered[starts[:, None] + np.arange(WINDOW_BP)] = True
    return covered


def _soft_masked_text(codes: Codes, masked: npt.NDArray[np.bool_]) -> str:
    letters = np.frombuffer(decode(codes).encode(), dtype=np.uint8)
    return (letters + 32 * masked.astype(np.uint8)).tobytes().decode("ascii")


def _wrapped(text: str, width: int = 60) -> str:
    return "".join(text[i : i + width] + "\n" for i in range(0, len(text), width))


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=np.array([seed, stream], dtype=np.uint64)))


def _genome(contigs: list[tuple[int, int]], seed: int) -> SimulatedGenome:
    rng = _generator(seed, HELD_OUT_CONTIG - 2)
    families = [
        _bases(rng, np.full(rng.integers(300, 1500), rng.uniform(0.38, 0.55))) for _ in range(REPEAT_FAMILIES)
    ]
    made = [_contig(_generator(seed, number), bp, families) for number, bp in contigs]
    codes, tss, strands, masked, islands = zip(*made, strict=True)
    names = tuple(f"synthetic{number + 1}" for number, _ in contigs)
    return SimulatedGenome(names, codes, tss, strands, masked, islands)


def _contig(
    rng: np.random.Generator, bases: int, families: list[Codes]
) -> tuple[Codes, Positions, npt.NDArray[np.int8], npt.NDArray[np.bool_], Positions]:
    codes = _deplete_cpg(rng, _bases(rng, _isochores(rng, bases)), 0.75)
    masked = _add_repeats(rng, codes, families)
    _add_microsatellites(rng, codes, masked)
    islands = _add_islands(rng, codes, masked)
    tss, strands = _add_promoters(rng, codes, masked, islands)
    _add_gaps(codes, masked, tss, strands)
    return codes, tss, strands, masked, islands


def _isochores(rng: np.random.Generator, bases: int) -> npt.NDArray[np.float64]:
    """GC content at each position: domains of 50 to 200 kbp."""
    lengths = rng.integers(50_000, 200_001, bases // 50_000 + 1)
    gc: npt.NDArray[np.float64] = np.repeat(rng.uniform(0.36, 0.56, len(lengths)), lengths)[:bases]
    return gc


def _bases(rng: np.random.Generator, gc: npt.NDArray[np.float64]) -> Codes:
    """Bases of the given GC content, one in eight a copy of the one before: a first-order Markov chain."""
    drawn = (2 * (rng.random(len(gc)) < gc) + rng.integers(0, 2, len(gc))).astype(np.uint8)
    own = rng.random(len(gc)) >= 1 / 8
    own[:1] = True
    return drawn[np.maximum.accumulate(np.where(own, np.arange(len(gc)), 0))]


def _deplete_cpg(rng: np.random.Generator, codes: Codes, share: float) -> Codes:
    """Deaminate ``share`` of the CpGs, on either strand alike: CG becomes TG or CA."""
    sites = np.flatnonzero((codes[:-1] == _C) & (codes[1:] == _G))
    sites = sites[rng.random(len(sites)) < share]
    forward = rng.random(len(sites)) < 0.5
    codes[sites[forward]] = _T
    codes[sites[~forward] + 1] = _A
    return codes


def _add_repeats(rng: np.random.Generator, codes: Codes, families: list[Codes]) -> npt.NDArray[np.bool_]:
    """Write old copies of the families: cut at the 5' end, mutated by 5 to 20 %, on either strand."""
    masked = np.zeros(len(codes), dtype=np.bool_)
    target = REPEAT_SHARE * len(codes)
    while target > 0:
        family = families[rng.integers(len(families))]
        copy = family[-int(len(family) * rng.uniform(0.2, 1.0)) :].copy()
        mutated = rng.random(len(copy)) < rng.uniform(0.05, 0.20)
        copy[mutated] = rng.integers(0, 4, np.count_nonzero(mutated))
        start = rng.integers(max(1, len(codes) - len(copy)))
        place = slice(start, start + len(copy))
        if not masked[place].any():
            codes[place] = (copy if rng.random() < 0.5 else reverse_complement(copy))[: len(codes) - start]
            masked[place] = True
            target -= len(copy)
    return masked


def _add_microsatellites(rng: np.random.Generator, codes: Codes, masked: npt.NDArray[np.bool_]) -> None:
    for start in rng.integers(0, len(codes), len(codes) // 5_000):
        unit = rng.integers(0, 4, rng.integers(1, 5)).astype(np.uint8)
        place = slice(start, min(start + int(rng.integers(20, 61)), len(codes)))
        codes[place] = np.resize(unit, place.stop - place.start)
        masked[place] = True


def _add_islands(rng: np.random.Generator, codes: Codes, masked: npt.NDArray[np.bool_]) -> Positions:
    """CpG islands: 500 to 2000 bp, GC content 0.65, as many CpGs as chance would make."""
    spacing = len(codes) / max(1, len(codes) // BP_AN_ISLAND)
    firsts = np.arange(0, len(codes) - 3_000, spacing)
    starts = (firsts + rng.uniform(0, spacing - 2_000, len(firsts))).astype(np.int64)
    ends = np.minimum(starts + rng.integers(500, 2_001, len(starts)), len(codes))
    for start, end in zip(starts, ends, strict=True):
        codes[start:end] = _bases(rng, np.full(end - start, 0.65))
        masked[start:end] = False
    return np.stack([starts, ends], axis=1)


def _add_promoters(
    rng: np.random.Generator, codes: Codes, masked: npt.NDArray[np.bool_], islands: Positions
) -> tuple[Positions, npt.NDArray[np.int8]]:
    """Write promoters into free places, about half of them inside islands."""
    count = len(codes) // BP_A_PROMOTER
    chosen = islands[rng.integers(len(islands), size=int(0.7 * count))]  # some will not fit
    within = chosen[:, 0] + rng.integers(0, np.maximum(1, chosen[:, 1] - chosen[:, 0] - WINDOW_BP))
    anywhere = rng.integers(0, max(1, len(codes) - WINDOW_BP), 5 * count)
    taken = np.zeros(len(codes), dtype=np.bool_)
    starts: list[int] = []
    for start in np.concatenate([within, anywhere]).tolist():
        place = slice(start, start + WINDOW_BP)
        if (
            len(starts) == count
            or start + WINDOW_BP > len(codes)
            or taken[place].any()
            or masked[place].any()
        ):
            continue
        starts.append(start)
        taken[place] = True
    strands = np.where(rng.random(len(starts)) < 0.5, 1, -1).astype(np.int8)
    for start, strand in zip(starts, strands, strict=True):
        window = codes[start : start + WINDOW_BP]
        oriented = window.copy() if strand > 0 else reverse_complement(window)
        _write_core(rng, oriented)
        codes[start : start + WINDOW_BP] = oriented if strand > 0 else reverse_complement(oriented)
    order = np.argsort(starts)
    placed, strands = np.array(starts, dtype=np.int64)[order], strands[order]
    return placed + _tss_in_window(strands), strands


def _write_core(rng: np.random.Generator, window: Codes) -> None:
    """Plant the motifs of a promoter around index 249, each with some probability."""

    def plant(position: int, motifs: tuple[bytes, ...], probability: float) -> None:
        if rng.random() < probability:
            motif = encode(motifs[rng.integers(len(motifs))])
            window[position : position + len(motif)] = motif

    jitter = int(rng.integers(-2, 3))
    plant(TSS_IN_WINDOW - 31 + jitter, (b"TATAAA", b"TATAAA", b"TATATA", b"TATAAG", b"CATAAA"), 0.7)
    plant(TSS_IN_WINDOW - 2, (b"TCAGTT", b"CCACTT", b"TCATTC", b"CCAGTC", b"CTAGTT"), 0.8)  # YYANWYY, cut
    for _ in range(rng.integers(1, 4)):
        plant(int(rng.integers(TSS_IN_WINDOW - 150, TSS_IN_WINDOW - 45)), (b"GGGCGG", b"CCGCCC"), 0.7)


def _add_gaps(
    codes: Codes, masked: npt.NDArray[np.bool_], tss: Positions, strands: npt.NDArray[np.int8]
) -> None:
    """Runs of N: both ends of the contig, and one in the middle of the longest stretch without a promoter."""
    end = min(100, len(codes) // 10)
    free = np.concatenate([[0], tss, [len(codes)]])
    widest = int(np.argmax(np.diff(free)))
    middle = int(free[widest] + free[widest + 1]) // 2
    keep = _covered(_promoter_starts(tss, strands), len(codes))
    for place in (slice(0, end), slice(middle - end, middle + end), slice(len(codes) - end, None)):
        if not keep[place].any():
            codes[place] = AMBIGUOUS
            masked[place] = False

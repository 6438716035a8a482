"""The genome store: FASTA read once into one flat file of 1-byte codes, which is memory-mapped from then on.

A store is a folder:

- ``codes.bin``: one code a base (A, T, C, G = 0..3, anything else 255), contigs one after another.
- ``index.json``: contig names and lengths, valid runs, counts, checksum, version.
- ``soft_masked.npy``: int64[., 2] runs of lower-case bases, only if asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from cmgems import __version__
from cmgems.errors import CmgemsError, DataError
from cmgems.files import atomic_folder, check_new, is_there, sha256_of
from cmgems.genome.alphabet import AMBIGUOUS, Codes, encode
from cmgems.genome.fasta import read_fasta
from cmgems.genome.layout import Positions, read_layout
from cmgems.progress import progress
from cmgems.reading import compression_of

FORMAT = "cmgems-genome"
FORMAT_VERSION = 1
SOFT_MASKED = "soft_masked.npy"
SLICE_BASES = 1 << 20  # a slice and its temporary arrays fit into the processor's cache
BUILD_FIX = "make one with: cmgems genome build GENOME.fa -o STORE"


@dataclass(frozen=True, eq=False)
class GenomeStore:
    """A genome on disk.

    Attributes:
        folder: Where it is.
        codes: uint8[bases], memory-mapped, read-only; 255 is an ambiguous base.
        names: Contig names, in the order of the FASTA files.
        offsets: int64[contigs + 1]; contig i is ``codes[offsets[i]:offsets[i + 1]]`` (bp).
        runs: int64[R, 2], ``[start, end)`` of the maximal stretches of A, C, G, T, in flat coordinates (bp).
            None spans a contig's end.
        sha256: Of ``codes.bin``, in hexadecimal.
        ambiguous: How often each letter other than A, C, G, T occurred.
        gc: Number of G and C.
        sources: Name and size in bytes of each FASTA file.
        soft_masked_runs: int64[., 2] stretches of lower-case letters, or None if they were not kept.
    """

    folder: Path
    codes: Codes
    names: list[str]
    offsets: Positions
    runs: Positions
    sha256: str
    ambiguous: dict[str, int]
    gc: int
    sources: list[dict[str, Any]]
    soft_masked_runs: Positions | None

    @classmethod
    def open(cls, folder: str | Path) -> GenomeStore:
        """Open the store in ``folder``; checks format and sizes, not the checksum (see ``verify``).

        Raises:
            DataError: if it is not a genome store, of another format version, or damaged.
        """
        folder = Path(folder)
        index = _read_index(folder)
        try:
            size = (folder / "codes.bin").stat().st_size
            offsets, runs = read_layout(index, size)
            soft = _soft_masked(folder, size) if index["soft_mask"] else None
            return cls(
                folder=folder,
                codes=np.memmap(folder / "codes.bin", dtype=np.uint8, mode="r"),
                names=index["names"],
                offsets=offsets,
                runs=runs,
                sha256=index["sha256"],
                ambiguous=index["ambiguous"],
                gc=index["gc"],
                sources=index["sources"],
                soft_masked_runs=soft,
            )
        except OSError as error:
            raise _unreadable(error, folder) from error
        except (KeyError, ValueError) as error:
            why = f"index.json has no {error}" if isinstance(error, KeyError) else str(error)
            raise DataError("damaged genome store", where=folder, why=why, fix="build it again") from error

    @classmethod
    def build(
        cls,
        fastas: str | Path | Sequence[str | Path],
        folder: str | Path,
        *,
        prefixes: Sequence[str] = (),
        soft_mask: bool = False,
        force: bool = False,
    ) -> GenomeStore:
        """Read FASTA files into a new store, and open it. Memory is bounded by the longest contig.

        Args:
            fastas: One FASTA file or several, plain or compressed; all contig names must differ.
            prefixes: One for each file, put before the names of its contigs, so that several species go into one store.
            folder: The store to make. It appears only when it is whole.
            soft_mask: Keep the stretches of lower-case letters as ``soft_masked_runs``.
            force: Replace the store in ``folder``, if there is one.

        Raises:
            DataError: if an input is not clean DNA FASTA, two contigs share a name, or ``force`` would replace a
                folder that is not a store.
            CmgemsError: if ``folder`` exists and ``force`` is not set, or prefixes and files differ in number.
        """
        paths = [Path(fasta) for fasta in ([fastas] if isinstance(fastas, str | Path) else fastas)]
        folder = Path(folder)
        if prefixes and len(prefixes) != len(paths):
            why = f"there are {len(prefixes)} for {len(paths)} FASTA files"
            raise CmgemsError("`prefixes` do not fit", why=why, fix="give one for each file (--prefix)")
        if unfit := [prefix for prefix in prefixes if prefix != "".join(prefix.split())]:
            why = f"{unfit[0]!r} holds white space"
            raise CmgemsError("`prefixes` do not fit", why=why, fix="leave it out (--prefix)")
        check_new(folder, force=force)
        replace = folder.exists()
        if replace:
            # Stores may be replaced, damaged ones and those of other versions too; any other folder may not.
            _read_any_index(folder)
        named = list(zip(paths, prefixes or [""] * len(paths), strict=True))
        _write_store(named, folder, soft_mask, replace)
        return cls.open(folder)

    @property
    def bases(self) -> int:
        """Length of all contigs together, ambiguous bases included (bp)."""
        return int(self.offsets[-1])

    @property
    def valid_bases(self) -> int:
        """Number of A, C, G and T."""
        return int((self.runs[:, 1] - self.runs[:, 0]).sum())

    def valid_before(self, positions: Positions) -> Positions:
        """How many A, C, G and T lie before each flat position; int64, shape of ``positions``."""
        starts, ends = self.runs[:, 0], self.runs[:, 1]
        before = np.concatenate([[0], np.cumsum(ends - starts)])
        run = np.searchsorted(starts, positions, side="right")
        last_end = np.concatenate([[0], ends])[run]
        beyond: Positions = before[run] - np.maximum(last_end - positions, 0)
        return beyond

    def verify(self) -> None:
        """Compare the checksums of every byte, and what the index says of runs and of G and C with the bases.

        Raises:
            DataError: if a file has changed since it was built.
        """
        checksums = {"codes.bin": self.sha256}
        kept = _read_index(self.folder).get("soft_masked_sha256")
        if kept is not None:  # stores made before version 0.3 have none
            checksums[SOFT_MASKED] = kept
        for name, checksum in checksums.items():
            if sha256_of(self.folder / name) != checksum:
                raise self._damaged(f"the checksum of {name} is not the one of index.json")
        parts, gc = [], 0
        for start in range(0, len(self.codes), SLICE_BASES):
            codes_L = self.codes[start : start + SLICE_BASES]
            first = np.searchsorted(self.offsets, start, "right")
            last = np.searchsorted(self.offsets, start + len(codes_L), "left")
            breaks = self.offsets[first:last] - start
            parts.append(maximal_runs(codes_L != AMBIGUOUS, breaks) + start)
            gc += count_gc(codes_L)
        if not np.array_equal(joined(parts, self.offsets[1:]), self.runs):
            raise self._damaged("the runs of A, C, G and T in codes.bin are not those of index.json")
        if gc != self.gc:
            raise self._damaged(f"codes.bin has {gc:,} bases G and C, index.json says {self.gc:,}")

    def _damaged(self, why: str) -> DataError:
        return DataError("damaged genome store", where=self.folder, why=why, fix="build it again")


def _soft_masked(folder: Path, size: int) -> Positions:
    """The stretches of lower-case letters, memory-mapped.

    Raises:
        ValueError: if the file is damaged.
        OSError: if it cannot be read.
    """
    try:
        runs: Positions = np.load(folder / SOFT_MASKED, mmap_mode="r")
    except EOFError:  # the file is empty
        runs = np.empty(0, np.int64)
    if runs.ndim != 2 or runs.shape[1] != 2 or runs.dtype != np.int64 or (len(runs) and runs[-1, 1] > size):
        raise ValueError("soft_masked.npy does not hold stretches of the genome")
    return runs


def store_content(folder: Path) -> str:
    """What tells one genome from another: a sha256 over the bases, the contigs' names and lengths, and the soft-masked
    stretches, if they were kept by version 0.3 or later.

    Raises:
        DataError: if ``folder`` is not a genome store, or cannot be read.
    """
    index = _read_index(folder)
    parts = [index.get(key) for key in ("sha256", "names", "lengths")]
    parts += [index["soft_masked_sha256"]] if "soft_masked_sha256" in index else []
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _unreadable(error: OSError, folder: Path) -> DataError:
    """The error about a file of a store: it is missing, or may be whole on a disk that is not mounted, say."""
    file = Path(error.filename or folder)
    if isinstance(error, FileNotFoundError) and not is_there(file):
        why = f"it has no {file.name}"
        return DataError("damaged genome store", where=folder, why=why, fix="build it again")
    why = f"{file.name}: {error.strerror or error}"
    return DataError(
        "cannot read the genome store", where=folder, why=why, fix="check its disk and permissions"
    )


def _read_index(folder: Path) -> dict[str, Any]:
    index = _read_any_index(folder)
    if index is None:
        raise DataError(
            "damaged genome store", where=folder, why="index.json is not JSON", fix="build it again"
        )
    if index.get("version") != FORMAT_VERSION:
        raise DataError(
            "genome store of another version",
            where=folder,
            why=f"format version {index.get('version')}, this cmgems reads {FORMAT_VERSION}",
            fix="build it again",
        )
    return index


def _read_any_index(folder: Path) -> dict[str, Any] | None:
    """The index of a store of any version, None if it is damaged.

    Raises:
        DataError: if ``folder`` is not a store, or cannot be read.
    """
    path, index = folder / "index.json", None
    try:
        index = json.loads(path.read_bytes())
    except OSError as error:
        if not is_there(path):
            raise DataError(
                "not a genome store", where=folder, why="it has no index.json", fix=BUILD_FIX
            ) from error
        raise _unreadable(error, folder) from error
    except (ValueError, RecursionError):
        if (folder / "codes.bin").is_file():
            return None
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise DataError(
            "not a genome store", where=folder, why="index.json is of another kind", fix=BUILD_FIX
        )
    return index


def _write_store(named: Sequence[tuple[Path, str]], folder: Path, soft_mask: bool, replace: bool) -> None:
    """Write a store of FASTA files and their prefixes, in one pass and with memory bounded by the longest contig."""
    fastas = [fasta for fasta, _ in named]
    kinds = [compression_of(fasta) for fasta in fastas]
    total = None if any(kinds) else sum(fasta.stat().st_size for fasta in fastas)
    with (
        atomic_folder(folder, replace=replace) as partial,
        progress("reading FASTA", total, "bp") as advance,
    ):
        with open(partial / "codes.bin", "wb") as out:
            writer = _Writer(out, soft_mask, advance)
            for fasta, prefix in named:
                _add_contigs(writer, fasta, prefix)
            writer.flush()
        sources = [{"name": fasta.name, "bytes": fasta.stat().st_size} for fasta in fastas]
        index = writer.index() | {"sources": sources}
        if soft_mask:
            np.save(partial / SOFT_MASKED, writer.merged(writer.soft_runs))
            index["soft_masked_sha256"] = sha256_of(partial / SOFT_MASKED)
        (partial / "index.json").write_text(json.dumps(index) + "\n", encoding="utf-8")


def _add_contigs(writer: _Writer, fasta: Path, prefix: str) -> None:
    for record in read_fasta(fasta):
        name = prefix + record.name
        if name in writer.lengths:
            raise DataError(
                "contig name used twice",
                where=fasta,
                why=repr(name),
                fix="rename one of the two contigs, or put a prefix before the names of each file (--prefix)",
            )
        writer.add(name, record.sequence)


class _Writer:
    """Collects small contigs until a slice is full, so that 170,000 of them cost no more than a long one."""

    def __init__(self, out: BinaryIO, soft_mask: bool, advance: Callable[[float], None]) -> None:
        self.out, self.soft_mask, self.advance = out, soft_mask, advance
        self.lengths: dict[str, int] = {}
        self.runs: list[Positions] = []
        self.soft_runs: list[Positions] = []
        self.letters = np.zeros(256, dtype=np.int64)
        self.gc = 0
        self.hash = hashlib.sha256()
        self._written = 0
        self._waiting: list[bytes] = []
        self._waiting_bases = 0

    def add(self, name: str, sequence: bytes) -> None:
        self.lengths[name] = len(sequence)
        self._waiting.append(sequence)
        self._waiting_bases += len(sequence)
        if self._waiting_bases >= SLICE_BASES:
            self.flush()

    def flush(self) -> None:
        letters = b"".join(self._waiting)
        ends = np.cumsum([len(sequence) for sequence in self._waiting], dtype=np.int64)
        self._waiting, self._waiting_bases = [], 0
        for start in range(0, len(letters), SLICE_BASES):
            part = letters[start : start + SLICE_BASES]
            inside = (ends > start) & (ends < start + len(part))
            self._write(part, ends[inside] - start)

    def _write(self, part: bytes, breaks: Positions) -> None:
        codes = encode(part)
        valid = codes != AMBIGUOUS
        letters = np.frombuffer(part, dtype=np.uint8)
        self.runs.append(maximal_runs(valid, breaks) + self._written)
        if self.soft_mask:
            self.soft_runs.append(maximal_runs(letters >= ord("a"), breaks) + self._written)
        self.letters += np.bincount(letters[~valid] & 0xDF, minlength=256)  # & 0xDF: to upper case
        self.gc += count_gc(codes)
        self.hash.update(codes.data)
        self.out.write(codes.data)
        self._written += len(part)
        self.advance(len(part))

    def merged(self, parts: Sequence[Positions]) -> Positions:
        """Runs of all slices."""
        return joined(parts, np.cumsum(list(self.lengths.values())))

    def index(self) -> dict[str, Any]:
        runs = self.merged(self.runs)
        return {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "cmgems": __version__,
            "sha256": self.hash.hexdigest(),
            "soft_mask": self.soft_mask,
            "gc": self.gc,
            "ambiguous": {chr(i): int(self.letters[i]) for i in np.flatnonzero(self.letters)},
            "names": list(self.lengths),
            "lengths": list(self.lengths.values()),
            "run_starts": runs[:, 0].tolist(),
            "run_ends": runs[:, 1].tolist(),
        }


def count_gc(codes_L: Codes) -> int:
    """How many bases are G or C."""
    return int(np.count_nonzero((codes_L & 0xFE) == 2))


def joined(parts: Sequence[Positions], contig_starts: Positions) -> Positions:
    """Runs of slices one after another; a run that only the end of a slice cut in two is one again."""
    runs = np.concatenate(parts)
    cut = (runs[1:, 0] != runs[:-1, 1]) | np.isin(runs[1:, 0], contig_starts)
    first = np.concatenate([[True], cut])[: len(runs)]
    last = np.concatenate([cut, [True]])[: len(runs)]
    return np.stack([runs[first, 0], runs[last, 1]], axis=1)


def maximal_runs(mask_L: npt.NDArray[np.bool_], breaks: Positions) -> Positions:
    """Maximal stretches of True, cut at ``breaks``: int64[R, 2] of ``[start, end)``.

    Args:
        mask_L: bool[L].
        breaks: int64, positions in (0, L) where a stretch must end.
    """
    edges = np.empty(len(mask_L) + 1, dtype=np.bool_)
    edges[0] = edges[-1] = True
    np.not_equal(mask_L[1:], mask_L[:-1], out=edges[1:-1])
    edges[breaks] = True
    borders = np.flatnonzero(edges)
    stretches = np.stack([borders[:-1], borders[1:]], axis=1)
    return stretches[mask_L[borders[:-1]]]

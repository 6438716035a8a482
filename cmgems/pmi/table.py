"""The ranked table of k-mers: what masking looks up."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmgems import __version__
from cmgems.distributed import ALONE, World
from cmgems.errors import CmgemsError, DataError
from cmgems.files import write_bytes, write_text
from cmgems.genome.store import GenomeStore
from cmgems.pmi.counts import Counts, count_ngrams
from cmgems.pmi.definitions import DEFINITIONS, Scores, both_strands, check_k, kmer, normalize, rank
from cmgems.pmi.formats import CSV_TYPES, METADATA_KEY, METADATA_TYPES, REBUILD, TENSORS, read_fields
from cmgems.pmi.strings import string_npmi
from cmgems.registry import did_you_mean
from cmgems.tokenization.base import Tokenizer

_DTYPES = {"count": np.int64, "pmi": np.float64, "npmi": np.float64, "rank": np.int32}


def _check_options(k: int, definition: str, min_count: int) -> None:
    check_k(k)
    if definition not in DEFINITIONS:
        fix = did_you_mean(definition, list(DEFINITIONS))
        raise CmgemsError(f"unknown PMI definition {definition!r}", fix=fix)
    if min_count < 1:
        raise CmgemsError("minimum count out of range", why=f"it is {min_count}", fix="use 1 or more")


@dataclass(frozen=True)
class RankedKmer:
    """A row of the table; a k-mer too rare to score has None for PMI and NPMI."""

    rank: int
    kmer: str
    count: int
    pmi: float | None
    npmi: float | None


@dataclass(frozen=True, eq=False)
class PMITable:
    """Counts, PMI, NPMI and rank of all 4^k k-mers; arrays are indexed by k-mer number.

    Args:
        k: Length of the k-mers (bp), 3 to 8.
        definition: Name of the PMI definition; "unknown" if read from CSV.
        canonical: Whether the counts are those of both strands.
        count: int64 [4^k].
        pmi: float64 [4^k], natural log; -inf for k-mers too rare to score.
        npmi: float64 [4^k]; -inf for k-mers too rare to score.
        rank: int32 [4^k], a permutation of 1..4^k, 1 = highest NPMI.
        provenance: Where the counts come from; JSON values only.

    Raises:
        DataError: if sizes, values or ranks do not make a table.
    """

    k: int
    definition: str
    canonical: bool
    count: npt.NDArray[np.int64]
    pmi: Scores
    npmi: Scores
    rank: npt.NDArray[np.int32]
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_k(self.k)
        size = 4**self.k
        for name, dtype in _DTYPES.items():
            values = getattr(self, name)
            if values.shape != (size,) or values.dtype != dtype:
                why = (
                    f"{name} is {values.dtype} {values.shape}, k = {self.k} needs {np.dtype(dtype)} ({size},)"
                )
                raise DataError("wrong shape", where="PMI table", why=why, fix=REBUILD)
            if np.isnan(values).any():
                why = f"{name} of {kmer(int(np.isnan(values).argmax()), self.k)} is not a number"
                raise DataError("NaN", where="PMI table", why=why, fix=REBUILD)
            if np.isposinf(values).any():
                why = f"{name} of {kmer(int(np.isposinf(values).argmax()), self.k)} is infinite"
                raise DataError("wrong score", where="PMI table", why=why, fix=REBUILD)
        if (self.count < 0).any():
            why = f"count of {kmer(int((self.count < 0).argmax()), self.k)} is negative"
            raise DataError("wrong count", where="PMI table", why=why, fix=REBUILD)
        if not np.array_equal(np.sort(self.rank), np.arange(1, size + 1)):
            why = f"not a permutation of 1..{size}"
            raise DataError("wrong ranks", where="PMI table", why=why, fix=REBUILD)

    @classmethod
    def build(
        cls,
        store: GenomeStore | str | Path,
        k: int = 6,
        definition: str = "exact",
        *,
        canonical: bool = False,
        min_count: int = 1,
        workers: int | None = None,
        world: World = ALONE,
    ) -> PMITable:
        """Count the n-grams of a genome, and score and rank its k-mers.

        Args:
            store: The genome, or its folder.
            k: Length of the k-mers (bp).
            definition: As in ``from_counts``.
            canonical: As in ``from_counts``.
            min_count: As in ``from_counts``.
            workers: Threads that count; by default one a processor core, at most 4.
            world: The processes that share the counting. All of them get the whole table.

        Raises:
            CmgemsError: if ``k``, ``definition``, ``min_count`` or ``workers`` is wrong.
            DataError: if the folder is no store; if no k-mer was counted, or none ``min_count`` times.
        """
        _check_options(k, definition, min_count)  # before the minutes of counting
        if not isinstance(store, GenomeStore):
            store = GenomeStore.open(Path(store))
        counts = count_ngrams(store, k, workers=workers, world=world)
        provenance = {"genome_sha256": store.sha256, "bases": store.bases}
        return cls.from_counts(
            counts, k, definition, canonical=canonical, min_count=min_count, provenance=provenance
        )

    @classmethod
    def from_counts(
        cls,
        counts: Counts,
        k: int,
        definition: str = "exact",
        *,
        canonical: bool = False,
        min_count: int = 1,
        provenance: dict[str, Any] | None = None,
    ) -> PMITable:
        """Score and rank all k-mers.

        Args:
            counts: n-gram counts of orders 1..k (``cmgems.pmi.counts.count_ngrams``).
            k: Length of the k-mers, 3 to 8 (bp).
            definition: "exact" or "genemask2023".
            canonical: Add the counts of each n-gram's reverse complement, at every order.
            min_count: Rarer k-mers get no score and rank after all others.
            provenance: Kept in the table, beside ``min_count``, the n-gram totals and our version.

        Raises:
            CmgemsError: if ``k``, ``definition`` or ``min_count`` is wrong.
            DataError: if no k-mer was counted, or none ``min_count`` times.
        """
        _check_options(k, definition, min_count)
        if not counts[k].any():
            raise DataError(
                "too little sequence", why=f"no {k}-mer of A, C, G, T was found", fix="give more of it"
            )
        if canonical:
            counts = both_strands(counts)
        count = counts[k]
        if count.max() < min_count:
            raise DataError(
                "no k-mer gets a score",
                why=f"the most frequent {k}-mer is there {count.max():,} times, `min_count` is {min_count:,}",
                fix="lower `min_count`",
            )
        pmi = np.where(count >= min_count, DEFINITIONS[definition](counts, k), -np.inf)
        npmi = normalize(pmi, count)
        totals = {str(n): int(counts[n].sum()) for n in sorted(counts)}
        about = {**(provenance or {}), "min_count": min_count, "totals": totals, "version": __version__}
        return cls(k, definition, canonical, count, pmi, npmi, rank(npmi), about)

    @classmethod
    def load(cls, path: str | Path) -> PMITable:
        """Read safetensors, our CSV or the CSV published with GeneMask; recognised by content.

        Raises:
            DataError: if the file is missing, damaged, or not a table of all k-mers of one length.
        """
        fields = read_fields(Path(path))
        try:
            return cls(**fields)
        except CmgemsError as error:
            raise DataError(error.what, where=path, why=error.why, fix=error.fix) from None

    def save(self, path: str | Path) -> None:
        """Write as safetensors, replacing ``path``; the metadata holds everything but the arrays, as JSON.

        Raises:
            CmgemsError: if it cannot be written.
        """
        from safetensors.numpy import save

        about = {name: getattr(self, name) for name in METADATA_TYPES}
        tensors = {name: np.ascontiguousarray(getattr(self, name)) for name in TENSORS}
        write_bytes(Path(path), save(tensors, {METADATA_KEY: json.dumps(about, sort_keys=True)}))

    def to_csv(self, path: str | Path) -> None:
        """Write as CSV (kmer, count, pmi, npmi, rank), best rank first, numbers in full precision.

        Raises:
            CmgemsError: if it cannot be written.
        """
        order = self.order()
        columns = [getattr(self, name)[order].tolist() for name in TENSORS]
        rows = zip((kmer(number, self.k) for number in order.tolist()), *columns, strict=True)
        write_text(Path(path), "".join(",".join(map(str, row)) + "\n" for row in [tuple(CSV_TYPES), *rows]))

    def order(self) -> npt.NDArray[np.int64]:
        """k-mer numbers from rank 1 to the last."""
        return np.argsort(self.rank)

    def ends(self, top: int) -> list[list[RankedKmer]]:
        """The ``top`` first and the ``top`` last k-mers by rank; or all in one list."""
        order = self.order()
        parts = [order] if 2 * top >= len(order) else [order[:top], order[-top:]]
        return [[self._ranked(number) for number in part.tolist()] for part in parts]

    def _ranked(self, number: int) -> RankedKmer:
        pmi, npmi = (
            float(score[number]) if np.isfinite(score[number]) else None for score in (self.pmi, self.npmi)
        )
        return RankedKmer(int(self.rank[number]), kmer(number, self.k), int(self.count[number]), pmi, npmi)

    def token_ranks(self, tokenizer: Tokenizer) -> npt.NDArray[np.int32]:
        """Rank of each token id; 4^k + 1, after all others, for tokens that are not k-mers.

        Tokens of variable length are ranked among themselves, by ``cmgems.pmi.strings.string_npmi``.

        Returns:
            int32 [tokenizer.vocab_size].

        Raises:
            DataError: if the tokenizer has another k, or makes single bases (``cmgems.masking.ranks``).
        """
        if not tokenizer.k:
            return rank(string_npmi(tokenizer.vocabulary(), self.count, self.k))
        if tokenizer.k == 1:
            raise DataError("no rank of single bases", where="PMI table", why="PMI is that of several bases")
        if tokenizer.k != self.k:
            why = f"the table ranks {self.k}-mers, the tokenizer makes {tokenizer.k}-mers"
            raise DataError(
                "k differs", where="PMI table", why=why, fix=f"build a table with --k {tokenizer.k}"
            )
        rank_of = {kmer(number, self.k): rank for number, rank in enumerate(self.rank.tolist())}
        return np.array([rank_of.get(token, 4**self.k + 1) for token in tokenizer.vocabulary()], np.int32)

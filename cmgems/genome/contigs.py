"""The contigs of a genome store by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from cmgems.errors import RecordError
from cmgems.genome.aliases import read_aliases
from cmgems.genome.alphabet import Codes
from cmgems.genome.store import GenomeStore
from cmgems.registry import did_you_mean


@dataclass(frozen=True, eq=False)
class Contigs:
    """The contigs of a store by name.

    Attributes:
        store: The genome.
        aliases: The store's name for other names of its contigs.
    """

    store: GenomeStore
    aliases: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, store: str | Path | GenomeStore, aliases: str | Path | None = None) -> Contigs:
        """The contigs of a store, or of the one in a folder.

        Args:
            store: The genome.
            aliases: Table of other names (``read_aliases``).

        Raises:
            DataError: if either cannot be read.
        """
        opened = store if isinstance(store, GenomeStore) else GenomeStore.open(Path(store))
        return cls(opened, {} if aliases is None else read_aliases(Path(aliases), opened.names))

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.store.names)}

    @cached_property
    def _advice(self) -> Callable[[str], str]:
        return cache(
            lambda name: did_you_mean(name, self.store.names)
        )  # a file may have many records of one name

    def find(self, name: str, where: str) -> Codes:
        """The codes of the contig called ``name``, uint8[L], memory-mapped.

        Raises:
            RecordError: if the store has none; names that are alike are offered.
        """
        number = self._index.get(self.aliases.get(name, name))
        if number is None:
            fix = f"{self._advice(name)} (a table of other names: --aliases)"
            raise RecordError(f"contig {name!r} is not in the store", where=where, fix=fix)
        start, end = self.store.offsets[number:][:2]
        return self.store.codes[start:end]

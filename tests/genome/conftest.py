"""Stores made from text."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from cmgems.genome import GenomeStore

MakeStore = Callable[[dict[str, str]], GenomeStore]


@pytest.fixture(scope="session")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> MakeStore:
    """Build a store of the given contigs (name to sequence)."""

    def make(contigs: dict[str, str]) -> GenomeStore:
        folder = tmp_path_factory.mktemp("store")
        fasta = folder / "in.fa"
        fasta.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in contigs.items()))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", lambda handle: None)  # hundreds of tiny, short-lived stores
            return GenomeStore.build([fasta], folder / "store", soft_mask=True)

    return make

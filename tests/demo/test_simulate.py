from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from cmgems.demo import DemoData, SimulatedGenome, simulate, write_demo_data
from cmgems.errors import CmgemsError
from cmgems.genome import AMBIGUOUS, GenomeStore, decode, read_fasta, reverse_complement


@pytest.fixture(scope="module")
def genome() -> SimulatedGenome:
    return simulate(1_000_000, 0)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoData:
    return write_demo_data(tmp_path_factory.mktemp("demo"), bases=100_000)


def rows(path: Path) -> list[tuple[str, int]]:
    with open(path, newline="") as handle:
        return [(row["sequence"], int(row["label"])) for row in csv.DictReader(handle)]


def test_deterministic() -> None:
    first, again, other = simulate(50_000, 3), simulate(50_000, 3), simulate(50_000, 4)
    assert all(np.array_equal(a, b) for a, b in zip(first.codes, again.codes, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first.codes, other.codes, strict=True))


def test_sizes(genome: SimulatedGenome) -> None:
    assert sum(map(len, genome.codes)) == 1_000_000
    assert len(set(genome.names)) == len(genome.codes) == 2
    assert sum(map(len, simulate(20_001, 0).codes)) == 20_001
    with pytest.raises(CmgemsError, match="at least 20,000"):
        simulate(100, 0)


def test_composition(genome: SimulatedGenome) -> None:
    codes = np.concatenate(genome.codes)
    in_island = np.zeros(len(codes), dtype=bool)
    offset = 0
    for contig, islands in zip(genome.codes, genome.islands, strict=True):
        for start, end in islands:
            in_island[offset + start : offset + end] = True
        offset += len(contig)

    def gc_and_cpg_ratio(chosen: np.ndarray) -> tuple[float, float]:
        c, g = (codes == 2) & chosen, (codes == 3) & chosen
        valid = ((codes != AMBIGUOUS) & chosen).sum()
        return float((c.sum() + g.sum()) / valid), float((c[:-1] & g[1:]).sum() * valid / (c.sum() * g.sum()))

    gc, ratio = gc_and_cpg_ratio(in_island)
    assert 0.6 < gc < 0.7
    assert ratio > 0.8
    gc, ratio = gc_and_cpg_ratio(~in_island)
    assert 0.36 < gc < 0.56
    assert ratio < 0.65
    assert 0.3 < np.concatenate(genome.soft_masked).mean() < 0.45


def test_promoters_hold_a_tata_box_where_it_belongs(genome: SimulatedGenome) -> None:
    found = total = 0
    for codes, tss, strands in zip(genome.codes, genome.tss, genome.strands, strict=True):
        assert (np.diff(tss) > 0).all()
        for position, strand in zip(tss, strands, strict=True):
            upstream = codes[position - 40 : position] if strand > 0 else codes[position + 1 : position + 41]
            assert (upstream != AMBIGUOUS).all()
            found += "ATA" in decode(upstream if strand > 0 else reverse_complement(upstream))[5:20]
            total += 1
    assert total > 300
    assert found / total > 0.6


def test_demo_genome_builds_a_store(demo: DemoData, tmp_path: Path) -> None:
    store = GenomeStore.build([demo.genome], tmp_path / "store", soft_mask=True)
    assert store.bases == 100_000
    assert len(store.names) >= 2
    assert all(name.startswith("synthetic") for name in store.names)
    assert set(store.ambiguous) == {"N"}
    assert store.soft_masked_runs is not None
    assert len(store.soft_masked_runs)


def test_demo_promoters(demo: DemoData) -> None:
    parts = {name: rows(demo.promoters / f"{name}.csv") for name in ("train", "dev", "test")}
    assert {name: len(part) for name, part in parts.items()} == {"train": 2000, "dev": 400, "test": 400}
    everything = [row for part in parts.values() for row in part]
    assert sum(label for _, label in everything) == 1400
    assert {len(sequence) for sequence, _ in everything} == {300}
    assert set("".join(sequence for sequence, _ in everything)) == set("ACGT")
    assert len({sequence for sequence, _ in everything}) == 2800
    genome = "".join(record.sequence.decode().upper() for record in read_fasta(demo.genome))
    assert not any(sequence in genome for sequence, _ in parts["test"])


def test_demo_is_harder_than_counting_gc(demo: DemoData) -> None:
    sequences, labels = zip(*rows(demo.promoters / "train.csv"), strict=True)
    gc = np.array([sequence.count("G") + sequence.count("C") for sequence in sequences])
    best = max(((gc > threshold) == np.array(labels)).mean() for threshold in range(300))
    assert 0.6 < best < 0.8


def test_demo_is_reproducible(demo: DemoData, tmp_path: Path) -> None:
    again = write_demo_data(tmp_path, bases=100_000)
    assert again.genome.read_bytes() == demo.genome.read_bytes()
    assert (again.promoters / "dev.csv").read_bytes() == (demo.promoters / "dev.csv").read_bytes()

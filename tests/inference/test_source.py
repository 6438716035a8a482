"""Records that are checked once and read again: nothing is held, nothing is told twice."""

import numpy as np
import pytest

from cmgems.errors import CmgemsError
from cmgems.genome import Contigs, GenomeStore, decode
from cmgems.inference.source import checked_alleles, checked_sequences
from cmgems.reading import Invalid


@pytest.fixture
def files(tmp_path, small_genome):
    """The same sequences in each kind of file, one of them too short, two with one name."""
    store = GenomeStore.open(small_genome.store)
    bases = decode(store.codes[:40])
    records = [("a", 0, 30), ("b", 2, 4), ("a", 5, 40)]
    (tmp_path / "s.fa").write_text("".join(f">{n}\n{bases[i:j]}\n" for n, i, j in records))
    (tmp_path / "s.csv").write_text("name,sequence\n" + "".join(f"{n},{bases[i:j]}\n" for n, i, j in records))
    (tmp_path / "s.bed").write_text("".join(f"contig0\t{i}\t{j}\t{n}\n" for n, i, j in records))
    return tmp_path


def read(files, kind, small_genome, invalid):
    store = small_genome.store if kind == "bed" else None
    return checked_sequences(files / f"s.{kind}", 3, store=store, skip_invalid=invalid)


@pytest.mark.parametrize("kind", ["fa", "csv", "bed"])
def test_files_are_read_again_and_told_of_once(files, kind, small_genome, recwarn):
    invalid = Invalid("--skip-invalid", skip=True)
    found = read(files, kind, small_genome, invalid)
    assert (found.count, found.size) == (2, 65)
    assert [str(w.message).partition(": ")[2] for w in recwarn] == ["1 name is used more than once: a"]
    for _ in range(2):
        assert [(s.name, len(s.codes)) for s in found] == [("a", 30), ("a", 35)]
    assert len(recwarn) == 1
    assert len(invalid.skipped) == 1
    with pytest.raises(
        CmgemsError, match=r"sequence shorter than k .*--skip-invalid leaves such records out"
    ):
        read(files, kind, small_genome, Invalid("--skip-invalid"))


@pytest.mark.parametrize("given", [lambda: ["ACGT", "GGGTTT"], lambda: (s for s in ["ACGT", "GGGTTT"])])
def test_what_is_in_memory_is_read_again_too(given):
    found = checked_sequences(given(), 3)
    for _ in range(2):
        assert [s.bases for s in found] == ["ACGT", "GGGTTT"]


def test_alleles(tmp_path, small_genome):
    contigs = Contigs.of(small_genome.store)
    ref = decode(contigs.find("contig0", "")[4:5])
    alts = ",".join(sorted(set("ACGT") - {ref}))
    (tmp_path / "c.vcf").write_text(
        f"#CHROM\tPOS\tID\tREF\tALT\ncontig0\t5\t.\t{ref}\t{alts}\ncontig9\t5\t.\t{ref}\tN\n"
    )
    invalid = Invalid(skip=True)
    found = checked_alleles(tmp_path / "c.vcf", contigs, invalid)
    assert (found.count, found.size, len(invalid.skipped)) == (3, 3, 1)
    assert [allele.alt for allele in found] == alts.split(",")
    assert all(np.isnan(allele.score) for allele in found)


def test_only_so_many_names_are_remembered(files, small_genome, monkeypatch, recwarn):
    monkeypatch.setattr("cmgems.inference.sequences.COMPARED_NAMES", 1)
    (files / "s.fa").write_text(">a\nACGT\n>b\nACGT\n>b\nACGT\n>a\nACGT\n")
    checked_sequences(files / "s.fa", 3)
    assert str(recwarn[0].message).endswith("1 name is used more than once: a")

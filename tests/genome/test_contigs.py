"""Finding contigs by name, by other names, and what is offered for a name that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmgems.errors import CmgemsError, DataError, RecordError
from cmgems.genome import Contigs, GenomeStore, decode, read_aliases

REPORT = (
    "# Assembly name:  GRCh38.p14\n#\n"
    "# Sequence-Name\tSequence-Role\tAssigned-Molecule\tAssigned-Molecule-Location/Type\tGenBank-Accn\tRelationship\t"
    "RefSeq-Accn\tAssembly-Unit\tSequence-Length\tUCSC-style-name\r\n"
    "1\tassembled-molecule\t1\tChromosome\tCM000663.2\t=\tNC_000001.11\tPrimary Assembly\t5\tchr1\r\n"
    "HSCHR1_1\tunlocalized-scaffold\t1\tChromosome\tKI270706.1\t=\tna\tPrimary Assembly\t4\tchr1_KI270706v1_random\n"
)


@pytest.fixture
def build(tmp_path):
    def call(*names: str) -> GenomeStore:
        (tmp_path / "g.fa").write_text(
            "".join(f">{name}\n{'ACGT'[i % 4] * 5}\n" for i, name in enumerate(names))
        )
        return GenomeStore.build(tmp_path / "g.fa", tmp_path / "store")

    return call


@pytest.fixture
def table(tmp_path):
    def call(text: str) -> Path:
        (tmp_path / "names.txt").write_text(text, newline="")
        return tmp_path / "names.txt"

    return call


@pytest.mark.parametrize("own", ["1", "chr1", "CM000663.2", "NC_000001.11"])
@pytest.mark.parametrize("other", ["1", "chr1", "CM000663.2", "NC_000001.11"])
def test_every_name_of_an_assembly_report(build, table, own, other):
    contigs = Contigs.of(build("x", own), table(REPORT))
    assert decode(contigs.find(other, "")) == "CCCCC"


@pytest.mark.parametrize(
    "text", ["I\tchrI\nII\tchrII\n", "chrI,I\r\nchrII,II\r\n", "# own\tother\nI\tchrI\tNC_1\n\nII\tchrII\n"]
)
def test_columns_of_names(build, table, text):
    contigs = Contigs.of(build("chrI", "chrII"), table(text))
    assert [decode(contigs.find(name, ""))[0] for name in ("I", "chrI", "II", "chrII")] == list("AACC")


def test_a_missing_name_is_none(table):
    assert "na" not in read_aliases(table(REPORT), ["chr1", "chr1_KI270706v1_random"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("M\tchr1\nM\tchr2\n", r"ambiguous contig name 'M' in .*names\.txt:2: it stands for chr1 and chr2"),
        ("M\tchr1\tchr2\n", "ambiguous contig name 'M'"),
        ("a\tb\n", "no contig of the store"),
        ("M chr1\n", "no contig of the store"),
        ("", "empty file"),
        ("M\tchr1\n".encode("utf-16").decode("latin-1"), "not UTF-8 text|UTF-16"),
    ],
)
def test_bad_tables(build, table, text, message):
    with pytest.raises(DataError, match=message):
        Contigs.of(build("chr1", "chr2"), table(text))


@pytest.mark.parametrize(
    ("names", "asked", "offered"),
    [
        (("chr7_alt", "chr7", "chr77"), "Chr7", "did you mean 'chr7'[?]"),
        (("chr7_alt", "chr7", "7"), "CHR7", "did you mean 'chr7' or '7'[?]"),
        (("chr7_alt", "chr7", "chr77"), "7", "did you mean 'chr7'[?]"),
        (("7_alt", "7", "77"), "chr7", "did you mean '7'[?]"),
        ((*(f"chrUn_{i}" for i in range(2000)), "chrX"), "x", "did you mean 'chrX'[?]"),
        (("scaffold_1",), "scafold_1", "did you mean 'scaffold_1'[?]"),
        (("a", "b"), "zzz", "known: a, b"),
    ],
)
def test_what_is_offered(build, names, asked, offered):
    with pytest.raises(
        RecordError, match=rf"contig '{asked}' is not in the store in x\.bed:1; {offered}.*--aliases"
    ) as caught:
        Contigs(build(*names)).find(asked, "x.bed:1")
    assert len(caught.value.line()) < 400


def test_a_hundred_thousand_unknown_names_stay_one_short_line(build):
    with pytest.raises(RecordError) as caught:
        Contigs(build(*(f"contig_{i}" for i in range(5000)))).find("zzz", "x.bed:1")
    assert len(caught.value.line()) < 1000


def test_prefixes_keep_two_genomes_apart(tmp_path):
    for name, bases in (("human", "AAAA"), ("mouse", "CCCC")):
        (tmp_path / f"{name}.fa").write_text(f">chr1\n{bases}\n")
    fastas = [tmp_path / "human.fa", tmp_path / "mouse.fa"]
    with pytest.raises(DataError, match=r"contig name used twice .*--prefix"):
        GenomeStore.build(fastas, tmp_path / "store")
    for prefixes, message in ((["human_"], "1 for 2 FASTA files"), (["a b", "c"], "'a b' holds white space")):
        with pytest.raises(CmgemsError, match=message):
            GenomeStore.build(fastas, tmp_path / "store", prefixes=prefixes)
    store = GenomeStore.build(fastas, tmp_path / "store", prefixes=["human_", "mouse_"])
    assert store.names == ["human_chr1", "mouse_chr1"]
    assert decode(Contigs(store).find("mouse_chr1", "")) == "CCCC"

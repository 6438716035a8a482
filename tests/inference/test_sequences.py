"""Reading FASTA, CSV and BED."""

import gzip

import numpy as np
import pytest

from cmgems.errors import DataError
from cmgems.genome import GenomeStore, encode
from cmgems.inference import NamedSequence, read_sequences, usable_sequences


@pytest.fixture
def store(tmp_path):
    (tmp_path / "g.fa").write_text(">chr1\nACGTTGCANN\n>chr2\nGGGGA\n")
    GenomeStore.build([tmp_path / "g.fa"], tmp_path / "store")
    return tmp_path / "store"


def read(tmp_path, name, content, store=None):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(s.name, s.bases) for s in read_sequences(path, store)]


def test_fasta(tmp_path):
    found = read(tmp_path, "s.fa.gz", gzip.compress(b">a x\nacgt\nNR\n>b\nGG\n"))
    assert found == [("a", "ACGTNN"), ("b", "GG")]


def test_csv(tmp_path):
    assert read(tmp_path, "s.csv", "Sequence,label\nACGT,1\nggn,0\n") == [("1", "ACGT"), ("2", "GGN")]
    assert read(tmp_path, "s.csv", "name,sequence\na,ACGT\n,GG\n") == [("a", "ACGT"), ("2", "GG")]
    assert read(tmp_path, "s.csv", "\ufeffsequence\nACGT\n") == [("1", "ACGT")]  # as Excel writes it
    contig = "ACGT" * 50_000
    assert read(tmp_path, "s.csv", f"sequence\n{contig}\n") == [("1", contig)]


def test_bed(tmp_path, store):
    bed = "# made by hand\ntrack name=x\nchr1\t0\t4\nchr1\t2\t6\tpeak\t0\t-\n\nchr2\t0\t5\t.\t0\t+\r\n"
    found = read(tmp_path, "s.bed", bed, store)
    assert found == [("chr1:0-4", "ACGT"), ("peak", "CAAC"), ("chr2:0-5", "GGGGA")]
    assert read(tmp_path, "s.bed.gz", gzip.compress(bed.encode()), store) == found


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "s.csv",
            "name,bases\na,ACGT\n",
            r"s\.csv:1: the first line is 'name,bases'; give FASTA, or name the column",
        ),
        ("s.csv", "", "empty file"),
        ("s.csv", "sequence\n", "no sequences"),
        ("s.csv", "name,sequence\na,ACGT\nb,\n", r"no sequence in .*s\.csv:3"),
        ("s.csv", "sequence,name\nACGT,a,b\n", r"more cells than columns in .*s\.csv:2"),
        ("s.csv", "sequence\nACXGT\n", r"masked with X in .*s\.csv:2, position 3: found 'X'"),
        ("s.csv", "sequence\nACéGT\n", "not DNA"),
        ("s.fa", ">p\nMKVL\n", "protein in .*contig p, position 4"),
        ("s.bed", "chr1 0 4\n", r"not a BED line in .*s\.bed:1"),
        ("s.bed", "chr1\t0\tx\n", "not a BED line"),
        ("s.bed", "chr1\t0\t4\nchr2\t0\t6\n", r"interval out of range in .*s\.bed:2: 0-6, chr2 has 5 bp"),
        ("s.bed", "Chr1\t0\t4\n", "contig 'Chr1' is not in the store .*did you mean 'chr1'"),
        ("s.bed", "#\n", "no sequences"),
    ],
)
def test_mistakes(tmp_path, store, name, content, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, name, content, store if name.endswith(".bed") else None)


def test_a_store_and_bed_go_together(tmp_path, store):
    with pytest.raises(DataError, match="BED without a genome store"):
        read(tmp_path, "s.bed", "chr1\t0\t4\n")
    with pytest.raises(DataError, match="a store without BED"):
        read(tmp_path, "s.fa", ">a\nACGT\n", store)
    with pytest.raises(DataError, match="no such file"):
        read_sequences(tmp_path / "none.csv")
    with pytest.raises(DataError, match="no such file"):
        read_sequences(tmp_path / "none.bed", store)


@pytest.mark.parametrize(
    ("bases", "least", "message"),
    [
        (b"ACG", 6, "shorter than k in here: 3 bp, k is 6"),
        (b"NNNNNNNN", 6, "no stretch of 6 bases A, C, G, T in here"),
        (b"ACGTANCGTAC", 6, "no stretch of 6"),
        (b"NN", 1, "no A, C, G or T in here"),
        (b"ACGTACN", 6, None),
        (b"NA", 1, None),
    ],
)
def test_sequences_without_a_token_are_refused(bases, least, message):
    good = NamedSequence("good", np.zeros(9, np.uint8), "there")
    sequences = [good, NamedSequence("x", encode(bases), "here")]
    if message is None:
        list(usable_sequences(sequences, least))
        return
    with pytest.raises(DataError, match=message):
        list(usable_sequences(sequences, least))

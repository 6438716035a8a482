"""Reading FASTA, tables and BED."""

import bz2
import gzip
import lzma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.errors import DataError
from cmgems.genome import Contigs, GenomeStore, encode
from cmgems.inference import NamedSequence, iter_sequences, named_sequences, read_sequences, usable_sequences
from cmgems.reading import Invalid


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


@pytest.mark.parametrize(
    ("name", "content"), [("peaks.bed.fa", ">1\nACGT\n"), ("peaks.bed.csv", "sequence\nACGT\n")]
)
def test_made_from_a_bed_file(tmp_path, name, content):
    assert read(tmp_path, name, content) == [("1", "ACGT")]


def test_csv(tmp_path):
    assert read(tmp_path, "s.csv", "Sequence,label\nACGT,1\nggn,0\n") == [("1", "ACGT"), ("2", "GGN")]
    assert read(tmp_path, "s.csv", "name,sequence\na,ACGT\n,GG\n") == [("a", "ACGT"), ("2", "GG")]
    assert read(tmp_path, "s.csv", "\ufeffsequence\nACGT\n") == [("1", "ACGT")]  # as Excel writes it
    contig = "ACGT" * 50_000
    assert read(tmp_path, "s.csv", f"sequence\n{contig}\n") == [("1", contig)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.csv", "sequence,label\nACGTA,1\n\nGGNAC,0\n"),
        ("s.csv", "label,Sequence,note\n1,ACGTA,\n0,GGNAC,x\n"),
        ("s.csv", '"sequence","label"\n"ACGTA","1"\n"GGNAC","0"\n'),
        ("s.tsv", "sequence\tlabel\nACGTA\t1\nGGNAC\t0\n"),
        ("s.txt", "sequence\tlabel\nACG CGT GTA\t1\nGGN GNA NAC\t0\n"),
        ("s.txt", "sequence\nACGTA\nGGNAC\n"),
        ("s.jsonl", '{"sequence": "ACGTA", "label": 1}\n{"label": 0, "sequence": "GGNAC"}\n'),
        ("s.tab", "sequence\tlabel\nACGTA\t1\nGGNAC\t0\n"),
        ("s.csv", "sequence;label\nACGTA;1\nGGNAC;0\n"),
        ("s.csv", "sequence\tlabel\nACGTA\t1\nGGNAC\t0\n"),
        ("s.csv", "sequence,label\nACGTA,1,,\nGGNAC,0,,\n"),
        ("s.fa", ">1\nACG\nTA\n>2 x\nGGNAC\n"),
        ("s.csv", ">1\nACGTA\n>2\nGGNAC\n"),
        ("s", "\n>1\nACGTA\n>2\nGGNAC"),
    ],
)
def test_the_kind_is_told_by_content(tmp_path, name, content, end, mark, pack):
    packed = pack(mark + content.replace("\n", end).encode())
    assert read(tmp_path, name, packed) == [("1", "ACGTA"), ("2", "GGNAC")]


def test_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(
        arrow.table({"sequence": ["ACGT", None, "GG"], "label": [0, 1, 0]}), tmp_path / "s.parquet"
    )
    invalid = Invalid(skip=True)
    assert [(s.name, s.bases) for s in iter_sequences(tmp_path / "s.parquet", None, invalid)] == [
        ("1", "ACGT"),
        ("3", "GG"),
    ]
    assert invalid.skipped == [(f"{tmp_path / 's.parquet'}, row 2", "no sequence")]


def test_another_column(tmp_path):
    (tmp_path / "s.csv").write_text("Bases,id\nACGT,x\n")
    assert [s.bases for s in iter_sequences(tmp_path / "s.csv", column="bases")] == ["ACGT"]


def test_names_are_from_the_first_of_name_and_id(tmp_path):
    assert read(tmp_path, "s.tsv", "id\tsequence\nx\tACGT\n")[0][0] == "x"
    assert read(tmp_path, "s.tsv", "id\tsequence\tname\nx\tACGT\ty\n")[0][0] == "y"


def test_names_used_twice_are_told_with_their_number(tmp_path, recwarn):
    read(tmp_path, "s.fa", ">a\nAC\n>b\nAC\n>a\nAC\n>c\nAC\n>c\nAC\n>c\nAC\n")
    assert [str(w.message) for w in recwarn] == [
        f"{tmp_path / 's.fa'}: 2 names are used more than once: a, c"
    ]


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
            r"columns missing in .*s\.csv:1: no 'sequence'; it has name, bases; .*--column=",
        ),
        ("s.csv", "sequence\n", "no sequences"),
        ("s.csv", "name,sequence\na,ACGT\nb,\n", r"no sequence in .*s\.csv:3"),
        ("s.csv", "sequence,name\nACGT,a,b\n", r"more cells than columns in .*s\.csv:2"),
        ("s.csv", "sequence\nACXGT\n", r"masked with X in .*s\.csv:2, position 3: found 'X'"),
        ("s.csv", 'name,sequence\na,ACGT\n"b,ACGT\nc",ACGT\n', r"stray quote in .*s\.csv:3"),
        (
            "s.csv",
            "sequence,label\nACGT,1\nACGT\n",
            r"fewer cells than columns in .*s\.csv:3: 1 cells, 2 columns",
        ),
        ("s.csv", "sequence,sequence\nACGT,ACGT\n", "column 'sequence' appears twice"),
        ("s.txt", "sequence\nACG CGT TTT\n", r"not overlapping k-mers in .*s\.txt:2"),
        ("s.csv", "sequence\nACGU\n", r"looks like RNA in .*s\.csv:2, position 4"),
        ("s.txt", "ACGTACG\nACGT\n", r"no header in .*s\.txt:1: the first line is a row"),
        ("s.txt", "ACGT\nACGT\n", r"columns missing in .*s\.txt:1: no 'sequence'; it has ACGT"),
        ("s.fq", "@r1\nACGT\n+\nFFFF\n", "it is FASTQ; give the sequences as FASTA"),
        ("s.vcf", "##fileformat=VCFv4.2\n", "it is VCF"),
        ("s.csv", "sequence\nACGT\n".encode("utf-16"), "it is UTF-16 text"),
        ("s.csv", b"sequence\nACGT\xe9\n", r"not UTF-8 text in .*s\.csv:2"),
        ("s.xlsx", b"PK\x03\x04" + bytes(30), "a spreadsheet"),
        ("s.csv.gz", gzip.compress(b"sequence\n" + b"ACGT\n" * 9999, mtime=0)[:-9], "ends too early"),
        ("s.txt", " \n\n", "blank file"),
        ("s.csv", "sequence,label\nACGT,1\nNA,1\n", r"no sequence in .*s\.csv:3"),
        ("s.jsonl", '{"sequence": "ACGT"}\n{"sequence": \n', r"not JSON in .*s\.jsonl:2"),
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
    for name, content in (("s.txt", "chr1\t0\t4\n"), ("s.narrowPeak", "track name=x\nchr1\t0\t4\n")):
        with pytest.raises(DataError, match="BED without a genome store"):
            read(tmp_path, name, content)
        assert read(tmp_path, name, content, store) == [("chr1:0-4", "ACGT")]
    for name, content in (("s.fa", ">a\nACGT\n"), ("s.csv", "name,sequence\na,ACGT\n")):
        with pytest.raises(DataError, match="a store without BED"):
            read(tmp_path, name, content, store)
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


SKIPPING = [
    (
        "s.fa",
        ">ok\nACGTAC\n>\nACGT\n>none\n>rna\nACGU\n>z\nGGGGGG\n>tiny\nAC\n>gap\nNNNNNNNN\n",
        ["ok", "z"],
        5,
    ),
    (
        "s.csv",
        'name,sequence\nok,ACGTAC\na,ACGTAC,more\nb\nc,\n"d,ACGTAC\ne,ACGU\nf,ACG CCC TTT\nz,GGGGGG\ntiny,AC\n',
        ["ok", "z"],
        7,
    ),
    (
        "s.bed",
        "chr1\t0\t6\tok\nchr1 0 6\nchr1\t0\nchr1\tx\t6\nchr1\t-1\t6\nchr1\t6\t1\nchr1\t6\t6\nchr1\t0\t11\nCHR1\t0\t6\n"
        "chr1\t0\t6\ta\t0\t?\nchr1\t1\t7\tz\nchr1\t0\t2\ttiny\n",
        ["ok", "z"],
        10,
    ),
]


@pytest.mark.parametrize(("name", "content", "left", "count"), SKIPPING)
def test_bad_records_are_left_out_by_name(tmp_path, store, name, content, left, count):
    path = tmp_path / name
    path.write_text(content)
    contigs = Contigs.of(store) if name.endswith("bed") else None
    invalid = Invalid("--skip-invalid", skip=True)
    found = usable_sequences(iter_sequences(path, contigs, invalid), 6, invalid)
    assert [sequence.name for sequence in found] == left
    assert len(invalid.skipped) == count
    assert all(where.startswith(str(path)) and reason for where, reason in invalid.skipped)
    with pytest.raises(DataError, match="; --skip-invalid leaves such records out"):
        list(usable_sequences(iter_sequences(path, contigs, Invalid("--skip-invalid")), 6))


def test_the_others_keep_their_numbers(tmp_path):
    (tmp_path / "s.csv").write_text("sequence\nACGT\nXX\nGGGG\n")
    for given_ in (tmp_path / "s.csv", ["ACGT", "XX", "GGGG"], ["ACGT", None, "GGGG"]):
        found = named_sequences(given_, invalid=Invalid("skip_invalid=True", skip=True))
        assert [sequence.name for sequence in found] == ["1", "3"]


rows = st.lists(
    st.tuples(st.text("abc", min_size=1, max_size=3), st.text("ACGTNacgt", min_size=4, max_size=30)),
    min_size=1,
)


@pytest.mark.filterwarnings("ignore:.*more than once")
@given(records=rows, blank=st.sampled_from(["", "\n", " \n", "\r\n"]), width=st.integers(1, 40))
def test_every_record_is_read(records, blank, width, tmp_path_factory):
    expected = [(name, bases.upper()) for name, bases in records]
    wrapped = [(name, "\n".join(b[i : i + width] for i in range(0, len(b), width))) for name, b in records]
    for name, text in {
        "every.fa": "".join(f">{name}\n{bases}\n{blank}" for name, bases in wrapped),
        "every.csv": "name,sequence\n" + "".join(f"{name},{bases}\n{blank}" for name, bases in records),
        "every.tsv": "sequence\tid\n" + "".join(f"{bases}\t{name}\n{blank}" for name, bases in records),
    }.items():
        path = tmp_path_factory.getbasetemp() / name
        path.write_text(text, newline="")
        assert [(s.name, s.bases) for s in read_sequences(path)] == expected

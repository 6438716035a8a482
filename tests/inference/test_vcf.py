"""Reading VCF."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.errors import DataError
from cmgems.inference import read_vcf
from cmgems.inference.vcf import Variant
from cmgems.reading import Invalid

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
RECORDS = (
    "chr1\t5\trs1;x\tA\tC,<DEL>,*\t.\t.\tAF=0.1;FLAG\nchr2\t7\t.\tAC\tA\t.\tq\t.\nchr2\t9\t.\tg\t.\t.\t.\t.\n"
)


@pytest.fixture
def write(tmp_path):
    def call(content, name="calls.vcf"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return call


def test_records(write, recwarn):
    path = write(HEADER + RECORDS)
    assert list(read_vcf(path)) == [
        Variant("chr1", 5, "rs1;x", "A", ("C", "<DEL>", "*"), f"{path}:4"),
        Variant("chr2", 7, "", "AC", ("A",), f"{path}:5"),
        Variant("chr2", 9, "", "g", (), f"{path}:6"),
    ]
    assert not recwarn.list


@pytest.mark.parametrize("name", ["calls.vcf.gz", "calls.vcf"])
def test_compressed_is_told_by_content(write, name):
    assert len(list(read_vcf(write(gzip.compress((HEADER + RECORDS).encode()), name)))) == 3


def test_genotypes_are_passed_over(write):
    header = HEADER.replace("INFO\n", "INFO\tFORMAT\ts1\n")
    assert len(list(read_vcf(write(header + "chr1\t5\t.\tA\tC\t.\tPASS\t.\tGT\t0/1\n")))) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty file"),
        (">a\nACGT\n", r"no VCF header in .*calls\.vcf:1: it is FASTA"),
        ("##fileformat=VCFv4.2\n", "no VCF header .*no line starts with #CHROM"),
        ("##fileformat=VCFv4.2\n\n" + RECORDS, r"no VCF header in .*calls\.vcf:3"),
        ("#CHROM POS ID REF ALT\n" + RECORDS, r"not the header of a VCF in .*calls\.vcf:1"),
        (HEADER, "no variants"),
        (HEADER + "chr1\t5\t.\tA\n", r"calls\.vcf:4: it has 4 columns"),
        (HEADER + RECORDS + "chr1 5 . A C . . .\n", r"calls\.vcf:7: the columns are separated by spaces"),
        (HEADER + "chr1\tfive\t.\tA\tC\t.\t.\t.\n", r"calls\.vcf:4: POS is 'five'"),
        (HEADER + "chr1\t1e6\t.\tA\tC\n", "POS is '1e6'"),
        (HEADER + "chr1\t-5\t.\tA\tC\n", "POS is '-5'"),
        (HEADER + "chr1\t1_0\t.\tA\tC\n", "POS is '1_0'"),
        (HEADER + f"chr1\t{'9' * 5000}\t.\tA\tC\n", "POS is '9{40}'"),
        (HEADER + "chr1\t5\t.\t\tC\n", "REF or ALT is empty"),
        (HEADER + "chr1\t5\t.\tA\t\n", "REF or ALT is empty"),
        (HEADER + "\t5\t.\tA\tC\n", "CHROM, REF or ALT is empty"),
        (HEADER.encode() + b"chr\xe9\t5\t.\tA\tC\n", "not UTF-8 text"),
        (b"\x00\xff\xfe", "not UTF-8 text"),
        (b"BCF\x02\x02", "it is BCF"),
        ((HEADER + RECORDS).encode("utf-16"), "UTF-16"),
        (gzip.compress((HEADER + RECORDS * 500).encode(), mtime=0)[:-30], "ends too early"),
    ],
)
def test_files_that_are_no_vcf(write, content, message):
    with pytest.raises(DataError, match=message) as caught:
        list(read_vcf(write(content)))
    assert "\n" not in caught.value.line()


def test_a_folder_and_a_missing_file(write, tmp_path):
    with pytest.raises(DataError, match="not a file"):
        list(read_vcf(tmp_path))
    with pytest.raises(DataError, match="no such file"):
        list(read_vcf(tmp_path / "none.vcf"))


@pytest.mark.parametrize(
    "odd",
    [
        "", "   ", "\t", "##PEDIGREE=<Child=kid,Mother=mum>", "##LibraryStats of a caller",
        "##contig=<ID=chr1,length=x>", "##INFO=<ID=A,Number=", "## caf\xe9", "# a comment",
    ],
)  # fmt: skip
@pytest.mark.parametrize("at", [0, 1, 2, 3, 4, 6])
def test_lines_that_do_not_matter(write, odd, at):
    lines = (HEADER + RECORDS).splitlines()
    lines.insert(at, odd)
    for end in ("\n", "\r\n"):
        found = list(read_vcf(write((end.join(lines) + end).encode("latin-1"))))
        assert [(v.contig, v.position) for v in found] == [("chr1", 5), ("chr2", 7), ("chr2", 9)]


def test_bytes_in_unused_columns_and_a_mark_do_not_matter(write):
    record = b"chr1\t5\t.\tA\tC\t.\t.\tname=caf\xe9\n"
    assert len(list(read_vcf(write(b"\xef\xbb\xbf" + HEADER.encode() + record)))) == 1


def test_bad_records_are_left_out_by_name(write):
    path = write(HEADER + "chr1\tx\t.\tA\tC\n" + RECORDS + "chr1 5 . A C\n")
    invalid = Invalid("--skip-invalid", skip=True)
    assert len(list(read_vcf(path, invalid))) == 3
    assert [where for where, _ in invalid.skipped] == [f"{path}:4", f"{path}:8"]
    with pytest.raises(DataError, match="; --skip-invalid leaves such records out"):
        list(read_vcf(path, Invalid("--skip-invalid")))
    with pytest.raises(
        DataError, match=r"no variants left in .*: all 1 were left out, the first, .*:4, for this"
    ):
        list(read_vcf(write(HEADER + "chr1\tx\t.\tA\tC\n"), Invalid("--skip-invalid", skip=True)))


alleles = st.text("ACGTN", min_size=1, max_size=4)
calls = st.lists(
    st.tuples(st.sampled_from("12X"), st.integers(1, 10**9), alleles, st.lists(alleles, max_size=3))
)


@given(records=calls.filter(bool), blank=st.sampled_from(["", "\n", " \n", "##x\n", "\r\n"]))
def test_every_record_is_read(records, blank, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "every.vcf"
    lines = (f"{c}\t{p}\t.\t{ref}\t{','.join(alts) or '.'}\t.\t.\t.\n{blank}" for c, p, ref, alts in records)
    path.write_text(HEADER + blank + "".join(lines), newline="")
    found = [(v.contig, v.position, v.ref, list(v.alts)) for v in read_vcf(path)]
    assert found == records


def test_agrees_with_vcfpy(write):
    vcfpy = pytest.importorskip("vcfpy")
    path = write(HEADER + RECORDS)
    theirs = [
        (r.CHROM, r.POS, ";".join(r.ID), r.REF, tuple(alt.serialize() for alt in r.ALT))
        for r in vcfpy.Reader.from_path(str(path), parsed_samples=[])
    ]
    assert [(v.contig, v.position, v.id, v.ref, v.alts) for v in read_vcf(path)] == theirs

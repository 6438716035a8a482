"""Reading VCF."""

import gzip

import pytest

from cmgems import extras
from cmgems.errors import CmgemsError, DataError
from cmgems.inference import read_vcf
from cmgems.inference.vcf import Variant

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
RECORDS = (
    "chr1\t5\trs1;x\tA\tC,<DEL>,*\t.\t.\tAF=0.1;FLAG\nchr2\t7\t.\tAC\tA\t.\tq\t.\nchr2\t9\t.\tg\t.\t.\t.\t.\n"
)


@pytest.fixture
def write(tmp_path):
    pytest.importorskip("vcfpy")

    def call(content, name="calls.vcf"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return call


def test_records(write, recwarn):
    path = write(HEADER + RECORDS)
    assert read_vcf(path) == [
        Variant("chr1", 5, "rs1;x", "A", ("C", "<DEL>", "*"), f"{path}:4"),
        Variant("chr2", 7, "", "AC", ("A",), f"{path}:5"),
        Variant("chr2", 9, "", "g", (), f"{path}:6"),
    ]
    assert not recwarn.list


@pytest.mark.parametrize("name", ["calls.vcf.gz", "calls.vcf"])
def test_compressed_is_told_by_content(write, name):
    assert len(read_vcf(write(gzip.compress((HEADER + RECORDS).encode()), name))) == 3


def test_genotypes_are_passed_over(write):
    header = HEADER.replace("INFO\n", "INFO\tFORMAT\ts1\n")
    assert len(read_vcf(write(header + "chr1\t5\t.\tA\tC\t.\tPASS\t.\tGT\t0/1\n"))) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty file"),
        (">a\nACGT\n", "cannot read the VCF"),
        ("##fileformat=VCFv4.2\n", "cannot read the VCF"),
        (HEADER, "no variants"),
        (HEADER + "chr1\t5\t.\tA\n", r"calls\.vcf:4"),
        (HEADER + RECORDS + "chr1 5 . A C . . .\n", r"calls\.vcf:7"),
        (HEADER + "chr1\tfive\t.\tA\tC\t.\t.\t.\n", r"calls\.vcf:4.*five"),
        (b"\x00\xff\xfe", "cannot read the VCF"),
        (gzip.compress((HEADER + RECORDS * 500).encode())[:-30], "ends too early"),
    ],
)
def test_files_that_are_no_vcf(write, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_vcf(write(content))
    assert "\n" not in caught.value.line()


def test_a_folder_and_a_missing_file(write, tmp_path):
    with pytest.raises(DataError, match="not a file"):
        read_vcf(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_vcf(tmp_path / "none.vcf")


def test_without_the_library(monkeypatch, tmp_path):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(CmgemsError, match=r"variants need vcfpy: .* pip install 'cmgems\[variants\]'"):
        read_vcf(tmp_path / "none.vcf")

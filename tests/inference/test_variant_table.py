"""Variants from tables, and what is no table."""

import csv
import gzip
import io
import json

import pytest

from cmgems.errors import DataError
from cmgems.inference import Variant, read_variants
from cmgems.reading import Invalid

ROWS = [
    ("chr1", "5", "A", "C,G", "rs1", "1"),
    ("chr2", "7", "AC", "TC", "", "0"),
    ("chr2", "9", "g", ".", "", ""),
]
EXPECTED = [
    ("chr1", 5, "rs1", "A", ("C", "G")),
    ("chr2", 7, "", "AC", ("TC",)),
    ("chr2", 9, "", "g", ()),
]
HEADER = ("chrom", "pos", "ref", "alt", "id", "label")


def text(delimiter=",", header=HEADER):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows([header, *ROWS])
    return out.getvalue()


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v.csv", text()),
        ("v.tsv", text("\t")),
        ("v.txt", text("\t")),
        ("v.csv.gz", gzip.compress(text().encode(), mtime=0)),
        ("v.csv", text(header=("CHR", "Position", "Reference", "Alternate", "Name", "label"))),
        ("v.jsonl", "".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in ROWS)),
    ],
)
def test_tables(tmp_path, name, content):
    found = list(read_variants(write(tmp_path / name, content)))
    assert [(v.contig, v.position, v.id, v.ref, v.alts) for v in found] == EXPECTED
    assert [v.fields["label"] for v in found] == ["1", "0", ""]
    assert found[0].where == f"{tmp_path / name}:2" if not name.endswith("jsonl") else ":1" in found[0].where


def test_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = dict(zip(HEADER, map(list, zip(*ROWS, strict=True)), strict=True))
    columns["pos"] = [5, 7, 9]
    parquet.write_table(arrow.table(columns), tmp_path / "v.parquet")
    found = list(read_variants(tmp_path / "v.parquet"))
    assert [(v.contig, v.position, v.id, v.ref, v.alts) for v in found] == EXPECTED


def test_whatever_is_no_table_is_vcf(tmp_path):
    vcf = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nchr1\t5\trs1\tA\tC\t.\t.\tAC=3\n"
    path = write(tmp_path / "v.csv", vcf)
    (found,) = read_variants(path)
    assert found == Variant("chr1", 5, "rs1", "A", ("C",), f"{path}:3")
    assert found.fields == {"INFO": "AC=3"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty file"),
        ("chrom,pos,ref\nchr1,5,A\n", r"columns missing in .*v\.csv:1: no alt; it has chrom, pos, ref"),
        ("sequence,label\nACGT,1\n", "no VCF header"),
        (">a\nACGT\n", "no VCF header .*it is FASTA"),
        (",".join(HEADER) + "\n", "no variants"),
        (text().replace(",5,", ",five,"), r"not a variant in .*v\.csv:2: the position is 'five'"),
        (text().replace(",5,", ",,"), r"v\.csv:2: the position is ''"),
        (text().replace("chr1", ""), r"v\.csv:2: the contig, the reference or the alternative is empty"),
        (text() + "chr1,5,A\n", r"fewer cells than columns in .*v\.csv:5"),
    ],
)
def test_bad_files(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        list(read_variants(write(tmp_path / "v.csv", content)))


def test_records_are_left_out_if_asked(tmp_path):
    invalid = Invalid(skip=True)
    path = write(tmp_path / "v.csv", text().replace(",5,", ",five,"))
    assert len(list(read_variants(path, invalid))) == 2
    assert invalid.skipped == [(f"{path}:2", "not a variant: the position is 'five'")]

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import dnaio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cmgems.reading.text as text_module
from cmgems.errors import DataError
from cmgems.genome import read_fasta
from cmgems.reading import Invalid

LONG = b">c1\n" + b"ACGTGGTTCA" * 5000 + b"\n"

BAD_FILES = {
    "empty": (b"", "empty file"),
    "blank": (b"\n\n", "no FASTA header"),
    "no header": (b"ACGT\n>a\nACGT\n", "no FASTA header"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\x00", "no FASTA header"),
    "nameless": (b">\nACGT\n", "contig without a name"),
    "nameless second": (b">a\nA\n> b\nACGT\n", "contig without a name"),
    "no sequence": (b">a\n>b\nACGT\n", "empty contig in {path}, contig a"),
    "no sequence at the end": (b">b\nACGT\n>a\n", "empty contig in {path}, contig a"),
    "lines that end in CR": (b">a text\rACGT\r>b\rACGT\r", "lines that end in CR alone in {path}"),
    "a header that ends in CR": (b">a\rACGT\nACGT\n", "lines that end in CR alone in {path}"),
    "protein": (b">p\nMKVLAAGIVE\n", "looks like protein in {path}, contig p, position 4: found 'L'"),
    "stop codon": (b">p\nACGT*\n", "looks like protein"),
    "RNA": (b">r\nACGU\n", "looks like RNA in {path}, contig r, position 4: found 'U'; convert U to T"),
    "gap": (b">a\nAC\nG-T\n", "gaps of an alignment in {path}, contig a, position 4: found '-'"),
    "k-mers": (
        b">a\nACGTAC CGTACG GTACGT\n",
        "overlapping k-mers in FASTA in {path}: ACGTAC is followed by CGTACG",
    ),
    "k-mers between tabs": (
        b">a\nACG\tCGT\tGTA\n",
        "overlapping k-mers in FASTA in {path}: ACG is followed by CGT",
    ),
    "masked with X": (b">a\nACXXT\n", "masked with X in {path}, contig a, position 3"),
    "files joined without a line end": (b">a\nACGT>b\nACGT\n", "header inside a line in {path}, contig a"),
    "FASTQ": (b"@r1\nACGT\n+\nFFFF\n", "no FASTA header in {path}: it is FASTQ"),
    "GenBank": (b"LOCUS       X 4 bp\nORIGIN\n        1 acgt\n//\n", "it is GenBank"),
    "VCF": (b"##fileformat=VCFv4.2\n", "it is VCF"),
    "UTF-16": (">a\nACGT\n".encode("utf-16"), "it is UTF-16 text"),
    "2bit": (bytes.fromhex("4327411a") + b"\0" * 12, "it is 2bit"),
    "zip": (b"PK\x03\x04" + b"\0" * 30, "it is a zip archive"),
    "web page": (b"<!DOCTYPE html>\n<html>", "it is a web page"),
    "only a comment": (b";a\nACGT\n", "no FASTA header"),
    "digit": (b">a\n1 ACGT\n", "found '1'"),
    "NUL": (b">a\nAC\x00T\n", "position 3: found 'byte 0x00'"),
    "not UTF-8 in the name": (b">caf\xe9 x\nACGT\n", "name is not UTF-8"),
    "not UTF-8 in the sequence": (b">a\nAC\xe9\n", "found 'byte 0xE9'"),
    "control character in the name": (b">a\x07b\nACGT\n", "unprintable contig name"),
    "truncated gzip": (gzip.compress(LONG)[:-20], "the compressed data ends too early"),
    "damaged gzip": (b"\x1f\x8b\x08\x00garbage garbage garbage", "cannot read to the end"),
    "truncated xz": (lzma.compress(LONG)[:-20], "cannot read to the end"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(case: str, tmp_path: Path) -> None:
    content, message = BAD_FILES[case]
    path = tmp_path / "in.fa"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_fasta(path))
    assert message.format(path=path) in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        list(read_fasta(tmp_path / "none.fa"))
    with pytest.raises(DataError, match="not a file"):
        list(read_fasta(tmp_path))


@pytest.mark.parametrize("suffix", [".gz", ".bgz", ".zst", ".xz", ".bz2"])
def test_plain_file_named_as_compressed(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"genome.fa{suffix}"
    path.write_bytes(LONG)
    with pytest.raises(DataError, match="not a compressed file"):
        list(read_fasta(path))


@pytest.mark.parametrize(
    "packed",
    [LONG, gzip.compress(LONG), gzip.compress(LONG[:100]) + gzip.compress(LONG[100:]), bz2.compress(LONG)],
    ids=["plain", "gzip", "two gzip members", "bzip2"],
)
def test_compression_is_told_by_content(packed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "genome"
    path.write_bytes(packed)
    (record,) = read_fasta(path)
    assert record.name == "c1"
    assert record.sequence == LONG[4:-1]


def test_name_is_the_first_word_and_case_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "in.fa"
    path.write_bytes("\n>chr1 text > é\r\nacG \r\n\r\n\tTn\r\n>chr2\nRYSWKMBDHV".encode())
    assert [(r.name, r.sequence) for r in read_fasta(path)] == [("chr1", b"acGTn"), ("chr2", b"RYSWKMBDHV")]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf>a x\nACGT\nACGT\n",
        b";made by hand\n>a\nACGT\n;half\nACGT\n",
        b">a\nACGT ACGT\n",
        b">a\nA C G T A C G T\n",
        b">a caf\xe9\r\nACGTACGT\r\n",
        b"\n\n>a;b\n\nACGTACGT\n\n",
    ],
)
def test_what_does_not_matter(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "in.fa"
    path.write_bytes(content)
    assert [(r.name.split(";")[0], r.sequence) for r in read_fasta(path)] == [("a", b"ACGTACGT")]


def test_blocks_of_n_are_no_kmers(tmp_path: Path) -> None:
    path = tmp_path / "in.fa"
    path.write_bytes(b">a\nNNNNN NNNNN NNNNN ACGTA CGTAC\n")
    assert [len(record.sequence) for record in read_fasta(path)] == [25]


def test_bad_records_are_left_out_by_name(tmp_path: Path) -> None:
    path = tmp_path / "in.fa"
    path.write_bytes(b">a\nACGT\n>\nACGT\n>none\n>rna\nACGU\n>z\nNN\n")
    invalid = Invalid("--skip-invalid", skip=True)
    assert [record.name for record in read_fasta(path, invalid)] == ["a", "z"]
    assert [where.removeprefix(f"{path}, ") for where, _ in invalid.skipped] == [
        "contig 2", "contig none", "contig rna, position 4",
    ]  # fmt: skip
    with pytest.raises(DataError, match="give it one; --skip-invalid leaves such records out"):
        list(read_fasta(path, Invalid("--skip-invalid")))


names = st.text("abcXYZ019_.|", min_size=1, max_size=8)
sequences = st.text("ACGTNacgtnRY", min_size=1, max_size=200)
records = st.lists(st.tuples(names, sequences), min_size=1, max_size=8)


@given(
    records=records,
    width=st.integers(1, 70),
    block=st.integers(1, 50),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_agrees_with_dnaio_whatever_the_blocks(
    records: list[tuple[str, str]],
    width: int,
    block: int,
    newline: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / "dnaio.fa"
    with open(path, "w", newline="") as handle:
        for name, sequence in records:
            lines = [sequence[i : i + width] for i in range(0, len(sequence), width)]
            handle.write(newline.join([f">{name} text", *lines, ""]))
    with pytest.MonkeyPatch.context() as patch, dnaio.open(path, fileformat="fasta") as reader:
        patch.setattr(text_module, "BLOCK_BYTES", block)
        ours = [(record.name, record.sequence.decode()) for record in read_fasta(path)]
        assert ours == [(record.id, record.sequence) for record in reader] == records

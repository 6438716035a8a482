"""Reading BED."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.errors import DataError
from cmgems.inference.bed import Interval, read_bed
from cmgems.reading import Invalid


@pytest.fixture
def write(tmp_path):
    def call(content, name="regions.bed"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return call


def columns(path):
    return [(i.contig, i.start, i.end, i.name, i.strand) for i in read_bed(path)]


def test_intervals(write):
    path = write(
        "browser position x\ntrack name=x\n#c\n\n \nchr1\t0\t4\nchr1\t2\t6\tpeak\t0\t-\nchr2\t0\t5\t.\t0\t.\n"
    )
    assert list(read_bed(path)) == [
        Interval("chr1", 0, 4, "", ".", f"{path}:6"),
        Interval("chr1", 2, 6, "peak", "-", f"{path}:7"),
        Interval("chr2", 0, 5, "", ".", f"{path}:8"),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("chr1\t0\t4\ta", ("chr1", 0, 4, "a", ".")),
        ("chr1\t0\t4\ta\t0.5", ("chr1", 0, 4, "a", ".")),
        ("chr1\t0\t9\tt.\t0\t+\t0\t9\t0\t2\t1,2,\t0,7,", ("chr1", 0, 9, "t.", "+")),
        ("chr1\t0\t4\ta\t10\t.\t1.5\t-1\t2.5\t2", ("chr1", 0, 4, "a", ".")),
        ("HLA-A*01:01|ü x\t0\t4", ("HLA-A*01:01|ü x", 0, 4, "", ".")),
        ("track1\t0\t4", ("track1", 0, 4, "", ".")),
    ],
)
def test_what_the_field_writes(write, line, expected):
    assert columns(write(line)) == [expected]
    assert columns(write(line + "\r\n" + line + "\r\n")) == [expected, expected]


@pytest.mark.parametrize("name", ["regions.bed.gz", "regions.bed"])
def test_compressed_is_told_by_content(write, name):
    assert len(list(read_bed(write(gzip.compress(b"chr1\t0\t4\n" * 3), name)))) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty file"),
        (
            "#\nchr1 0 4\n",
            r"not a BED line in .*regions\.bed:2: 'chr1 0 4', the columns are separated by spaces",
        ),
        ("chr1\t0\n", "it has 2 columns"),
        ("chr1\t0\tx\n", "'x' is no position"),
        ("chrom\tstart\tend\nchr1\t0\t4\n", "bed:1: 'start' is no position; .*column names with #"),
        ("chr1\t1.0\t4\n", "'1.0' is no position"),
        ("chr1\t\t4\n", "'' is no position"),
        ("chr1\t-1\t4\n", "'-1' is no position; write whole numbers, 0 or more"),
        ("chr1\t5\t4\n", "end before start in .*: 5-4"),
        ("chr1\t0\t4\nchr1\t4\t4\n", "empty interval in .*bed:2: 4-4: .*first base is 0.* write 3 4"),
        ("chr1\t0\t0\n", "empty interval in .*write 0 1"),
        ("chr1\t1_0\t20\n", "'1_0' is no position"),
        ("chr1\t+1\t4\n", "is no position"),
        ("chr1\t 1\t4\n", "is no position"),
        (" chr1\t1\t4\n", "contig ' chr1'"),
        ("chr1\t0\t4\ta\t0\t?\n", "not a strand in .*bed:1: '[?]' in column 6"),
        ("chr1\t0\t" + "9" * 5000, "is no position"),
        ("chr1\t0\t4\n" + ">a\nACGT\n", r"regions\.bed:2.*it is FASTA"),
        (b"chr\xff\t0\t4\n", "UTF-8"),
        ("chr1\t0\t4\n".encode("utf-16"), "UTF-16"),
        (gzip.compress(b"chr1\t0\t4\n" * 5000, mtime=0)[:-20], "ends too early"),
    ],
)
def test_files_that_are_no_bed(write, content, message):
    with pytest.raises(DataError, match=message) as caught:
        list(read_bed(write(content)))
    assert "\n" not in caught.value.line()
    assert len(caught.value.line()) < 400


def test_a_folder_and_a_missing_file(write, tmp_path):
    with pytest.raises(DataError, match="not a file"):
        list(read_bed(tmp_path))
    with pytest.raises(DataError, match="no such file"):
        list(read_bed(tmp_path / "none.bed"))


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"# caf\xe9\n"], ids=["UTF-8 mark", "comment in Latin-1"])
def test_what_does_not_matter(write, mark):
    assert columns(write(mark + b"chr1\t0\t4\r\n")) == [("chr1", 0, 4, "", ".")]


def test_bad_records_are_left_out_by_name(write):
    path = write("chr1\t0\t4\nchr1\t4\t4\nchr1 5 6\nchr2\t1\t2\n")
    invalid = Invalid("--skip-invalid", skip=True)
    assert [interval.contig for interval in read_bed(path, invalid)] == ["chr1", "chr2"]
    assert [where for where, _ in invalid.skipped] == [f"{path}:2", f"{path}:3"]
    with pytest.raises(DataError, match="; --skip-invalid leaves such records out"):
        list(read_bed(path, Invalid("--skip-invalid")))


@pytest.mark.parametrize(
    ("lines", "column"),
    [
        (["chr1\t0\t4\t-", "chr1\t0\t4\t+"], 4),
        (["chr1\t0\t4\t-\t0", "chr1\t0\t4\t.\t1"], 4),
        (["chr1\t0\t4\ta\t-"], 5),
        (["chr1\t0\t4\t+\t0\t."], 4),
        (["chr1\t0\t4\t-", "chr1\t0\t4\ta\t0\t-"], 4),
        (["chr1\t0\t4\ta\t0\t-"], None),
        (["chr1\t0\t4\t-\t0\t-"], None),
        (["chr1\t0\t4\ta", "chr1\t0\t4\t-"], None),
        (["chr1\t0\t4\t.\t."], None),
        (["chr1\t0\t4"], None),
    ],
)
def test_a_strand_in_another_column(write, recwarn, lines, column):
    list(read_bed(write("\n".join(lines))))
    assert [f"column {column} seems to hold the strand" in str(w.message) for w in recwarn] == [True] * bool(
        column
    )


@given(
    records=st.lists(st.tuples(st.sampled_from("12X"), st.integers(0, 99), st.integers(1, 99)), max_size=20),
    blanks=st.sampled_from(["", "\n", "# x\n", "\r\n"]),
)
def test_every_record_is_read(records, blanks, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "every.bed"
    path.write_text("#\n" + "".join(f"{blanks}{c}\t{s}\t{s + n}\n" for c, s, n in records), newline="")
    assert [(i.contig, i.start, i.end - i.start) for i in read_bed(path)] == records

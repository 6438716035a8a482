"""Reading BED."""

import gzip

import pytest

from cmgems import extras
from cmgems.errors import CmgemsError, DataError
from cmgems.inference.bed import Interval, read_bed


@pytest.fixture
def write(tmp_path):
    pytest.importorskip("bx")

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
    assert read_bed(path) == [
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
        ("chr1\t0\t0", ("chr1", 0, 0, "", ".")),
    ],
)
def test_what_the_field_writes(write, line, expected):
    assert columns(write(line)) == [expected]
    assert columns(write(line + "\r\n" + line + "\r\n")) == [expected, expected]


@pytest.mark.parametrize("name", ["regions.bed.gz", "regions.bed"])
def test_compressed_is_told_by_content(write, name):
    assert len(read_bed(write(gzip.compress(b"chr1\t0\t4\n" * 3), name))) == 3


def test_more_comments_than_python_may_nest_calls(write):
    assert len(read_bed(write("#\n\n" * 3000 + "chr1\t0\t4\n"))) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty file"),
        ("#\nchr1 0 4\n", r"not a BED line in .*regions\.bed:2: 'chr1 0 4', No field"),
        ("chr1\t0\n", "No field"),
        ("chr1\t0\tx\n", "not a BED line .*'x'"),
        ("chr1\t1.0\t4\n", "not a BED line"),
        ("chr1\t\t4\n", "not a BED line"),
        ("chr1\t5\t4\n", "not a BED line .*Start is greater"),
        ("chr1\t1_0\t20\n", r"would be read as 'chr1\\t10\\t20'"),
        ("chr1\t+1\t4\n", "would be read"),
        ("chr1\t 1\t4\n", "would be read"),
        (" chr1\t1\t4\n", "would be read"),
        ("chr1\t0\t4\ta\t0\t?\n", "not a BED line .*Strand"),
        ("chr1\t0\t" + "9" * 5000, "not a BED line"),
        ("chr1\t0\t4\n" + ">a\nACGT\n", r"regions\.bed:2"),
        (b"chr\xff\t0\t4\n", "cannot read .*utf-8"),
        (gzip.compress(b"chr1\t0\t4\n" * 5000)[:-20], "ends too early"),
    ],
)
def test_files_that_are_no_bed(write, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_bed(write(content))
    assert "\n" not in caught.value.line()
    assert len(caught.value.line()) < 400


def test_a_folder_and_a_missing_file(write, tmp_path):
    with pytest.raises(DataError, match="not a file"):
        read_bed(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_bed(tmp_path / "none.bed")


def test_without_the_library(monkeypatch, tmp_path):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(CmgemsError, match=r"BED files need bx: .* pip install 'cmgems\[bed\]'"):
        read_bed(tmp_path / "none.bed")

"""Reading rows: columns, rows that cannot be used, and every layout of the same set."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.data.columns import Columns
from cmgems.data.label_files import RowReader, labels_content, spelt_out, write_rows
from cmgems.data.layouts import find_layout
from cmgems.errors import DataError, RecordError
from cmgems.reading import Invalid

STOP = Invalid("data.invalid=skip")


@pytest.fixture
def write(tmp_path):
    def write(text, name="train.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def read(path, columns=("label",), invalid=STOP, **options):
    """The rows of a training file."""
    reader = RowReader(Columns(labels=columns), invalid, **options)
    return reader.read(find_layout(path.parent), ("train",))["train"]


def test_rows_know_their_line(write):
    path = write('sequence,label\nACGT,a\n\n"ACGCGT","b"\r\n')
    first, second = read(path)
    assert first == (path, f"{path}:2", "ACGT", ("a",))
    assert (second.where, second.bases, second.cells) == (f"{path}:4", "ACGCGT", ("b",))


def test_columns_in_the_order_asked_for(write):
    path = write("b,name,sequence,a\n1,x,ACGT,2\n")
    assert [row.cells for row in read(path, ("a", "b"))] == [("2", "1")]
    assert [row.cells for row in read(path, ("b",))] == [("1",)]


MATRIX = ("id", "sequence", "split", "CTCF|liver", "CTCF|lung", "RNA", "strand")


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (("*",), ("CTCF|liver", "CTCF|lung", "RNA")),
        (("ctcf*",), ("CTCF|liver", "CTCF|lung")),
        (("*l*g",), ("CTCF|lung",)),
        (("RNA", "*"), ("RNA", "CTCF|liver", "CTCF|lung")),
        (("rna", "strand"), ("rna", "strand")),  # a name is taken at its word
        (("R*A", "*|li*"), ("RNA", "CTCF|liver")),
    ],
)
@pytest.mark.parametrize("one_table", [False, True])
def test_a_pattern_stands_for_the_label_columns_of_train(tmp_path, labels, found, one_table):
    header, row = ",".join(MATRIX), "x,ACGTAC,train,1,2,3,+"
    (tmp_path / ("all.csv" if one_table else "train.csv")).write_text(f"{header}\n{row}\n")
    columns = spelt_out(Columns(labels=labels), find_layout(tmp_path))
    assert columns.labels == found
    (read_row,) = RowReader(columns, STOP).read(find_layout(tmp_path), ("train",))["train"]
    values = dict(zip(map(str.lower, MATRIX), row.split(","), strict=True))
    assert read_row.cells == tuple(values[name.lower()] for name in found)


@pytest.mark.parametrize(
    ("header", "labels", "message"),
    [
        (
            "sequence,a,b",
            "c*",
            "no label columns in .*: no column is called c.; labels may be in a, b; name them in ",
        ),
        ("id,sequence,split", "*", "no label columns in .*: no column is called .; name them in data.labels"),
    ],
)
def test_a_pattern_that_fits_nothing_is_refused(write, header, labels, message):
    path = write(f"{header}\n")
    with pytest.raises(DataError, match=message):
        spelt_out(Columns(labels=(labels,)), find_layout(path.parent))


def test_a_column_called_so_is_no_pattern(write):
    path = write("sequence,a*,ab\nACGTAC,1,2\n")
    assert spelt_out(Columns(labels=("a*",)), find_layout(path.parent)).labels == ("a*",)


def test_case_matters_only_where_it_tells_columns_apart(write):
    path = write("Sequence,y,Y\nACGT,1,2\n")
    assert read(path, ("Y", "y"))[0].cells == ("2", "1")
    assert read(write("SEQUENCE,Label\nACGT,1\n"))[0].cells == ("1",)


def test_a_spreadsheets_byte_order_mark_is_no_part_of_the_name(write):
    assert read(write("\ufeffsequence,label\nACGT,1\n"))[0].bases == "ACGT"


def test_tabs_and_kmers(write):
    path = write("sequence\tlabel\nACG CGT GTT\t1\n", "train.tsv")
    assert read(path)[0].bases == "ACGTT"


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".txt"])
def test_the_header_tells_the_delimiter(write, delimiter, ending):
    path = write(f"sequence{delimiter}label\nACGT{delimiter}1\n", f"train{ending}")
    assert read(path)[0].cells == ("1",)


def test_empty_labels_only_where_they_mean_something(write):
    path = write("sequence,label\nACGT,\n")
    assert read(path, may_be_empty=True)[0].cells == ("",)
    with pytest.raises(DataError, match=rf"sequence or label missing in {path}:2"):
        read(path)


# Rows that cannot be used, and what is said about them.
UNUSABLE = [
    ("ACGT,1,5", "more cells than columns", "3 cells, 2 columns"),
    ("ACGT", "fewer cells than columns", "1 cells, 2 columns"),
    ('ACGT,"1', "stray quote", "does not end with one in the same line"),
    (",1", "sequence or label missing", ""),
    ("NaN,1", "sequence or label missing", ""),
    ("ACGT ACGT,1", "words that are not overlapping k-mers", "ACGT is followed by ACGT"),
    ("ACG CGTA,1", "words that are not overlapping k-mers", "ACG is followed by CGTA"),
    ("ACGU,1", "looks like RNA", "found 'U'"),
    ("ACXX,1", "masked with X", "found 'X'"),
    ("AC--GT,1", "gaps of an alignment", "found '-'"),
    ("MKVLA,1", "looks like protein", "found 'L'"),
    ("AC1T,1", "not DNA", "found '1'"),
]


@pytest.mark.parametrize(("row", "what", "why"), UNUSABLE)
@pytest.mark.parametrize("may_be_empty", [False, True])
def test_a_row_that_cannot_be_used_is_named_or_left_out(write, row, what, why, may_be_empty):
    path = write(f"sequence,label\nACGTAC,0\n{row}\nTTTTTT,1\n")
    with pytest.raises(RecordError, match=rf"{what} in .*train.csv:3\b.*{why}.*data.invalid=skip leaves"):
        read(path, may_be_empty=may_be_empty)
    skipping = Invalid("", skip=True)
    assert [found.bases for found in read(path, invalid=skipping)] == ["ACGTAC", "TTTTTT"]
    ((where, reason),) = skipping.skipped
    assert where.startswith(f"{path}:3")
    assert reason.startswith(what)
    assert why in reason


def test_empty_cells_behind_the_last_column_mean_nothing(write):
    assert read(write("sequence,label\nACGT,1,,\n"))[0].cells == ("1",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sequence,y\nACGT,1\n",
            "columns missing in .*:1: no 'label'; it has sequence, y; .* data.labels=y$",
        ),
        ("seq,target\nACGTAC,1\n", "no 'sequence', 'label'; .*: data.sequence=seq data.labels=target$"),
        ("id,dna,chrom,found\n1,ACGTAC,4,5\n", "data.sequence=dna data.labels=found$"),
        ("my seq,label\nACGTAC,1\n", "say which they are: 'data.sequence=my seq'$"),
        ("sequence,a,b\nACGTAC,1,2\n", "data.labels=COLUMN$"),
        ("sequence,Label,LABEL\nACGT,1,2\n", "column 'label' appears twice in .*train.csv:1"),
        ("ACGTACGT,1\nACGTACGA,0\n", "no header in .*train.csv:1: the first line is a row; .*sequence,label"),
        ("\n\n", "blank file in .*train.csv"),
        ("", "empty file in .*train.csv"),
        ("sequence,label\n", "no rows in .*train.csv"),
    ],
)
def test_files_that_cannot_be_used(write, text, message):
    for invalid in (STOP, Invalid("", skip=True)):
        with pytest.raises(DataError, match=message):
            read(write(text), invalid=invalid)


def test_the_names_of_the_columns_can_be_given(write):
    path = write("seq,target\nACGTAC,1\n")
    columns = Columns("seq", ("target",))
    assert RowReader(columns, STOP).read(find_layout(path.parent), ("train",))["train"][0].cells == ("1",)


def test_a_cell_may_hold_a_whole_contig(write):
    assert read(write(f"sequence,label\n{'ACGT' * 50_000},1\n"))[0].bases == "ACGT" * 50_000


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.csv", "sequence,label\n".encode("utf-16"), "it is UTF-16 text"),
        ("train.txt", "sequence\tlabel\n".encode("utf-16"), "it is UTF-16 text"),
        ("train.csv", b"PK\x03\x04", "it is a zip archive"),
        ("train.csv", b"sequence,label\nAC\xffGT,1\n", "not UTF-8 text in .*train.csv:2"),
        ("train.parquet", b"PAR1", "cannot read Parquet"),
        ("train.jsonl", b"sequence,label\n", "not JSON in .*train.jsonl:1"),
        ("train.fa", b"ACGT\n", "no FASTA header"),
        ("train.csv.gz", gzip.compress(b"sequence,label\nACGT,1\n" * 9, mtime=0)[:-9], "ends too early"),
    ],
)
def test_files_of_another_kind(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / name)


# --- one set in every layout

DRAW = random.Random(0)
SET = {
    split: [("".join(DRAW.choices("ACGTacgtN", k=12)), DRAW.choice(["no", "yes", "0.10"])) for _ in range(6)]
    for split in ("train", "dev", "test")
}


def as_csv(rows, delimiter=","):
    return "".join(f"{delimiter.join(row)}\n" for row in [("sequence", "label"), *rows])


def write_tables(folder, ending, make):
    for split, rows in SET.items():
        (folder / f"{split}{ending}").write_bytes(make(rows))


def write_parquet(rows):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    sink = arrow.BufferOutputStream()
    columns = {"sequence": [row[0] for row in rows], "label": [row[1] for row in rows], "task": None}
    parquet.write_table(arrow.table({**columns, "task": [["a"]] * len(rows)}), sink)
    return sink.getvalue().to_pybytes()


def write_json(rows):
    return "".join(
        f'{{"label": {json.dumps(label)}, "sequence": "{bases}"}}\n' for bases, label in rows
    ).encode()


def write_kmers(rows):
    words = [(" ".join(bases[i : i + 6] for i in range(len(bases) - 5)), label) for bases, label in rows]
    return as_csv(words, "\t").encode()


TABLES = {
    ".csv": lambda rows: as_csv(rows).encode(),
    ".CSV": lambda rows: as_csv(rows).replace("\n", "\r\n").encode("utf-8-sig"),
    ".tsv": lambda rows: as_csv(rows, "\t").encode(),
    ".txt": write_kmers,
    ".csv.gz": lambda rows: gzip.compress(as_csv(rows).encode()),
    ".tsv.bz2": lambda rows: bz2.compress(as_csv(rows, "\t").encode()),
    ".csv.xz": lambda rows: lzma.compress(as_csv(rows).encode()),
    ".jsonl": write_json,
    ".jsonl.gz": lambda rows: gzip.compress(write_json(rows)),
    ".parquet": write_parquet,
    ".fna": lambda rows: "".join(f">chr1:{n}|x|{row[1]}\n{row[0]}\n" for n, row in enumerate(rows)).encode(),
    ".fa.gz": lambda rows: gzip.compress("".join(f">{row[1]}|{row[1]}\n{row[0]}\n" for row in rows).encode()),
}


@pytest.mark.parametrize("ending", TABLES)
def test_tables_and_fasta_give_the_same_rows(tmp_path, ending):
    write_tables(tmp_path, ending, TABLES[ending])
    found = RowReader(Columns(), STOP).read(find_layout(tmp_path))
    assert {split: [(row.bases, *row.cells) for row in rows] for split, rows in found.items()} == SET


def test_class_folders_give_the_same_rows(tmp_path):
    for split, rows in SET.items():
        for n, (bases, label) in enumerate(rows):
            path = tmp_path / split / label / f"{n}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(bases)
    found = RowReader(Columns(), STOP).read(find_layout(tmp_path))
    for split, rows in found.items():
        assert sorted((row.bases, *row.cells) for row in rows) == sorted(SET[split])
    assert found["train"][0].where.startswith(f"{tmp_path}/train/0.10/")


@pytest.mark.parametrize("names", [("train", "dev", "test"), ("Training", "VAL", "Test")])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_one_file_with_a_column_of_splits_gives_the_same_rows(tmp_path, names, form):
    rows = [(*row, name) for name, of_split in zip(names, SET.values(), strict=True) for row in of_split]
    DRAW.shuffle(rows)
    keys = ("sequence", "label", "split")
    if form == "csv":
        (tmp_path / "all.csv").write_text("".join(f"{','.join(row)}\n" for row in [keys, *rows]))
    else:
        lines = (json.dumps(dict(zip(keys, row, strict=True))) for row in rows)
        (tmp_path / "all.jsonl").write_text("\n".join(lines))
    found = RowReader(Columns(), STOP).read(find_layout(tmp_path))
    for split, of_split in found.items():
        assert sorted((row.bases, *row.cells) for row in of_split) == sorted(SET[split])


@pytest.mark.parametrize(
    ("name", "content", "kept", "where"),
    [
        ("train.jsonl", '{"sequence": "ACGT", "label": 1}\n{"sequence": "AC\n', ["ACGT"], "train.jsonl:2"),
        ("train.jsonl", '{"sequence": "ACGT", "label": 1}\n[1]\n', ["ACGT"], "train.jsonl:2"),
        ("train.jsonl", '{"sequence": "ACGT", "label": 1}\n{"sequence": "AC"}\n', ["ACGT"], "train.jsonl:2"),
        ("train.jsonl", '{"sequence": "ACGT", "label": [1]}\n', None, "several values in one cell"),
        ("train.fa", ">a|1\nACGT\n>b\nACGT\n", ["ACGT"], "train.fa, record b"),
        ("train/x/1.txt", "ACGT\nACGT\n", None, "not one sequence in .*/train/x/1.txt: 2 lines"),
        ("train/x/1.txt", "", None, "empty file in .*/train/x/1.txt"),
    ],
)
def test_records_of_other_layouts_that_cannot_be_used(tmp_path, name, content, kept, where):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content)
    with pytest.raises(RecordError, match=where):
        read(tmp_path / "train")
    if kept:
        skipping = Invalid("", skip=True)
        assert [row.bases for row in read(tmp_path / "train", invalid=skipping)] == kept
        assert len(skipping.skipped) == 1


def test_a_row_of_no_split_is_left_out(write):
    path = write("sequence,label,split\nACGT,1,train\nACGA,1,\nACGG,0,holdout\n", "all.csv")
    with pytest.raises(RecordError, match=r"no such split in .*all.csv:3: found ''; write train, dev, test"):
        read(path)
    skipping = Invalid("", skip=True)
    assert [row.bases for row in read(path, invalid=skipping)] == ["ACGT"]
    assert [where for where, _ in skipping.skipped] == [f"{path}:3", f"{path}:4"]


def test_a_split_that_no_row_is_of(write):
    path = write("sequence,label,split\nACGT,1,train\n", "all.csv")
    with pytest.raises(DataError, match=r"no test rows in .*all.csv"):
        RowReader(Columns(), STOP).read(find_layout(path.parent))


@pytest.mark.parametrize("name", ["train.fa", "train/x/1.txt"])
def test_other_layouts_hold_one_label(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(">a|1\nACGT\n")
    with pytest.raises(DataError, match=r"one label a sequence in .*: a, b are wanted"):
        read(tmp_path / "train", ("a", "b"))


@given(st.lists(st.tuples(st.text("ACGTN", min_size=1), st.text('ab"; ,', min_size=1)), min_size=1))
def test_what_is_written_is_read(tmp_path_factory, rows):
    rows = [(bases, label) for bases, label in rows if label.strip() and bases.lower() not in ("na", "nan")]
    folder = tmp_path_factory.mktemp("rows")
    write_rows(folder / "train.csv", rows)
    if rows:
        assert [(row.bases, row.cells[0]) for row in read(folder / "train.csv")] == [
            (bases, label.strip()) for bases, label in rows
        ]


def test_the_content_of_every_layout(tmp_path):
    names = ("all.csv", "set/train.csv", "set/test.csv", "classes/train/a/1.txt", "classes/test/b/1.txt")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("sequence,label,split\n")
    for folder, file in (("", "all.csv"), ("set", "train.csv"), ("classes", "train/a/1.txt")):
        before = labels_content(tmp_path / folder)
        (tmp_path / folder / file).write_text("sequence,label,split\nACGT,1,train\n")
        after = labels_content(tmp_path / folder)
        assert [name for name in after if after[name] != before[name]] == [file.split("/")[0]]

"""Which file of a folder is which split."""

from __future__ import annotations

import pytest

from cmgems.data.layouts import find_layout
from cmgems.errors import DataError

TABLE = "sequence,label\nACGT,1\n"


def make(folder, *names, text=TABLE):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def found(folder):
    return {split: str(path.relative_to(folder)) for split, path in find_layout(folder).files.items()}


@pytest.mark.parametrize("name", ["dev", "valid", "validation", "val", "Valid"])
@pytest.mark.parametrize("ending", [".csv", ".tsv.gz", ".parquet", ".fna"])
def test_the_dev_file_has_many_names(tmp_path, name, ending):
    make(tmp_path, f"{name}{ending}", "train.csv", "test.csv")
    assert found(tmp_path) == {"train": "train.csv", "dev": f"{name}{ending}", "test": "test.csv"}
    assert find_layout(tmp_path).unread == ()


@pytest.mark.parametrize(
    "pair", [("dev.csv", "valid.csv"), ("val.csv", "validation.tsv"), ("train.csv", "training.csv")]
)
def test_a_split_under_two_names_is_refused(tmp_path, pair):
    make(tmp_path, "train.csv", "test.csv", *pair)
    with pytest.raises(DataError, match=f"two .* sets in .*: {pair[0]} and {pair[1]}; keep one"):
        find_layout(tmp_path)


@pytest.mark.parametrize(
    "unread",
    ["train.tsv", "test.csv.gz", "train_2.csv", "test-00001-of-00002.parquet", "train.old.csv", "dev2.csv"],
)
def test_a_file_that_looks_like_a_split_is_named(tmp_path, unread):
    make(tmp_path, "train.csv", "dev.csv", "test.csv", unread, "training_log.pdf", "notes.txt", "tested.csv")
    layout = find_layout(tmp_path)
    assert [path.name for path in layout.unread] == [unread]
    assert [path.name for path in layout.paths] == ["train.csv", "dev.csv", "test.csv"]


def test_the_test_set_may_be_one_folder_up(tmp_path):
    make(tmp_path, "test.tsv", "10/train.csv", "dev.csv")
    layout = find_layout(tmp_path / "10")
    assert layout.files == {"train": tmp_path / "10/train.csv", "test": tmp_path.resolve() / "test.tsv"}
    make(tmp_path, "10/test.csv")
    assert find_layout(tmp_path / "10").files["test"] == tmp_path / "10/test.csv"


def test_class_folders(tmp_path):
    make(tmp_path, "train/a/1.txt", "train/b/1.txt", "test/a/1.txt.gz", "dev/notes.txt", "valid/a/1.fa")
    assert found(tmp_path) == {"train": "train", "test": "test"}


def test_one_table_with_a_column_of_splits(tmp_path):
    make(tmp_path, "README.txt", "other.csv")
    make(tmp_path, "all.csv", text="sequence,label,Split\n")
    layout = find_layout(tmp_path)
    assert (layout.one_file, layout.files, layout.has_train) == (tmp_path / "all.csv", {}, True)
    make(tmp_path, "train.csv")
    assert find_layout(tmp_path).one_file is None


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ((), "the folder is empty"),
        (("genome.bed", "labels/x.csv"), "it holds genome.bed, labels/"),
        (("train/positive.csv.gz", "metadata.yaml"), "it holds metadata.yaml, train/"),
        ((*(f"{n}.h5" for n in range(9)),), "it holds 0.h5, 1.h5, 2.h5, 3.h5 and 5 more"),
    ],
)
def test_what_else_a_folder_holds_is_said(tmp_path, names, why):
    layout = find_layout(make(tmp_path, *names))
    assert not layout.has_train
    error = layout.missing("train")
    assert error.line().startswith(
        f"no train file in {tmp_path}: {why}; put train.csv (sequence,label) there"
    )


def test_no_folder(tmp_path):
    make(tmp_path, "data.csv")
    for name, message in (("nothing", "no such folder"), ("data.csv", "not a folder")):
        with pytest.raises(DataError, match=message):
            find_layout(tmp_path / name)

"""Files of vectors, read back by the libraries that users read them with."""

import csv

import numpy as np
import pytest

from cmgems import extras
from cmgems.errors import CmgemsError
from cmgems.inference import Vectors, check_table, write_vectors

VECTORS = np.arange(30, dtype=np.float32).reshape(10, 3)
COLUMNS = {"name": [f"s{i}" for i in range(10)], "start": list(range(10))}


def write(path):
    parts = [
        Vectors({name: values[rows] for name, values in COLUMNS.items()}, VECTORS[rows], 2)
        for rows in (slice(0, 4), slice(4, 5), slice(5, 10))
    ]
    assert write_vectors(path, parts) == (6, 10, 3)


def test_npy_with_names_beside_it(tmp_path):
    write(tmp_path / "emb.npy")
    assert np.array_equal(np.load(tmp_path / "emb.npy"), VECTORS)
    assert np.array_equal(np.load(tmp_path / "emb.npy", mmap_mode="r"), VECTORS)
    rows = list(csv.DictReader((tmp_path / "emb.names.csv").open()))
    assert [r["name"] for r in rows] == COLUMNS["name"]
    assert [int(r["start"]) for r in rows] == COLUMNS["start"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["emb.names.csv", "emb.npy"]


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write(tmp_path / "emb.parquet")
    table = parquet.read_table(tmp_path / "emb.parquet").to_pydict()
    assert {name: table[name] for name in COLUMNS} == COLUMNS
    assert np.array_equal(np.array(table["embedding"], np.float32), VECTORS)


def test_h5(tmp_path):
    h5py = pytest.importorskip("h5py")
    write(tmp_path / "emb.h5")
    with h5py.File(tmp_path / "emb.h5") as file:
        assert np.array_equal(file["embedding"][:], VECTORS)
        assert file["name"].asstr()[:].tolist() == COLUMNS["name"]
        assert file["start"][:].tolist() == COLUMNS["start"]


@pytest.mark.parametrize("suffix", ["npy", "parquet", "h5"])
def test_nothing_is_left_of_a_table_that_fails(tmp_path, suffix):
    path = tmp_path / f"emb.{suffix}"
    if suffix != "npy":
        pytest.importorskip("pyarrow" if suffix == "parquet" else "h5py")
    path.write_text("the one before")

    def failing():
        yield Vectors({"name": ["a"]}, VECTORS[:1], 1)
        raise RuntimeError("the model broke")

    with pytest.raises(RuntimeError, match="model"):
        write_vectors(path, failing())
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "the one before"


@pytest.mark.parametrize(("suffix", "library"), [("parquet", "pyarrow"), ("h5", "h5py")])
def test_a_missing_library_is_named(tmp_path, monkeypatch, suffix, library):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(CmgemsError, match=rf"need {library}: .* pip install 'cmgems\[{suffix}\]'"):
        check_table(tmp_path / f"emb.{suffix}")


def test_unknown_endings_are_refused(tmp_path):
    with pytest.raises(CmgemsError, match=r"use \.npy"):
        check_table(tmp_path / "emb.pkl")

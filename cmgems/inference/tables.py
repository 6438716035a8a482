"""Results as files: CSV, and vectors as ``.npy`` with a ``.names.csv`` beside it, ``.parquet`` or ``.h5``.

Rows are written as they come, so the file may be larger than memory. This is the only module that knows pyarrow and
h5py.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from cmgems.errors import CmgemsError
from cmgems.extras import optional
from cmgems.files import atomic_path
from cmgems.inference.embed import Columns, Vectors
from cmgems.reading import COMPRESSED_ENDINGS, TABLE_FORMATS

# Of files that a reader would refuse, or read wrongly, if they held CSV.
OTHER_ENDINGS = {*COMPRESSED_ENDINGS, *TABLE_FORMATS, ".npy", ".json", ".xlsx"} - {".csv", ".txt"}
WriteRows = Callable[[Iterable[Sequence[object]]], None]
Add = Callable[[Columns, npt.NDArray[np.float32]], None]


@contextmanager
def open_csv(path: Path, columns: Sequence[str]) -> Iterator[WriteRows]:
    """Write a CSV file, whole or not at all; yields ``writerows(rows)``.

    Raises:
        CmgemsError: if the file cannot be written, or its name says that it is of another format.
    """
    if path.suffix.lower() in OTHER_ENDINGS:
        raise CmgemsError(
            "not written in this format", where=path, why="it would be CSV", fix="end the name in .csv"
        )
    with atomic_path(path) as partial, open(partial, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        yield writer.writerows


def write_vectors(path: Path, found: Iterable[Vectors]) -> tuple[int, int, int]:
    """Write vectors, whole or not at all; ``check_table`` says to which kinds of file.

    Args:
        path: File to write.
        found: Part by part; at least one, all with the same columns and the same D.

    Returns:
        How many sequences there were, how many vectors, and of how many values.

    Raises:
        CmgemsError: as ``check_table``; or if the file cannot be written.
    """
    check_table(path)
    sequences = rows = width = 0
    with WRITERS[path.suffix](path) as add:
        for part in found:
            add(part.columns, part.vectors)
            sequences += part.sequences
            rows, width = rows + len(part.vectors), part.vectors.shape[1]
    return sequences, rows, width


def check_table(path: Path) -> None:
    """Check that vectors can be written to ``path``, before hours of work.

    Raises:
        CmgemsError: for an unknown ending, or if the library for it is not installed.
    """
    if path.suffix not in WRITERS:
        raise CmgemsError(
            "unknown kind of file",
            where=path,
            why=f"it ends in {path.suffix!r}",
            fix="use .npy, .parquet or .h5",
        )
    if path.suffix == ".parquet":
        optional("pyarrow.parquet", extra="parquet", needed_for="Parquet files")
    if path.suffix == ".h5":
        optional("h5py", extra="h5", needed_for="HDF5 files")


@contextmanager
def _npy(path: Path) -> Iterator[Add]:
    rows = 0
    with (
        atomic_path(path.with_suffix(".names.csv")) as names,
        atomic_path(path) as partial,
        open(names, "w", newline="", encoding="utf-8") as text,
        open(partial, "wb") as out,
    ):
        writer = csv.writer(text, lineterminator="\n")

        def add(columns: Columns, vectors_RD: npt.NDArray[np.float32]) -> None:
            nonlocal rows
            if rows == 0:
                writer.writerow(columns)
                _npy_header(out, 0, vectors_RD.shape[1])
            rows += len(vectors_RD)
            writer.writerows(zip(*columns.values(), strict=True))
            out.write(np.ascontiguousarray(vectors_RD, "<f4").tobytes())
            end = out.tell()
            out.seek(0)
            _npy_header(out, rows, vectors_RD.shape[1])
            out.seek(end)

        yield add


def _npy_header(out: BinaryIO, rows: int, width: int) -> None:
    # NumPy pads the header so that the number of rows can grow in place.
    shape = {"descr": "<f4", "fortran_order": False, "shape": (rows, width)}
    np.lib.format.write_array_header_1_0(out, shape)


@contextmanager
def _parquet(path: Path) -> Iterator[Add]:
    arrow = optional("pyarrow", extra="parquet", needed_for="Parquet files")
    parquet = optional("pyarrow.parquet", extra="parquet", needed_for="Parquet files")
    writer: Any = None
    with atomic_path(path) as partial:
        try:

            def add(columns: Columns, vectors_RD: npt.NDArray[np.float32]) -> None:
                nonlocal writer
                flat = arrow.array(np.ascontiguousarray(vectors_RD).ravel())
                lists = arrow.FixedSizeListArray.from_arrays(flat, vectors_RD.shape[1])
                table = arrow.table({**{n: arrow.array(c) for n, c in columns.items()}, "embedding": lists})
                if writer is None:
                    writer = parquet.ParquetWriter(str(partial), table.schema)
                writer.write_table(table)

            yield add
        finally:
            if writer is not None:
                writer.close()


@contextmanager
def _h5(path: Path) -> Iterator[Add]:
    h5py = optional("h5py", extra="h5", needed_for="HDF5 files")
    with atomic_path(path) as partial, h5py.File(partial, "w", locking=False) as file:

        def add(columns: Columns, vectors_RD: npt.NDArray[np.float32]) -> None:
            arrays: dict[str, Any] = {"embedding": vectors_RD}
            for name, values in columns.items():
                text = values and isinstance(values[0], str)
                arrays[name] = np.array(values, h5py.string_dtype() if text else np.int64)
            for name, array in arrays.items():
                if name not in file:
                    file.create_dataset(name, data=array, maxshape=(None, *array.shape[1:]), chunks=True)
                else:
                    rows = len(file[name])
                    file[name].resize(rows + len(array), axis=0)
                    file[name][rows:] = array

        yield add


WRITERS = {".npy": _npy, ".parquet": _parquet, ".h5": _h5}

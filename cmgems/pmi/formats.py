"""Read a PMI table from a file: safetensors, our CSV, or the CSV published with GeneMask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmgems.errors import DataError
from cmgems.genome.alphabet import BASES
from cmgems.pmi.definitions import MINIMUM_OCCURRENCES, check_k, kmer, rank
from cmgems.reading import compression_of, read_lines, split_cells

TENSORS = ("count", "pmi", "npmi", "rank")
METADATA_KEY = "pmi_table"
METADATA_TYPES = {"k": int, "definition": str, "canonical": bool, "provenance": dict}
CSV_TYPES = {"kmer": str, "count": np.int64, "pmi": np.float64, "npmi": np.float64, "rank": np.int32}
# https://github.com/roysoumya/GeneMask; its other columns follow from these or from longer n-grams.
PUBLISHED_TYPES = {"ngram": str, "dp.true.pmi": np.float64, "norm_dp_true_pmi": np.float64}
REBUILD = "make the table again with `cmgems pmi build`"
_MAX_BYTES = 64 << 20


def read_fields(path: Path) -> dict[str, Any]:
    """The fields of a ``cmgems.pmi.table.PMITable`` in ``path``; the format is recognised by content.

    Raises:
        DataError: if the file is missing, damaged, or not a table of all k-mers of one length.
    """
    compressed = compression_of(path)
    if path.stat().st_size > _MAX_BYTES:
        raise DataError("not a PMI table", where=path, why="it is far too large", fix="check the path")
    with open(path, "rb") as handle:
        start = handle.read(9)
    # A safetensors file is the 8-byte length of a JSON object, then that object.
    return _read_safetensors(path) if start[8:] == b"{" and not compressed else _read_csv(path)


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            about = json.loads((file.metadata() or {})[METADATA_KEY])
            fields = {name: file.get_tensor(name) for name in TENSORS}
            for name, kind in METADATA_TYPES.items():
                if type(about[name]) is not kind:
                    raise TypeError(f"{name} is not a {kind.__name__}")
                fields[name] = about[name]
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = f"{type(error).__name__}: {error}"
        raise DataError("not a PMI table", where=path, why=why, fix=REBUILD) from error
    return fields


def _read_csv(path: Path) -> dict[str, Any]:
    try:
        lines = [line for line in read_lines(path) if line.text.strip()]
    except DataError as error:
        why = f"neither safetensors nor CSV: {error.what} {error.why}"
        raise DataError("not a PMI table", where=error.where, why=why, fix=error.fix or REBUILD) from error
    header, *rows = [split_cells(line, ",") for line in lines] or [[]]
    published = set(PUBLISHED_TYPES) <= set(header)
    types = PUBLISHED_TYPES if published else CSV_TYPES
    if missing := set(types) - set(header):
        why = f"no column {', '.join(sorted(missing))}"
        raise DataError(
            "not a PMI table", where=path, why=why, fix=f"give the columns {', '.join(CSV_TYPES)}"
        )
    numbered = zip([line.number for line in lines[1:]], rows, strict=True)
    columns = _columns(list(numbered), {name: header.index(name) for name in types}, types, path)
    if published:
        return _published_fields(columns, path)
    k = columns.pop("k")
    return {"k": k, "definition": "unknown", "canonical": False, **columns, "provenance": {"file": path.name}}


def _columns(
    rows: list[tuple[int, list[str]]], index: dict[str, int], types: dict[str, Any], path: Path
) -> dict[str, Any]:
    """The value columns in order of k-mer number, and ``k``; every k-mer must have exactly one row.

    ``rows`` are those of the file with their line numbers.
    """
    name_column, *value_columns = types
    if not rows:
        raise DataError("no k-mers", where=path, why="the header is all there is", fix=REBUILD)
    line, first = rows[0]
    k = len(first[index[name_column]]) if len(first) > index[name_column] else 0
    check_k(k, where=f"{path}:{line}")
    columns = {name: np.zeros(4**k, types[name]) for name in value_columns}
    seen = np.zeros(4**k, bool)
    for line, row in rows:
        try:
            if len(row) <= max(index.values()):
                raise ValueError("too few columns")
            number = _number(row[index[name_column]].upper(), k)
            if seen[number]:
                raise ValueError(f"{kmer(number, k)} is there twice")
            for name in value_columns:
                columns[name][number] = types[name](row[index[name]])
        except (ValueError, OverflowError) as error:
            raise DataError("bad row", where=f"{path}:{line}", why=str(error), fix=REBUILD) from error
        seen[number] = True
    if not seen.all():
        why = f"{np.sum(~seen)} of {4**k}, the first is {kmer(int(np.argmin(seen)), k)}"
        raise DataError("k-mers missing", where=path, why=why, fix="give each k-mer one row")
    return {"k": k, **columns}


def _number(name: str, k: int) -> int:
    if len(name) != k or set(name) - set(BASES):
        raise ValueError(f"{name!r} is not a {k}-mer of A, C, G, T")
    return int(name.translate(str.maketrans(BASES, "0123")), 4)


def _published_fields(columns: dict[str, Any], path: Path) -> dict[str, Any]:
    pmi, npmi = columns["dp.true.pmi"], columns["norm_dp_true_pmi"]
    return {
        "k": columns["k"],
        "definition": "genemask2023",
        "canonical": False,
        "count": _counts_from_damping(pmi, npmi, path),
        "pmi": pmi,
        "npmi": npmi,
        "rank": rank(npmi),
        "provenance": {"file": path.name},
    }


def _counts_from_damping(
    pmi: npt.NDArray[np.float64], npmi: npt.NDArray[np.float64], path: Path
) -> npt.NDArray[np.int64]:
    """Counts, which the published table leaves out: NPMI / PMI = log f / (log f + log c), solved for f."""
    with np.errstate(all="ignore"):
        ratio = npmi / pmi
        count: npt.NDArray[np.float64] = np.exp(ratio * np.log(MINIMUM_OCCURRENCES) / (1 - ratio))
    if not np.all((count >= 0.5) & (count < 2**53)):
        why = "dp.true.pmi and norm_dp_true_pmi do not agree on the counts"
        raise DataError("wrong values", where=path, why=why, fix="take the published file as it is")
    return np.rint(count).astype(np.int64)

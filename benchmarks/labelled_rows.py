"""Labelled rows to token ids: ours, and Hugging Face datasets with the exported tokenizer.

    pip install datasets
    python benchmarks/labelled_rows.py

One million random sequences of 70 bp with a label, in one CSV file, to 6-mer ids. Each way runs once a round, in a
process of its own that has the imports behind it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread on either side

import numpy as np
from side_by_side import (
    arguments,
    environment,
    measured_elsewhere,
    milliseconds,
    ratio,
    report,
    table,
)

from cmgems.data import LabelledConfig, read_splits
from cmgems.data.label_files import write_rows
from cmgems.recipes import shipped_tokenizers
from cmgems.tokenization import KmerTokenizer

BASES = 70
OURS, THEIRS = "cmgems", "datasets"
LABELS = {
    OURS: "cmgems: `read_splits`",
    THEIRS: "datasets: `load_dataset`, then `map(batched=True)` with the exported tokenizer",
}


def write_set(folder: Path, rows: int) -> None:
    """Train as large as asked for, and a test set of two."""
    rng = np.random.default_rng(0)
    letters_NL = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, (rows, BASES))]
    sequences = [row_L.tobytes().decode() for row_L in letters_NL]
    labelled = [(sequence, str(number % 2)) for number, sequence in enumerate(sequences)]
    folder.mkdir()
    write_rows(folder / "train.csv", labelled)
    write_rows(folder / "test.csv", labelled[:2])


def ours(folder: Path) -> tuple[Sequence[np.ndarray], Sequence[int]]:
    train = read_splits(LabelledConfig(folder), KmerTokenizer(6), 512)["train"]
    return train.ids, train.targets


def theirs(folder: Path) -> tuple[Sequence[np.ndarray], Sequence[int]]:
    from datasets import load_dataset
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(shipped_tokenizers()["dnabert6"])
    files = {"train": str(folder / "train.csv")}
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        rows = load_dataset("csv", data_files=files, cache_dir=cache)["train"]
        rows = rows.map(lambda batch: {"ids": tokenizer(batch["sequence"])["input_ids"]}, batched=True)
        return list(rows.with_format("numpy")["ids"]), list(rows["label"])


WAYS = {OURS: ours, THEIRS: theirs}


def timed(name: str, folder: Path) -> float:
    """Seconds of one way, in another process."""
    command = [sys.executable, __file__, "--one", name, str(folder)]
    environ = {**environment(), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    found = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    return float(found.stdout)


def one(name: str, folder: Path) -> None:
    """What the other process does: imports, compiles and warms up on two rows, then prints the seconds of the set."""
    few = folder / "few"
    if not few.is_dir():
        write_set(few, 2)
    WAYS[name](few)
    start = time.perf_counter()
    ids, labels = WAYS[name](folder)
    print(time.perf_counter() - start)
    expected, classes = ours(few)
    assert [list(row) for row in ids[:2]] == [row.tolist() for row in expected]
    assert list(labels[:2]) == list(classes)


def main() -> None:
    parser = arguments(__doc__ or "", "labelled_rows.md")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the set (1_000_000)")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one[0], Path(options.one[1]))
        return
    rows, rounds = (200, 1) if options.quick else (options.rows, min(options.rounds, 3))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "set"
        write_set(folder, rows)
        found = measured_elsewhere({name: partial(timed, name, folder) for name in WAYS}, rounds)
    lines = [
        [label, f"{milliseconds(found, name) / 1000:.1f}", f"{ratio(found, name, OURS):.1f}"]
        for name, label in LABELS.items()
    ]
    body = table(["", "seconds", "times as long as cmgems"], lines)
    packages = ["numpy", "datasets", "transformers", "tokenizers"]
    note = f"{rows:,} rows of {BASES} bp. cmgems also checks every letter and label, and keeps the bases."
    report(options, "Reading labelled rows", "labelled_rows.py", rounds, packages, note, body)


if __name__ == "__main__":
    main()

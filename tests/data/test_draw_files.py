"""Draws on disk: balanced, clear of the test set, the same whatever else is drawn, read back by ``data.draw``."""

from __future__ import annotations

import random

import numpy as np
import pytest

from cmgems.data import LabelledConfig, leaked_rows, published_draw, read_splits
from cmgems.data.columns import Columns
from cmgems.data.draw_files import write_draws
from cmgems.errors import CmgemsError, DataError
from cmgems.reading import Invalid
from cmgems.tokenization import TOKENIZERS


@pytest.fixture
def folder(tmp_path):
    """40 rows of each class, of which 5 are in the test set and 3 are there twice; one label has a comma."""
    draw = random.Random(0)
    bases = ["".join(draw.choices("ACGT", k=15)) for _ in range(80)]
    names = ("yes", "no, never")
    rows = [f'{sequence},"{names[n % 2]}"' for n, sequence in enumerate(bases)]
    rows += [f"{bases[n].lower()},yes" for n in (0, 1, 2)]
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.csv").write_text("sequence,label\n" + "\n".join(rows) + "\n")
    leaked = [f"{bases[n]},yes" for n in range(10, 15)]
    (folder / "test.csv").write_text("sequence,label\n" + "\n".join([*leaked, "ACGTACGTACGT,yes", ""]))
    return folder


def test_every_block_is_a_draw(folder, tmp_path):
    out = tmp_path / "out"
    written = write_draws(folder, out, [10, 2], draws=4, seed=7)
    assert (written.shots, written.repeated, written.leaked, written.test_rows) == ([2, 10], 3, 5, 6)
    assert written.classes == ("no, never", "yes")
    for shots in (2, 10):
        splits = read_splits(
            LabelledConfig(out / str(shots), shots=shots, draw=0), TOKENIZERS.get("kmer6"), 512
        )
        train, test = splits["train"], splits["test"]
        assert len(train) == shots * 2 * 4
        assert len(test) == 6
        assert not leaked_rows(train, test).any()
        for draw in range(4):
            block = train.take(np.arange(draw * shots * 2, (draw + 1) * shots * 2))
            assert block.bases == published_draw(train, shots, draw).bases
            assert np.bincount(block.labels).tolist() == [shots, shots]
            assert len(set(block.bases)) == shots * 2


def test_a_draw_depends_on_seed_and_number_alone(folder, tmp_path):
    def text(name, shots, draws, seed):
        write_draws(folder, tmp_path / name, shots, draws, seed)
        return (tmp_path / name / "5" / "train.csv").read_text()

    whole = text("a", [5], 6, 1)
    assert text("b", [2, 5, 10], 6, 1) == whole
    assert whole.startswith(text("c", [5], 2, 1))
    assert text("d", [5], 6, 2) != whole
    blocks = [whole.splitlines()[1 + 10 * draw : 11 + 10 * draw] for draw in range(6)]
    assert len({frozenset(block) for block in blocks}) == 6


def test_too_few_rows_are_a_named_skip(folder, tmp_path):
    written = write_draws(folder, tmp_path / "out", [5, 500], 1, 0)
    assert written.shots == [5]
    assert "500 shots were requested" in written.skipped[500]
    assert not (tmp_path / "out" / "500").exists()
    with pytest.raises(DataError, match=r"no draws in .*set: .* 500 shots were requested; ask for fewer"):
        write_draws(folder, tmp_path / "other", [500, 600], 1, 0)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shots": [0]}, "out of range"),
        ({"shots": []}, "out of range"),
        ({"draws": 0}, "out of range"),
        ({"seed": -1}, "out of range"),
        ({"seed": 2**64}, "out of range"),
        ({"columns": Columns(labels=("y",))}, "columns missing"),
    ],
)
def test_bad_arguments(folder, tmp_path, options, message):
    with pytest.raises(CmgemsError, match=message):
        write_draws(folder, tmp_path / "out", **({"shots": [2], "draws": 1, "seed": 0} | options))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("split", "text"), [("test", None), ("train", None), ("test", "sequence,label\n")])
def test_missing_splits(folder, tmp_path, split, text):
    (folder / f"{split}.csv").unlink()
    if text is not None:
        (folder / f"{split}.csv").write_text(text)
    with pytest.raises(DataError, match=f"no {split} file in" if text is None else "no rows in"):
        write_draws(folder, tmp_path / "out", [2], 1, 0)


def test_nothing_is_overwritten(folder, tmp_path):
    with pytest.raises(CmgemsError, match="output exists"):
        write_draws(folder, tmp_path, [2], 1, 0)


def test_rows_left_out_are_named(folder, tmp_path):
    with (folder / "test.csv").open("a") as test:
        test.write("ACGU,yes\n")
    with pytest.raises(DataError, match=r"looks like RNA in .*test.csv:8"):
        write_draws(folder, tmp_path / "out", [2], 1, 0)
    assert write_draws(folder, tmp_path / "out", [2], 1, 0, invalid=Invalid("", skip=True)).test_rows == 6
    _, line = (tmp_path / "out" / "skipped.csv").read_text().splitlines()
    assert line.startswith(f'"{folder}/test.csv:8, position 4",looks like RNA')

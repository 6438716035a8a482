"""Silencers and their negatives."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.data import LabelledConfig, leaked_rows, read_splits
from cmgems.data.silencers import DRAWS, PIECES, negative, silencer_set, write_silencer_set
from cmgems.errors import CmgemsError, DataError
from cmgems.tokenization import TOKENIZERS


def sequences(count, seed=0, lengths=(20, 39, 40, 200, 300)):
    draw = random.Random(seed)
    return ["".join(draw.choices("ACGT", k=draw.choice(lengths))) for _ in range(count)]


def fasta(path, records):
    path.write_text("".join(f">s{n}\n{bases}\n" for n, bases in enumerate(records)))
    return path


@given(st.integers(PIECES, 310), st.integers(0, 2**32))
def test_a_negative_is_its_silencer_but_for_twelve_pieces(length, seed):
    generator = np.random.default_rng(seed)
    codes_L = generator.integers(4, size=length).astype(np.uint8)
    before = codes_L.copy()
    written_L = negative(codes_L, generator)
    assert np.array_equal(codes_L, before)
    assert written_L.shape == codes_L.shape
    assert written_L.dtype == np.uint8
    assert written_L.max() < 4
    changed = np.flatnonzero(written_L != codes_L)
    pieces, last = 0, -length
    for place in changed:  # the fewest pieces that cover all changes
        if place >= last + length // PIECES:
            pieces, last = pieces + 1, place
    assert pieces <= DRAWS


def test_a_third_of_the_bases_change_and_every_place_may():
    generator = np.random.default_rng(0)
    silencer_L = np.zeros(200, np.uint8)
    negatives_NL = np.array([negative(silencer_L, generator) for _ in range(4000)])
    changed_L = (negatives_NL != 0).mean(0)
    assert changed_L[20:-20].mean() == pytest.approx(0.75 * (1 - (1 - 10 / 191) ** 12), abs=0.01)
    assert changed_L[[0, -1]] == pytest.approx(0.75 * (1 - (1 - 1 / 191) ** 12), abs=0.015)
    counts = np.bincount(negatives_NL.ravel(), minlength=4)[1:]
    assert counts / counts.sum() == pytest.approx([1 / 3] * 3, abs=0.01)


def test_pairs_are_on_one_side_and_differ(tmp_path):
    made = silencer_set(fasta(tmp_path / "s.fa", sequences(100)))
    assert (len(made.train), len(made.test), made.skipped) == (90, 10, {})
    positives = {silencer for silencer, _ in made.train + made.test}
    assert positives == set(sequences(100))
    for silencer, written in made.train + made.test:
        assert len(written) == len(silencer)
        assert written not in positives
    assert not {s for pair in made.train for s in pair} & {s for pair in made.test for s in pair}


def test_the_order_and_case_of_the_file_do_not_matter(tmp_path):
    records = sequences(30)
    made = silencer_set(fasta(tmp_path / "a.fa", records), seed=3)
    shuffled = [bases.lower() for bases in reversed(records)]
    assert silencer_set(fasta(tmp_path / "b.fa", shuffled), seed=3) == made
    assert silencer_set(tmp_path / "a.fa", seed=4) != made
    more = silencer_set(fasta(tmp_path / "c.fa", [*records, "ACGT" * 20]), seed=3)
    assert set(made.train + made.test) < set(more.train + more.test)


def test_what_is_left_out_is_counted(tmp_path):
    good = sequences(5, lengths=(20, 50))
    bad = [good[0].lower(), good[1], "A" * 19, "ACGTN" * 6, "ACGT" * 13]
    made = silencer_set(fasta(tmp_path / "s.fa", good + bad), max_bp=50)
    assert made.skipped == {
        "repeated": 2,
        "shorter than 20 bp": 1,
        "with letters other than A, C, G and T": 1,
        "longer than 50 bp": 1,
    }
    assert len(made.train + made.test) == 5


def test_a_negative_that_is_a_silencer_is_drawn_again(tmp_path):
    records = sequences(5)
    first = dict(silencer_set(fasta(tmp_path / "a.fa", records)).train)
    silencer, written = next(iter(first.items()))
    again = silencer_set(fasta(tmp_path / "b.fa", [*records, written]))
    pairs = dict(again.train + again.test)
    assert pairs[silencer] != written
    assert all(pairs[other] == first[other] for other in first if other != silencer)


def test_what_is_written_can_be_trained_on(tmp_path):
    made = silencer_set(fasta(tmp_path / "s.fa", sequences(20)))
    write_silencer_set(made, tmp_path / "out")
    splits = read_splits(LabelledConfig(tmp_path / "out"), TOKENIZERS.get("kmer6"), 512)
    train, test = splits["train"], splits["test"]
    assert train.labels.tolist() == [1, 0] * 18
    assert test.labels.tolist() == [1, 0] * 2
    assert list(zip(test.bases[::2], test.bases[1::2], strict=True)) == made.test
    assert not leaked_rows(train, test).any()
    with pytest.raises(CmgemsError, match="output exists"):
        write_silencer_set(made, tmp_path / "out")


def test_too_little(tmp_path):
    path = fasta(tmp_path / "s.fa", ["ACGT" * 10, "ACGT" * 100])
    with pytest.raises(
        DataError, match=r"fewer than two silencers in .*s\.fa: left out: 1 longer than 300 bp"
    ):
        silencer_set(path)
    with pytest.raises(CmgemsError, match="--max-bp"):
        silencer_set(path, max_bp=19)

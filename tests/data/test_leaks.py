"""Test rows that were trained on: by hand, and the counts known of GUE."""

from __future__ import annotations

import numpy as np
import pytest

from cmgems.data import LabelledConfig, LabelledSet, leaked_rows, novel_rows, read_splits
from cmgems.data.leaks import repeats
from cmgems.tokenization import TOKENIZERS

KMER6 = TOKENIZERS.get("kmer6")


def read(folder, train, test, **options):
    for name, rows in (("train", train), ("test", test)):
        (folder / f"{name}.csv").write_text("sequence,label\n" + "".join(f"{row}\n" for row in rows))
    splits = read_splits(LabelledConfig(folder, **options), KMER6, 512)
    return splits["train"], splits["test"]


def test_case_and_label_do_not_matter_strand_does(tmp_path):
    train, test = read(
        tmp_path, ["ACGTACGA,0", "TTTTTTTT,1"], ["GGGGGGGG,0", "acgtacga,1", "TCGTACGT,1", "ACGTACGAA,0"]
    )
    assert leaked_rows(train, test).tolist() == [False, True, False, False]


def test_whole_sequences_are_compared_even_if_the_model_sees_less(tmp_path):
    train, test = read(
        tmp_path, ["ACGTACGTACGTA,0", "TTTTTTTT,1"], ["ACGTACGTACGTC,0", "ACGTACGTACGTA,0"], max_tokens=5
    )
    assert np.array_equal(test.ids[0], train.ids[0])
    assert leaked_rows(train, test).tolist() == [False, True]


def test_ambiguous_letters_that_make_the_same_ids_are_told_apart(tmp_path):
    train, test = read(tmp_path, ["ACGTACRACGT,0", "TTTTTTTT,1"], ["ACGTACNACGT,0", "ACGTACRACGT,0"])
    assert np.array_equal(test.ids[0], train.ids[0])
    assert leaked_rows(train, test).tolist() == [False, True]


def test_sets_put_together_without_bases():
    ids = [KMER6.encode(bases) for bases in ("ACGTACGT", "TTTTTTTT", "ACGTACGT")]
    train = LabelledSet(ids[:1], np.array([0]), ("a", "b"))
    test = LabelledSet(ids[1:], np.array([1, 1]), ("a", "b"), bases=["TTTTTTTT", "ACGTACGT"])
    assert leaked_rows(train, test).tolist() == [False, True]


def test_repeats():
    assert repeats("abcab").tolist() == [False, False, False, True, True]
    assert repeats([]).tolist() == []


LARGE = [
    pytest.param("core_all", 43, marks=pytest.mark.slow),
    pytest.param("core_notata", 30, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "rows"), [("core_tata", 16), *LARGE])
def test_known_leaks_of_gue(shared_data, name, rows):
    splits = read_splits(LabelledConfig(shared_data / f"gue/GUE/prom/prom_{name}"), KMER6, 512)
    assert leaked_rows(splits["train"], splits["test"]).sum() == rows


def of_bases(*bases):
    return LabelledSet(
        [np.zeros(3, np.int32)] * len(bases), np.zeros(len(bases), np.int64), ("0", "1"), bases=bases
    )


def test_novel_rows_have_no_copy_and_no_twin():
    train, dev = of_bases("ACGTTGCAAC", "ACCAGATTTT"), of_bases("GGGGGTGGGG")
    test = of_bases("ACGTTGCAAC", "GTTGCAACGT", "AGACCATTTT", "GGGGGAGGGG", "CATCATCATC")
    assert novel_rows(test, [train, dev]).tolist() == [False, False, False, False, True]
    assert novel_rows(test, [train]).tolist() == [False, False, False, True, True]


def test_novel_rows_of_sets_without_bases_are_those_with_other_ids():
    ids = [np.array([1, n, 2], np.int32) for n in (5, 6, 7)]
    one, other = (LabelledSet(some, np.zeros(2, np.int64), ("0", "1")) for some in (ids[:2], ids[1:]))
    assert novel_rows(other, [one]).tolist() == [False, True]

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmgems.data import LabelledConfig, LabelledSet, data_notes, few_shot, labelled_batches, read_splits
from cmgems.data.labels import ClassPerBase, LabelSet, Quantities
from cmgems.errors import CmgemsError, DataError
from cmgems.genome import decode, encode, reverse_complement
from cmgems.masking.random import turned_rows
from cmgems.tokenization import IGNORE, TOKENIZERS, BpeTokenizer

TOKENIZER = TOKENIZERS.get("kmer6")
ROWS = "ACGTACGTAC,0\nTTTTTTTTTT,1\n"


def write(folder, **files):
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def read(folder, kind=None, **options):
    return read_splits(LabelledConfig(dir=folder, **options), TOKENIZER, 512, kind)


def test_gue_layout(tmp_path):
    header = "sequence,label\n"
    write(tmp_path, train_csv=header + ROWS, dev_csv=header + ROWS, test_csv=header + "GGGGGGGG,1\n")
    splits = read(tmp_path)
    assert {name: len(split) for name, split in splits.items()} == {"train": 2, "dev": 2, "test": 1}
    assert TOKENIZER.decode(splits["train"].ids[0]) == "ACGTACGTAC"
    assert splits["test"].labels.tolist() == [1]


def test_genemask_layout_with_the_test_set_one_folder_up(tmp_path):
    folder = tmp_path / "10"
    folder.mkdir()
    write(folder, train_tsv='"sequence"\t"label"\n"ACGTAC CGTACG GTACGT"\t"1"\n"TTTTTT"\t"0"\n')
    write(tmp_path, test_tsv="sequence\tlabel\nACGTAC CGTACC\t0\n")
    splits = read(folder)
    assert "dev" not in splits
    assert [TOKENIZER.decode(ids) for ids in splits["train"].ids] == ["ACGTACGT", "TTTTTT"]
    assert splits["train"].labels.tolist() == [1, 0]
    assert TOKENIZER.decode(splits["test"].ids[0]) == "ACGTACC"


def test_labels_are_ordered_by_value_or_name(tmp_path):
    text = "sequence,label\n" + "".join(f"ACGTACGT,{label}\n" for label in ("10", "9", "2"))
    assert read(write(tmp_path, train_csv=text, test_csv=text))["train"].names == ("2", "9", "10")
    text = "label,sequence\n" + "".join(f"{label},ACGTACGT\n" for label in ("neither", "donor", "acceptor"))
    splits = read(write(tmp_path, train_csv=text, test_csv=text))
    assert splits["train"].names == ("acceptor", "donor", "neither")


def test_long_sequences_are_cut_and_counted(tmp_path):
    text = f"sequence,label\n{'ACGT' * 300},0\nACGTACGT,1\n"
    train = read(write(tmp_path, train_csv=text, test_csv=text))["train"]
    assert train.cut == 1
    assert len(train.ids[0]) == 512
    assert len(read(tmp_path, max_tokens=20)["train"].ids[0]) == 20


@pytest.mark.parametrize(("cut", "kept"), [("end", "AAAAAACCCCCCG"), ("start", "CCCCCGGGGGGGG")])
def test_rows_are_cut_at_the_end_asked_for(tmp_path, cut, kept):
    text = "sequence,label\nAAAAAACCCCCCGGGGGGGG,0\nACGTACGT,1\n"
    train = read(write(tmp_path, train_csv=text, test_csv=text), max_tokens=10, cut=cut)["train"]
    assert [TOKENIZER.decode(ids_S) for ids_S in train.ids] == [kept, "ACGTACGT"]
    assert [train.ids[0][0], train.ids[0][-1]] == [TOKENIZER.cls_id, TOKENIZER.sep_id]


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("", "empty file"),
        ("seq,lab\nACGTAC,1\n", "columns missing"),
        ("sequence,label\n", "no rows"),
        ("sequence,label\nACGTACGT,0\nACGTACGT,0\n", "one class only"),
        ("sequence,label\nACGTACGT,0\nACG,1\n", r"sequence shorter than k in .*train.csv:3"),
        ("sequence,label\nACGTACGT,0\nMKVLAAGL,1\n", r"train.csv:3, position 4: found 'L'"),
        ("sequence,label\nACGTACGT,0\nACGTACGT,\n", r"sequence or label missing in .*train.csv:3"),
        ("sequence,label\nACGTACGT,0\nACGTACGT\n", r"fewer cells than columns in .*train.csv:3"),
        ("sequence,label\nACGTACGT,0\nACGNACGT,1\n", r"no stretch of 6 bases A, C, G, T in .*train.csv:3"),
        ("sequence,label\nACGTACGT,0\nACGTACGT,2\n", r"label '1' not in train"),
    ],
)
def test_bad_files(tmp_path, train, message):
    write(tmp_path, train_csv=train, test_csv="sequence,label\n" + ROWS)
    with pytest.raises(CmgemsError, match=message):
        read(tmp_path)


def test_missing_files(tmp_path):
    with pytest.raises(CmgemsError, match="no such folder"):
        read(tmp_path / "nothing")
    with pytest.raises(CmgemsError, match="no train file"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["base", "kmer3", "kmer6", "nt_v1", "nt_v2", "bpe"])
def test_rows_tokenized_together_are_as_one_by_one(tmp_path, small_bpe, name):
    tokenizer = TOKENIZERS.get(name) if name != "bpe" else BpeTokenizer(small_bpe)
    rng = np.random.default_rng(0)
    rows = [
        "ACGTAC" + "".join(rng.choice(list("ACGTacgtNR"), int(length), p=[0.2] * 4 + [0.04] * 4 + [0.02] * 2))
        for length in rng.integers(6, 90, 200)
    ]
    text = "sequence,label\n" + "".join(f"{bases},{n % 2}\n" for n, bases in enumerate(rows))
    write(tmp_path, train_csv=text, test_csv=text)
    train = read_splits(LabelledConfig(dir=tmp_path), tokenizer, 512)["train"]
    assert train.bases == [bases.upper() for bases in rows]
    for bases, ids_S in zip(rows, train.ids, strict=True):
        assert ids_S.dtype == np.int32
        assert np.array_equal(ids_S, tokenizer.encode(bases))
    cut = read_splits(LabelledConfig(dir=tmp_path, max_tokens=12), tokenizer, 512)["train"]
    assert cut.cut == sum(len(ids_S) > 12 for ids_S in train.ids) > 20
    for whole_S, ids_S in zip(train.ids, cut.ids, strict=True):
        ends = whole_S[-1] == tokenizer.sep_id
        assert np.array_equal(ids_S[:11], whole_S[: min(len(whole_S), 11)])
        assert len(ids_S) == min(len(whole_S), 12)
        assert not ends or ids_S[-1] == tokenizer.sep_id


def test_some_rows_of_a_set():
    classes = LabelledSet(
        [np.array([n]) for n in range(3)], np.array([0, 1, 1]), ("a", "b"), 2, ["A", "C", "G"]
    )
    taken = classes.take(np.array([2, 0]))
    assert [ids_S.tolist() for ids_S in taken.ids] == [[2], [0]]
    assert (taken.labels.tolist(), taken.names, taken.bases) == ([1, 0], ("a", "b"), ["G", "A"])
    of_bases = LabelledSet(classes.ids, [np.array([n]) for n in range(3)], ("a", "b"))
    assert [labels_S.tolist() for labels_S in of_bases.take(np.array([1])).labels] == [[1]]


def test_few_shot_draws_each_class_and_differs_by_seed(small_labelled):
    train = read(small_labelled)["train"]
    draw = few_shot(train, 7, seed=0)
    assert np.bincount(draw.labels).tolist() == [7, 7]
    assert len({ids.tobytes() for ids in draw.ids}) == 14
    assert any(
        not np.array_equal(a, b) for a, b in zip(draw.ids, few_shot(train, 7, seed=1).ids, strict=True)
    )
    with pytest.raises(CmgemsError, match="1000 shots were requested"):
        few_shot(train, 1000, seed=0)


def test_batches_cover_every_row_once(small_labelled):
    train = read(small_labelled)["train"]
    batches = list(labelled_batches(train, 32, TOKENIZER, 512, shuffle=(0, 0)))
    assert [len(labels) for _, labels in batches] == [32, 32, 32, 24]
    rows = sorted(row[row != TOKENIZER.pad_id].tobytes() for ids, _ in batches for row in ids)
    assert rows == sorted(ids.tobytes() for ids in train.ids)
    other = list(labelled_batches(train, 32, TOKENIZER, 512, shuffle=(0, 1)))
    assert not np.array_equal(batches[0][0], other[0][0])


def test_large_seeds_differ(small_labelled):
    train = read(small_labelled)["train"]
    first, second = (
        next(labelled_batches(train, 32, TOKENIZER, 512, shuffle=(2**64 - n, 0)))[0] for n in (1, 2)
    )
    assert not np.array_equal(first, second)


def turned(ids_S):
    return TOKENIZER.encode(decode(reverse_complement(encode(TOKENIZER.decode(ids_S).encode()))))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_share_of_training_rows_asked_for_is_read_on_the_other_strand(small_labelled, share):
    """By their place in the training stream: each epoch draws anew, and a run goes on with the rest of its batches."""
    splits = read(small_labelled, reverse_complement=share)
    assert splits["dev"].other is None
    assert splits["test"].other is None
    plain, count = read(small_labelled)["train"], 0
    for epoch in range(8):
        batches = [
            [
                ids_S
                for ids_BS, _ in labelled_batches(train, 32, TOKENIZER, 512, (0, epoch))
                for ids_S in ids_BS
            ]
            for train in (plain, splits["train"])
        ]
        drawn_N = turned_rows(0, np.arange(120, dtype=np.uint64) + np.uint64(120 * epoch), share)
        for is_turned, ids_S, read_S in zip(drawn_N, *batches, strict=True):
            expected_S = turned(ids_S) if is_turned else ids_S[ids_S != TOKENIZER.pad_id]
            assert np.array_equal(read_S[read_S != TOKENIZER.pad_id], expected_S)
        count += drawn_N.sum()
    assert abs(count / 960 - share) < 0.04
    order = [ids_BS for ids_BS, _ in labelled_batches(splits["train"], 32, TOKENIZER, 512)]
    assert np.array_equal(order[0], next(labelled_batches(plain, 32, TOKENIZER, 512))[0])


def test_few_examples_are_read_on_both_strands_too(small_labelled):
    train = read(small_labelled, reverse_complement=0.5)["train"]
    some = few_shot(train, 5, seed=0)
    assert some.other.share == 0.5
    for ids_S, other_S in zip(some.ids, some.other.ids, strict=True):
        assert np.array_equal(turned(ids_S), other_S)
    assert np.array_equal(some.labels, some.other.labels)


def test_labels_of_tokens_are_turned_with_them(tmp_path):
    text = "sequence,label\nAAAAACGTTTTT,000001111111\nACGTACGT,00000000\n"
    splits = read(write(tmp_path, train_csv=text, test_csv=text), ClassPerBase(), reverse_complement=1.0)
    ((_, labels_BS),) = labelled_batches(splits["train"], 4, TOKENIZER, 512, shuffle=(0, 0))
    # The other strand is 111111100000, and a 6-mer stands for its third base.
    expected = [IGNORE, 1, 1, 1, 1, 1, 0, 0, IGNORE]
    assert expected in [row_S[: len(expected)].tolist() for row_S in labels_BS]


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(tmp_path, share):
    with pytest.raises(CmgemsError, match="`reverse_complement` must be from 0 to 1"):
        LabelledConfig(dir=tmp_path, reverse_complement=share)


@pytest.mark.parametrize(("bases", "widths"), [((40, 40, 40), [37, 37]), ((40, 40, 36), [37, 40])])
def test_only_a_batch_of_the_longest_rows_has_no_padding(tmp_path, bases, widths):
    text = "sequence,label\n" + "".join(f"{'ACGTTGCA' * 5:.{n}},{i % 2}\n" for i, n in enumerate(bases))
    train = read(write(tmp_path, train_csv=text, test_csv=text))["train"]
    batches = labelled_batches(train, 2, TOKENIZER, 512)
    assert [ids_BS.shape[1] for ids_BS, _ in batches] == widths


def test_quantities_and_label_sets(tmp_path):
    text = "sequence,a,b\nACGTACGT,1,0\nACGTACGA,0,1\n"
    write(tmp_path, train_csv=text, test_csv="b,sequence,a\n1,ACGTACGT,0\n")
    for kind in (Quantities(), LabelSet()):
        splits = read(tmp_path, kind, labels=("b", "a"))
        assert splits["train"].names == ("b", "a")
        assert splits["train"].targets.tolist() == [[0, 1], [1, 0]]
        assert splits["test"].targets.tolist() == [[1, 0]]
        ((_, labels_BC),) = labelled_batches(splits["train"], 4, TOKENIZER, 512)
        assert labels_BC.tolist() == [[0, 1], [1, 0]]


def test_a_matrix_of_many_labels_needs_no_list_of_them(tmp_path):
    names = [f"site{n}" for n in range(164)]
    header = ",".join(["sequence", *names])
    rows = [",".join(["ACGTACGA", *("01"[(n + row) % 3 == 0] for n in range(164))]) for row in range(3)]
    write(tmp_path, train_csv="\n".join([header, *rows]), test_csv="\n".join([header, rows[0]]))
    splits = read(tmp_path, LabelSet(), labels=("*",))
    assert splits["train"].names == tuple(names)
    assert splits["train"].targets.shape == (3, 164)
    assert splits["test"].targets[0, :4].tolist() == [1, 0, 0, 1]
    with pytest.raises(
        CmgemsError, match=r"several label columns in data.labels: site0, .* 160 more; a class"
    ):
        read(tmp_path, labels=("*",))
    write(tmp_path, test_csv="sequence,site0\nACGTACGA,1\n")
    with pytest.raises(
        DataError, match=r"columns missing in .*test.csv:1: no 'site1', .* \.\.\.; it has sequence"
    ):
        read(tmp_path, LabelSet(), labels=("*",))


def test_labels_of_tokens_are_cut_and_padded_with_their_ids(tmp_path):
    long, short = "ACGT" * 10, "ACGTACGT"
    text = f"sequence,label\n{long},{'ab' * 20}\n{short},bbaabbaa\n"
    train = read(write(tmp_path, train_csv=text, test_csv=text), ClassPerBase(), max_tokens=12)["train"]
    assert train.cut == 1
    assert [len(labels_S) for labels_S in train.labels] == [len(ids_S) for ids_S in train.ids] == [12, 5]
    assert train.labels[0].tolist() == [IGNORE, *[0, 1] * 5, IGNORE]
    assert train.labels[1].tolist() == [IGNORE, 0, 0, 1, IGNORE]
    assert train.targets.tolist() == [*train.labels[0], *train.labels[1]]
    ((ids_BS, labels_BS),) = labelled_batches(train, 4, TOKENIZER, 512)
    assert labels_BS.shape == ids_BS.shape == (2, 16)
    assert labels_BS.dtype == np.int64
    assert labels_BS[1].tolist() == [*train.labels[1], *[IGNORE] * 11]


def test_rows_that_cannot_be_used_are_left_out_by_name(tmp_path):
    good = "ACGTACGT,a\nACGTACGA,b\nACGTACGC,a\n"
    bad = 'ACG,a\nACGNACGT,b\nACGT-CGT,a\nACGTACGT,\nACGTACGT\nACGTACGT,"a\nACGTACGT,a,b\n'
    header = "sequence,label\n"
    write(tmp_path, train_csv=header + bad + good, test_csv=header + good + "ACGTACGT,z\n")
    config = LabelledConfig(dir=tmp_path, invalid="skip")
    invalid = config.unusable_rows()
    splits = read_splits(config, TOKENIZER, 512, invalid=invalid)
    assert {name: len(split) for name, split in splits.items()} == {"train": 3, "test": 3}
    assert splits["train"].names == ("a", "b")
    assert splits["test"].labels.tolist() == [0, 1, 0]
    places = [where.removeprefix(f"{tmp_path}/").split(",")[0] for where, _ in invalid.skipped]
    assert places == [*(f"train.csv:{line}" for line in range(2, 9)), "test.csv:5"]
    with pytest.raises(DataError, match=r"train.csv:2: 2?3 bp, k is 6; .*; data.invalid=skip leaves such"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("train", "test"), [("ACG,a\n", "ACGTACGT,a\n"), ("ACGTACGT,a\nACGTACGA,b\n", "ACGTACGT,z\n")]
)
def test_a_split_that_is_left_out_whole(tmp_path, train, test):
    write(tmp_path, train_csv="sequence,label\n" + train, test_csv="sequence,label\n" + test)
    with pytest.raises(
        DataError, match=r"no rows left in .*csv: all 1 were left out, the first, .*csv:2, for this: "
    ):
        read(tmp_path, invalid="skip")


@pytest.mark.parametrize("labels", [(), ("a", "a"), ("sequence",)])
def test_label_columns_that_cannot_be(labels):
    with pytest.raises(CmgemsError, match="`labels`"):
        LabelledConfig(Path("data"), labels=labels)


@pytest.mark.parametrize("kind", [Quantities(), LabelSet(), ClassPerBase()])
def test_shots_are_of_classes(tmp_path, kind):
    cells = ("1", "2") if kind == Quantities() else ("11111111", "22222222")
    text = "sequence,label\n" + "".join(f"ACGTACGT,{cell}\n" for cell in cells)
    train = read(write(tmp_path, train_csv=text, test_csv=text), kind)["train"]
    with pytest.raises(CmgemsError, match=r"shots without classes in data\.shots"):
        few_shot(train, 1, seed=0)


def test_real_layouts(shared_data):
    gue = read(shared_data / "gue/GUE/prom/prom_core_tata")
    assert [len(gue[name]) for name in ("train", "dev", "test")] == [4904, 613, 613]
    splice = read(shared_data / "fewshot/Splice-40/10")
    assert len(splice["train"].names) == 3
    assert len(splice["test"]) == 3000


@pytest.fixture
def without_dev(tmp_path):
    rng = np.random.default_rng(0)
    for split, rows in (("train", 40), ("test", 10)):
        lines = [f"{''.join(rng.choice(list('ACGT'), 20))},{n % 2}" for n in range(rows)]
        (tmp_path / f"{split}.csv").write_text("sequence,label\n" + "\n".join(lines) + "\n")
    return LabelledConfig(tmp_path)


def test_a_dev_set_of_training_rows(without_dev):
    """Each row is in one of them, in its order; the same ones every time."""
    whole = read_splits(without_dev, TOKENIZER, 512)
    drawn = read_splits(replace(without_dev, dev_share=0.25), TOKENIZER, 512)
    again = read_splits(replace(without_dev, dev_share=0.25), TOKENIZER, 512)
    assert (len(drawn["train"]), len(drawn["dev"])) == (30, 10)
    assert drawn["dev"].bases == again["dev"].bases
    assert sorted([*drawn["train"].bases, *drawn["dev"].bases]) == sorted(whole["train"].bases)
    assert [b for b in whole["train"].bases if b in set(drawn["dev"].bases)] == drawn["dev"].bases
    assert drawn["test"].bases == whole["test"].bases
    assert drawn["dev"].drawn
    assert not drawn["train"].drawn
    assert any("10 rows of train are the dev set" in note for note in data_notes(without_dev, drawn))


def test_a_dev_file_or_shots_leave_the_training_rows_alone(without_dev):
    config = replace(without_dev, dev_share=0.25)
    assert "dev" not in read_splits(replace(config, shots=2), TOKENIZER, 512)
    (config.dir / "dev.csv").write_text((config.dir / "test.csv").read_text())
    splits = read_splits(config, TOKENIZER, 512)
    assert (len(splits["train"]), len(splits["dev"]), splits["dev"].drawn) == (40, 10, False)


@pytest.mark.parametrize(("share", "message"), [(0.001, "too few rows to draw"), (1.0, "between 0 and 1")])
def test_shares_that_leave_nothing(without_dev, share, message):
    with pytest.raises(CmgemsError, match=message):
        read_splits(replace(without_dev, dev_share=share), TOKENIZER, 512)

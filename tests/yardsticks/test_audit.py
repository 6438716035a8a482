"""Audits of sets whose copies, twins and associations are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cmgems.data.columns import Columns
from cmgems.errors import DataError
from cmgems.genome.alphabet import other_strand
from cmgems.reading import Invalid
from cmgems.tasks import TASKS
from cmgems.yardsticks import audit_folder, read_audit, write_audit
from cmgems.yardsticks.table import remarks, tables


def random_rows(rng, count, length=60, gc=0.5):
    chances = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
    return ["".join(rng.choice(list("ACGT"), length, p=chances)) for _ in range(count)]


def twin_of(bases):
    """Two stretches between the same two bases change places: the dinucleotides stay."""
    for i in range(len(bases) - 12):
        word = bases[i : i + 2]
        later = bases.find(word, i + 5)
        last = bases.find(word, later + 5) if later > 0 else -1
        if last > 0:
            return bases[:i] + bases[later:last] + bases[i:later] + bases[last:]
    raise AssertionError(bases)


def write_set(folder, splits, header="sequence,label"):
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        lines = [header, *(",".join(map(str, row)) for row in rows)]
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def audited(tmp_path_factory):
    """100 training rows; 20 of test: 2 exact (1 relabelled), 1 on the other strand, 1 near, 3 twins (relabelled)."""
    rng = np.random.default_rng(0)
    train = [(bases, i % 2) for i, bases in enumerate(random_rows(rng, 100))]
    dev = [(bases, i % 2) for i, bases in enumerate(random_rows(rng, 20))]
    test = [(train[0][0], 0), (train[1][0], 0), (other_strand(train[2][0]), 0)]
    test += [("GG" + train[3][0][2:], 1)]
    test += [(twin_of(bases), 1 - label) for bases, label in (train[4], train[5], dev[0])]
    test += [(bases, i % 2) for i, bases in enumerate(random_rows(rng, 13))]
    return write_set(tmp_path_factory.mktemp("audited") / "set", {"train": train, "dev": dev, "test": test})


def audit(folder, task="classification", labels=("label",), **invalid):
    return audit_folder(folder, TASKS.get(task), Columns(labels=labels), Invalid(**invalid))


@pytest.fixture(scope="module")
def found(audited):
    return audit(audited)


def test_copies_and_twins_are_counted(found):
    in_train, dev, in_dev, test = found.likeness
    assert (test.split, test.among, test.rows) == ("test", "train or dev", 20)
    assert (test.exact, test.exact_relabelled, test.reverse, test.near) == (2, 1, 1, 1)
    assert (test.twins, test.twins_relabelled) == (3, 3)
    assert (in_train.twins, in_dev.twins, in_dev.exact) == (2, 1, 0)
    assert (dev.split, dev.among, dev.exact, dev.twins) == ("dev", "train", 0, 0)
    assert found.novel == 13
    assert found.rows == {"train": 100, "dev": 20, "test": 20}


def test_the_rule_of_the_twins_is_scored_on_all_test_rows(found):
    assert found.twin_rules["other"] > 0 > found.twin_rules["same"]


def test_baselines_are_chosen_on_dev(found):
    assert found.baselines.chosen_on == "dev"
    assert {one.family for one in found.baselines.families} == {
        "k-mer counts",
        "Markov chains",
        "k-mers by position",
        "twins",
    }
    best = found.baselines.best()
    assert best.chosen_by == max(one.chosen_by for one in found.baselines.families)
    assert list(best.scores) == ["all", "clean", "novel"]
    assert set(best.scores["all"]) == set(best.scores["novel"]) == {"accuracy", "macro_f1", "mcc", "auc"}


def test_written_and_read_it_is_the_same(found, tmp_path):
    write_audit(found, tmp_path / "a.json")
    again = read_audit(tmp_path / "a.json")
    write_audit(again, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()
    assert (again.likeness, again.baselines.best().name) == (found.likeness, found.baselines.best().name)
    assert "NaN" not in (tmp_path / "a.json").read_text()
    assert math.isnan(again.associations[0].value)  # every row has the same length


def test_the_same_again_is_the_same(found, audited):
    assert repr(audit(audited)) == repr(found)


def test_tables_have_as_many_cells_in_every_row(found):
    made = tables(found)
    assert [len(rows) for _, rows in made] == [4, 3, 4]
    assert all(len(row) == len(header) for header, rows in made for row in rows)
    assert made[0][1][-1] == [
        "test in train or dev",
        "2 (10.0 %)",
        "1 (5.0 %)",
        "1 (5.0 %)",
        *["3 (15.0 %)"] * 2,
    ]
    assert remarks(found)[0] == "13 of 20 test rows are novel: without copy or twin in train or dev"


def graded(rng, count, noise=0.05):
    """Rows with their share of G and C, and two labels that follow it."""
    rows = []
    for bases in random_rows(rng, count, gc=0.4):
        gc = sum(base in "GC" for base in bases) / len(bases) + noise * rng.normal()
        rows.append((bases, f"{gc:.4f}", int(gc > 0.4), int(bases[0] == "A")))
    return rows


@pytest.fixture(scope="module")
def quantities(tmp_path_factory):
    rng = np.random.default_rng(3)
    splits = {split: graded(rng, count) for split, count in (("train", 120), ("dev", 40), ("test", 40))}
    return write_set(tmp_path_factory.mktemp("quantities"), splits, "sequence,gc,rich,starts")


@pytest.mark.parametrize(
    ("task", "labels", "measure", "metric"),
    [
        ("regression", ("gc",), "Spearman's rho", "pearson"),
        ("regression", ("gc", "starts"), "Spearman's rho", "pearson"),
        ("multi_label", ("rich", "starts"), "AUROC", "average_precision"),
        ("classification", ("rich",), "AUROC", "mcc"),
    ],
)
def test_every_task_has_its_baselines_and_associations(quantities, task, labels, measure, metric):
    found = audit(quantities, task, labels)
    assert found.baselines.metric == metric
    assert found.baselines.best().score(metric) > 0.5
    assert found.names == (labels if task != "classification" else ("0", "1"))
    gc = next(one for one in found.associations if one.property == "GC content")
    assert gc.measure == measure
    assert gc.value > 0.7
    assert gc.p < 1e-6
    assert (found.likeness[0].twins_relabelled is None) == (task != "classification")
    assert all(rows for _, rows in tables(found))


def test_labels_of_bases_have_no_baselines(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(bases, "".join(rng.choice(list("EI"), 60))) for bases in random_rows(rng, 20)]
    found = audit(write_set(tmp_path / "set", {"train": rows[:10], "test": rows[5:]}), "token_classification")
    assert found.baselines is None
    assert found.notes == (
        "no baselines: they are of whole sequences, and every base has a label of its own",
    )
    assert (found.likeness[0].exact, found.novel, found.associations) == (5, 10, ())


@pytest.mark.slow
def test_without_dev_baselines_are_chosen_by_cross_validation(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(bases, i % 3) for i, bases in enumerate(random_rows(rng, 30))]
    found = audit(write_set(tmp_path / "set", {"train": rows[:12], "test": rows[12:]}))
    assert found.baselines.chosen_on == "4-fold cross-validation of train"
    assert found.notes == ("no dev set: baselines are chosen by cross-validation of train",)
    assert found.associations[1].label in "012"


def test_too_few_rows_to_choose_by_are_said(tmp_path):
    rows = [("ACGTACGTAA", 0), ("GGGTTTACCA", 1)]
    found = audit(write_set(tmp_path / "set", {"train": rows, "test": rows[::-1]}))
    assert found.baselines is None
    assert found.notes == (
        "nothing to choose by in train: there is no dev set, and too few rows for cross-validation; "
        "give two rows of each class, or a dev set",
    )
    assert found.novel == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 0}', '{"version": 1, "baselines": null}'])
def test_a_file_that_is_no_audit_is_named(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"a\.json"):
        read_audit(tmp_path / "a.json")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "twins", "rule"),
    [("mouse/2", 300, 0.918), ("mouse/4", 1701, 0.908), ("prom/prom_core_tata", 0, 0)],
)
def test_known_twins_of_gue(shared_data, name, twins, rule):
    found = audit(shared_data / "gue" / "GUE" / name)
    assert found.likeness[-1].twins == twins
    assert found.twin_rules["other"] == pytest.approx(rule, abs=5e-4)

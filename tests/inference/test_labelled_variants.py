"""Sites, rankings, and what is left out."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cmgems.genome import Contigs, GenomeStore, decode
from cmgems.inference import LabelledVariants, Variant, VariantLabels, check_variants, write_variants
from cmgems.inference.labelled_variants import labels_path
from cmgems.inference.variant_sites import Sites
from cmgems.reading import Invalid
from cmgems.tasks import ranking

LABELS = VariantLabels.parse("label=1:0", by="effect")


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(ranking, "RESAMPLES", 20)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(0)
    sequence = "".join(rng.choice(list("ACGT"), 3000))
    (folder / "g.fa").write_text(f">c\n{sequence}\n>small\nTACGTTNA\n")
    return GenomeStore.build([folder / "g.fa"], folder / "store")


def spelt(store):
    return decode(store.codes[:3000])


def variant(position, ref, alt, contig="small", **fields):
    return Variant(contig, position, "", ref, (alt,), f"v.csv:{position}", fields)


def alleles(store, *variants, invalid=None):
    return list(check_variants(variants, Contigs.of(store), invalid, swapped=True))


def test_sites_by_hand(store):
    sites = Sites.of(Contigs.of(store))
    found = [
        sites.site(allele)
        for allele in alleles(
            store,
            variant(3, "C", "T"),
            variant(4, "G", "A"),
            variant(2, "AC", "AT"),
            variant(1, "T", "C"),
            variant(6, "T", "A"),
            variant(3, "T", "C"),
        )
    ]
    assert [site.cpg for site in found] == [True, True, True, False, False, False]
    assert found[0].gc == pytest.approx(2 / 7)
    assert found[0] == found[2]
    assert [site.trinucleotide for site in found[3:5]] == [0, 0]  # the end, and an N beside it

    text = [spelt(store), "TACGTT", "A"]
    complement = str.maketrans("ACGT", "TGCA")
    both = text + [part.translate(complement)[::-1] for part in text]

    def count(word):
        return sum(part[i : i + 3] == word for part in both for i in range(len(part) - 2))

    assert found[0].trinucleotide == pytest.approx(np.log((count("ATG") + 1) / (count("ACG") + 1)))
    assert found[1].trinucleotide == pytest.approx(np.log((count("CAT") + 1) / (count("CGT") + 1)))
    assert found[1].trinucleotide == pytest.approx(found[0].trinucleotide)  # the other strand's
    assert found[5].trinucleotide == pytest.approx(-found[0].trinucleotide)  # REF and ALT swapped


def labelled(store, scores_and_labels, tmp_path):
    """Single bases of contig c with the given scores and labels."""
    bases = spelt(store)
    made = []
    for place, (score, label) in enumerate(scores_and_labels, start=100):
        ref = bases[place - 1]
        record = variant(place, ref, "CAGT"["ACTG".index(ref)], "c", label=label, effect="ab"[place % 2])
        made += [allele.with_score(score) for allele in alleles(store, record)]
    collector = LabelledVariants.of(LABELS, store)
    write_variants(tmp_path / "out.csv", made, collector)
    return collector


def test_a_low_score_is_positive(store, tmp_path):
    rng = np.random.default_rng(1)
    scores, labels = rng.normal(size=80), rng.integers(0, 2, 80)
    found = labelled(store, zip(scores, map(str, labels), strict=True), tmp_path).results()
    assert (found.overall.positives, found.overall.negatives) == (labels.sum(), 80 - labels.sum())
    assert list(found.overall.rankings) == ["model", "gc", "cpg", "trinucleotide"]
    assert found.overall.rankings["model"].auroc.value == pytest.approx(roc_auc_score(labels, -scores))
    assert set(found.groups) == {"a", "b"}
    odd = np.arange(100, 180) % 2 == 1
    assert found.groups["b"].rankings["model"].auroc.value == pytest.approx(
        roc_auc_score(labels[odd], -scores[odd])
    )
    found.write(labels_path(tmp_path / "out.csv"))
    values = json.loads((tmp_path / "out.labels.json").read_text())
    assert values["labels"] == {"key": "label", "positive": ["1"], "negative": ["0"], "by": "effect"}
    assert (
        values["overall"]["rankings"]["model"]["auroc"]["value"]
        == found.overall.rankings["model"].auroc.value
    )
    assert values["groups"]["a"]["positives"] == found.groups["a"].positives

    rows = (tmp_path / "out.csv").read_text().splitlines()
    assert rows[0] == "contig,position,id,ref,alt,score,skipped,label,gc,cpg,trinucleotide"
    assert [row.split(",")[7] for row in rows[1:]] == list(map(str, labels))


def test_what_is_left_out_is_counted(store, tmp_path):
    collector = labelled(
        store, [(0.1, "1"), (0.2, "0"), (0.3, "2"), (0.4, ""), (0.5, "1,0"), (np.nan, "1")], tmp_path
    )
    invalid = Invalid(skip=True)
    ref = spelt(store)[9]
    wrong = "".join(base for base in "ACGT" if base != ref)
    records = [
        variant(10, wrong[0], wrong[1], "c", label="1"),
        variant(9999, "A", "C", "c", label="1"),
        variant(10, ref, ref + "A", "c", label="1"),
    ]
    for allele in alleles(store, *records, invalid=invalid):
        collector.add(allele)
    found = collector.results(invalid)
    assert found.skipped == {
        "no label": 2,
        "both labels": 1,
        "ambiguous neighbours": 1,
        "insertion": 1,
        "reference base disagrees": 1,
        "position out of range": 1,
    }
    assert (found.overall.positives, found.overall.negatives) == (1, 1)


def test_one_class_is_not_ranked(store, tmp_path):
    found = labelled(store, [(0.1, "1"), (0.2, "1")], tmp_path).results()
    assert found.overall.rankings == {}
    found.write(tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text())["overall"]["rankings"] == {}


@pytest.mark.parametrize(
    ("out", "name"),
    [("s.csv", "s.labels.json"), ("s", "s.labels.json"), ("s.tsv", "s.tsv.labels.json")],
)
def test_where_the_results_go(tmp_path, out, name):
    assert labels_path(tmp_path / out) == tmp_path / name


def test_swapped_alleles_are_counted(store):
    collector = LabelledVariants.of(LABELS, store)
    for allele in alleles(store, variant(3, "T", "C", label="1"), variant(4, "G", "A", label="0")):
        collector.add(allele.with_score(0.5))
    assert collector.results().swapped == 1

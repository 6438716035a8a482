"""Log ratios by hand, both strands, and what is refused or skipped."""

import numpy as np
import pytest

from cmgems.errors import DataError, RecordError
from cmgems.genome import Contigs, GenomeStore
from cmgems.inference import (
    Cutter,
    Engine,
    Variant,
    check_variants,
    score_alleles,
    write_variants,
)
from cmgems.tokenization import KmerTokenizer, TokenMap

BY_OFFSET = np.array([[0.7, 0.1, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.4, 0.1]])  # A, T, C, G
A, T, C, G = range(4)


@pytest.fixture(scope="module")
def contigs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("variants")
    # chr1: N at positions 11 and 14, so the AC between them is in no clean 3-mer.
    (folder / "g.fa").write_text(">chr1\nACGTTGCAGANACNTGCATT\n>tiny\nAC\n>none\nNNNNNNNN\n")
    return Contigs(GenomeStore.build([folder / "g.fa"], folder / "store"))


def variant(position, ref, *alts, contig="chr1"):
    return Variant(contig, position, "", ref, alts, f"calls.vcf:{position}")


def scores(variants, contigs, scorer, both_strands=False, swapped=False):
    done = []
    checked = check_variants(variants, contigs, swapped=swapped)
    alleles = list(score_alleles(scorer, checked, contigs, both_strands=both_strands, advance=done.append))
    assert sum(done) == len(alleles)
    return alleles


@pytest.fixture
def scorer(known_lm, compute):
    tokens = TokenMap(KmerTokenizer(3))
    return Engine(known_lm(tokens.tokenizer, BY_OFFSET), Cutter(tokens, 12), compute, 40)


def test_by_hand(contigs, scorer):
    # Position 5 (T) lies in three tokens, so its probabilities are the means over the offsets.
    mean = BY_OFFSET.mean(0)
    found = scores([variant(5, "T", "C", "g")], contigs, scorer)
    expected = [np.log(mean[C] / mean[T]), np.log(mean[G] / mean[T])]
    assert [a.score for a in found] == pytest.approx(expected, abs=1e-6)
    assert [a.skipped for a in found] == ["", ""]
    # Position 1 (A) is the first base of the first token and of no other.
    (found,) = scores([variant(1, "A", "T")], contigs, scorer)
    assert found.score == pytest.approx(np.log(0.1 / 0.7), abs=1e-6)
    # Position 10 (A) has an N behind it: the only clean token that holds it is the AGA it ends.
    (found,) = scores([variant(10, "A", "C")], contigs, scorer)
    assert found.score == pytest.approx(np.log(0.4 / 0.25), abs=1e-6)


def test_both_strands_by_hand(contigs, scorer):
    (found,) = scores([variant(1, "A", "C")], contigs, scorer, both_strands=True)
    forward = np.log(0.15 / 0.7)
    # On the other strand it is the last base, T, of the last token, and C reads as G.
    backward = np.log(0.1 / 0.25)
    assert found.score == pytest.approx((forward + backward) / 2, abs=1e-6)


def test_one_changed_base_of_a_longer_allele(contigs, scorer):
    (long,), (short,) = (
        scores([v], contigs, scorer) for v in (variant(4, "TTG", "TCG"), variant(5, "T", "C"))
    )
    assert long.score == short.score


def test_ref_and_alt_swapped_in_the_genome_are_noticed_and_scored_as_written(contigs, scorer, tmp_path):
    with pytest.raises(
        RecordError, match=r"REF and ALT are swapped in .*: .*:5 is T in the store, not C; .*--swapped"
    ):
        scores([variant(5, "C", "T")], contigs, scorer)
    (right,), (swapped,) = (
        scores([v], contigs, scorer, swapped=True) for v in (variant(5, "T", "C"), variant(5, "C", "T"))
    )
    assert (right.swapped, swapped.swapped) == (False, True)
    assert swapped.score == pytest.approx(-right.score)
    (long,) = scores([variant(4, "TCG", "TTG")], contigs, scorer, swapped=True)
    assert (long.swapped, long.score) == (True, pytest.approx(-right.score))
    totals = write_variants(tmp_path / "out.csv", [right, swapped, long]).text()
    assert totals == "3 of 3 alleles scored; REF and ALT of 2 are swapped in the genome"


@pytest.mark.parametrize("alts", [("A", "T"), ("G",), ("TG",), ()])
def test_what_is_not_swapped_disagrees(contigs, alts):
    with pytest.raises(DataError, match="reference base disagrees"):
        list(check_variants([variant(5, "C", *alts)], contigs))


def test_tokens_side_by_side(contigs, known_lm, compute, side_by_side):
    tokens = TokenMap(side_by_side)
    scorer = Engine(known_lm(side_by_side, BY_OFFSET), Cutter(tokens, 50), compute, 40)
    (found,) = scores([variant(5, "T", "C")], contigs, scorer)  # ACG TTG: the second base of its token
    assert found.score == pytest.approx(np.log(0.3 / 0.2), abs=1e-6)


def test_skips_are_named_and_counted(contigs, scorer, tmp_path):
    variants = [
        variant(5, "T"),
        variant(5, "T", "TA", "<DEL>", "*", "T[chr1:9["),
        variant(5, "TG", "T"),
        variant(5, "TG", "CA", "tg"),
        variant(5, "T", "N"),
        variant(11, "N", "A"),
        variant(12, "A", "C"),
        variant(1, "A", "C", contig="tiny"),
        variant(5, "T", "C"),
    ]
    found = scores(variants, contigs, scorer, both_strands=True)
    assert [a.skipped for a in found] == [
        "no alternative",
        *("insertion", "symbolic", "spanning deletion", "symbolic"),
        "deletion",
        *("several bases", "no change"),
        "ambiguous base",
        "ambiguous base",
        "ambiguous neighbours",
        "ambiguous neighbours",
        "",
    ]
    assert [np.isnan(a.score) for a in found] == [bool(a.skipped) for a in found]
    totals = write_variants(tmp_path / "out.csv", found).text()
    assert totals.startswith(
        "1 of 13 alleles scored, skipped 2 symbolic, 2 ambiguous base, 2 ambiguous neighbours, 1 "
    )
    assert write_variants(tmp_path / "out.csv", found[-1:]).text() == "1 of 1 alleles scored"


def test_the_batch_changes_nothing(contigs, scorer):
    variants = [variant(p, r, *(set("ACGT") - {r})) for p, r in enumerate("ACGTTGCAGA", start=1)]
    found = scores(variants, contigs, scorer)
    alone = [a for v in variants for a in scores([v], contigs, scorer)]
    assert [a.score for a in found] == pytest.approx([a.score for a in alone], abs=1e-6)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            variant(5, "A", "C"),
            r"reference base disagrees in calls\.vcf:5: chr1:5 is A there, T in the store",
        ),
        (variant(4, "TTC", "T"), "chr1:4 is TTC there, TTG in the store"),
        (variant(5, "T", "C", contig="chr3"), "contig 'chr3' is not in the store .*did you mean 'chr1'"),
        (variant(21, "T", "C"), "position out of range .* the contig has 20 bp"),
        (variant(20, "TA", "T"), "position out of range"),
        (variant(0, "T", "C"), "position out of range"),
        (variant(5, "T", "X"), "not an allele .* found 'X'"),
        (variant(5, "T-", "T"), "not an allele"),
        (variant(5, "", "T"), "not an allele"),
    ],
)
def test_records_that_do_not_fit_the_store_are_refused(contigs, record, message):
    with pytest.raises(DataError, match=message):
        list(check_variants([variant(5, "T", "C"), record], contigs))


def test_an_unknown_reference_base_agrees_with_any(contigs):
    found = check_variants([variant(3, "C", "A", contig="none"), variant(5, "N", "A")], contigs)
    assert [a.skipped for a in found] == ["", "ambiguous base"]

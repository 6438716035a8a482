"""Motif search without a model: the signal is made by hand."""

import numpy as np
import pytest

from cmgems.errors import CmgemsError, DataError
from cmgems.genome import decode, encode, reverse_complement
from cmgems.motifs import MotifConfig, find_motifs
from cmgems.motifs.search import align

LENGTH = 50


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def background(rng, count):
    return [rng.integers(0, 4, LENGTH).astype(np.uint8) for _ in range(count)]


def plant(codes, at, motif):
    codes[at : at + len(motif)] = encode(motif.encode())


def signal_at(at, width):
    signal_L = np.zeros(LENGTH)
    signal_L[at : at + width] = 1
    return signal_L


def planted(rng, motif, count=60):
    positives, starts = background(rng, count), rng.integers(0, LENGTH - len(motif), count).tolist()
    for codes, at in zip(positives, starts, strict=True):
        plant(codes, at, motif)
    return positives, starts, [signal_at(at, len(motif)) for at in starts]


def test_a_planted_motif_its_places_and_its_numbers(rng):
    positives, starts, signals = planted(rng, "GATTACGT")
    negatives = background(rng, 60)
    (motif,) = find_motifs(positives, negatives, signals, MotifConfig())
    assert "GATTACGT" in motif.consensus
    best = motif.words[0]
    assert best.bases in "GATTACGT"
    texts, others = [decode(c) for c in positives], [decode(c) for c in negatives]
    assert (best.positives, best.negatives) == (60, sum(best.bases in text for text in others))
    assert best.corrected < 1e-20
    held = [any(word.bases in text for word in motif.words) for text in texts + others]
    assert (motif.positives, motif.negatives) == (sum(held[:60]), sum(held[60:]))
    # The window is 12 bp and the same part of the motif in every site.
    offsets = {site.start - starts[site.sequence] for site in motif.sites}
    assert len(offsets) == 1
    assert motif.consensus.index("GATTACGT") == -offsets.pop()
    for site, codes_W in zip(motif.sites, motif.codes_IW, strict=True):
        padded = "N" * 12 + texts[site.sequence] + "N" * 12
        assert decode(codes_W) == padded[12 + site.start : 24 + site.start]
    assert motif.shares.sum(1) == pytest.approx(1)


def test_on_both_strands_sites_are_read_in_one_direction(rng):
    positives, _, signals = planted(rng, "GATTACGT")
    for i in range(0, 60, 2):
        positives[i], signals[i] = reverse_complement(positives[i]), signals[i][::-1]
    (motif,) = find_motifs(positives, background(rng, 60), signals, MotifConfig(both_strands=True))
    assert "GATTACGT" in motif.consensus or "ACGTAATC" in motif.consensus
    forward = "+" if "GATTACGT" in motif.consensus else "-"
    assert {site.strand == forward for site in motif.sites if site.sequence % 2} == {True}
    assert {site.strand == forward for site in motif.sites if not site.sequence % 2} == {False}
    one_strand = find_motifs(positives, background(rng, 60), signals, MotifConfig())
    assert len(one_strand) == 2


def test_two_motifs_are_two_and_their_shifts_none(rng):
    positives, starts, signals = planted(rng, "GATTACGT")
    for i in range(0, 60, 2):
        at = (starts[i] + 20) % (LENGTH - 8)
        plant(positives[i], at, "CCAGCTGG")
        signals[i] += signal_at(at, 8)
    first, second = find_motifs(positives, background(rng, 60), signals, MotifConfig())
    assert "GATTACGT" in first.consensus
    assert "CCAGCTGG" in second.consensus
    (only,) = find_motifs(positives, background(rng, 60), signals, MotifConfig(top=1))
    assert "GATTACGT" in only.consensus


def test_a_motif_with_a_loose_base_is_one(rng):
    positives, _, signals = planted(rng, "GATTACGT")
    for codes, signal_L in zip(positives[::2], signals[::2], strict=True):
        at = int(signal_L.argmax())
        plant(codes, at, "GATAACGT")
    (motif,) = find_motifs(positives, background(rng, 60), signals, MotifConfig(width=8))
    at = motif.consensus.index("GAT") + 3
    assert sorted(motif.shares[at].tolist()) == pytest.approx([0, 0, 0.5, 0.5])
    assert {word.bases for word in motif.words} == {"GATTACGT", "GATAACGT"}


def test_what_the_signal_does_not_mark_is_not_found(rng):
    positives, starts, _ = planted(rng, "GATTACGT")
    elsewhere = [signal_at((at + 25) % 42, 6) for at in starts]
    assert find_motifs(positives, background(rng, 60), elsewhere, MotifConfig()) == []


def test_random_sequences_have_no_motif(rng):
    for _ in range(5):
        signals = [rng.random(LENGTH).repeat(6)[:LENGTH] for _ in range(60)]
        assert find_motifs(background(rng, 60), background(rng, 60), signals, MotifConfig(min_bp=1)) == []


def test_a_site_at_the_end_has_unknown_neighbours(rng):
    positives = background(rng, 30)
    for codes in positives:
        plant(codes, 0, "GATTAC")
    (motif,) = find_motifs(positives, background(rng, 30), [signal_at(0, 6)] * 30, MotifConfig())
    assert (motif.codes_IW[:, :3] == 255).all()
    assert motif.shares[:3] == pytest.approx(0.25)
    assert motif.consensus.startswith("NNNGATTAC")
    assert {site.start for site in motif.sites} == {-3}


@pytest.mark.parametrize(
    ("best", "text", "both_strands", "expected"),
    [
        ("GATTAC", "GATTAC", False, (False, 0)),
        ("GATTAC", "GACTAC", False, (False, 0)),
        ("GATTAC", "GACTAA", False, None),
        ("GATTAC", "ATTACG", False, (False, 1)),
        ("GATTAC", "CGATTA", False, (False, -1)),
        ("GATTAC", "TTACGG", False, None),
        ("GATTAC", "GTAATC", False, None),
        ("GATTAC", "GTAATC", True, (True, 0)),
        ("GATTAC", "CGTAAT", True, (True, 1)),
    ],
)
def test_alignment_without_gaps(best, text, both_strands, expected):
    assert align(best, text, both_strands) == expected


def test_nothing_to_compare_with(rng):
    some = background(rng, 3)
    with pytest.raises(DataError, match="3 positives, 0 negatives"):
        find_motifs(some, [], [np.ones(LENGTH)] * 3, MotifConfig())


def test_no_region_of_high_signal(rng):
    some = background(rng, 3)
    with pytest.raises(DataError, match="no sequence has 4 bases in a row above its mean"):
        find_motifs(some, some, [np.ones(LENGTH)] * 3, MotifConfig())


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"width": 3}, "width"),
        ({"min_bp": 7}, "min_bp"),
        ({"window": 5}, "window"),
        ({"cutoff": 0.0}, "cutoff"),
        ({"min_sequences": 0}, "min_sequences"),
        ({"top": 0}, "top"),
    ],
)
def test_options_out_of_range(options, name):
    with pytest.raises(CmgemsError, match=f"`{name}`"):
        MotifConfig(**options)

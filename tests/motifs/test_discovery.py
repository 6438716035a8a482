"""Motifs planted in sequences, learnt by a model and found again in what it looks at."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from cmgems.demo import write_demo_data
from cmgems.genome import decode, encode
from cmgems.inference import AttentionReader, Cutter, Engine, NamedSequence, class_logits, occlude
from cmgems.models import MODELS
from cmgems.models.base import fit_to_tokenizer
from cmgems.motifs import MotifConfig, find_motifs, high_bases
from cmgems.tokenization import TOKENIZERS, TokenMap

MOTIF = "GATTACGT"


@dataclass(frozen=True, eq=False)
class Learnt:
    """A fine-tuned model, and sequences it has not seen."""

    model: Any
    cutter: Cutter
    positives: list[NamedSequence]
    negatives: list[NamedSequence]

    def engine(self, compute):
        return Engine(self.model, self.cutter, compute, None, "classification", ("other", "motif"))

    def attention(self, compute):
        return [found_L for _, found_L in AttentionReader(self.engine(compute)).bases(self.positives)]

    def importance(self, compute):
        return list(occlude(self.engine(compute), self.positives, [1] * len(self.positives)))

    def accuracy(self, compute):
        sequences = self.positives + self.negatives
        labels = np.arange(len(sequences)) < len(self.positives)
        logits_NC = np.stack([row_C for _, row_C in class_logits(self.engine(compute), sequences)])
        return (logits_NC.argmax(1) == labels).mean()

    def motifs(self, signals, **options):
        sets = ([s.codes for s in part] for part in (self.positives, self.negatives))
        return find_motifs(*sets, signals, MotifConfig(**options))


def learn(codes, labels, tests, epochs, lr=3e-3, tokens="kmer5"):
    """Fine-tune a fresh `logo_tiny` on all but the last ``tests`` sequences."""
    torch.manual_seed(0)
    tokenizer = TOKENIZERS.get(tokens)
    positions = tokenizer.token_count(len(codes[0]))
    config = fit_to_tokenizer(MODELS.build("logo_tiny", max_positions=positions), tokenizer)
    model = config.classifier(2).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr)
    train = len(codes) - tests
    ids = torch.from_numpy(np.stack([tokenizer.encode(decode(c)) for c in codes[:train]])).long()
    targets = torch.from_numpy(labels[:train])
    for _ in range(epochs):
        for chosen in torch.randperm(train).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(ids[chosen]), targets[chosen]).backward()
            optimizer.step()
    kept = [NamedSequence(str(i), codes[i], "") for i in range(train, len(codes))]
    sets = [
        [s for s, label in zip(kept, labels[train:], strict=True) if label == wanted] for wanted in (1, 0)
    ]
    return Learnt(model.eval(), Cutter(TokenMap(tokenizer), positions), *sets)


def sequences(count, length=30):
    """Positives hold the motif, negatives are their bases in random order."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    codes = rng.integers(0, 4, (count, length)).astype(np.uint8)
    for row, label in zip(codes, labels, strict=True):
        if label:
            at = rng.integers(0, length - len(MOTIF) + 1)
            row[at : at + len(MOTIF)] = encode(MOTIF.encode())
    codes[labels == 0] = [rng.permutation(row) for row in codes[labels == 1]]
    return codes, labels


@pytest.fixture(scope="module")
def learnt():
    return learn(*sequences(600), tests=200, epochs=5)


@pytest.mark.parametrize("by", ["attention", "importance"])
def test_a_planted_motif_is_found_again(learnt, compute, by):
    assert learnt.accuracy(compute) > 0.8
    best = learnt.motifs(getattr(learnt, by)(compute))[0]
    assert MOTIF in best.consensus
    assert best.words[0].corrected < 1e-5
    assert len(best.sites) >= 10


def test_importance_points_at_the_motif(learnt, compute):
    high = np.stack([high_bases(signal_L, 1) for signal_L in learnt.importance(compute)])
    inside = np.zeros_like(high)
    for row, sequence in zip(inside, learnt.positives, strict=True):
        at = sequence.bases.index(MOTIF)
        row[at : at + len(MOTIF)] = True
    assert high[inside].mean() > 5 * high[~inside].mean()


def test_random_labels_give_no_motif(compute):
    codes, _ = sequences(400)
    labels = np.random.default_rng(1).permutation(np.arange(400) % 2)
    confused = learn(codes, labels, tests=200, epochs=3)
    assert 0.3 < confused.accuracy(compute) < 0.7
    assert confused.motifs(confused.attention(compute)) == []
    assert confused.motifs(confused.importance(compute)) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_promoter_motifs_of_the_demo_genome_are_found_again(tmp_path, compute):
    folder = write_demo_data(tmp_path, bases=20_000).promoters
    rows = [
        row for name in ("train", "dev", "test") for row in csv.DictReader((folder / f"{name}.csv").open())
    ]
    codes = [encode(row["sequence"].encode()) for row in rows]
    labels = np.array([int(row["label"]) for row in rows])
    learnt = learn(codes, labels, tests=800, epochs=4, lr=1e-3, tokens="kmer6")
    assert learnt.accuracy(compute) > 0.85
    found = learnt.motifs(learnt.attention(compute), top=20)
    consensus = [motif.consensus for motif in found]
    print(consensus, [motif.words[0].corrected for motif in found])
    assert any("TATAAA" in text for text in consensus)
    assert any("GGGCGG" in text for text in consensus)
    assert any("CCGCCC" in text for text in consensus)

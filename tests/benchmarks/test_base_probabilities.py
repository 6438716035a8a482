"""The last estimate of the table is what `cmgems score` gives."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cmgems.genome import GenomeStore
from cmgems.inference import Cutter, Engine, NamedSequence, base_probabilities, log_likelihoods
from cmgems.models import MODELS
from cmgems.tokenization import KmerTokenizer, TokenMap
from cmgems.training import Compute


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "benchmarks")
    import base_probabilities

    return base_probabilities


@pytest.fixture
def engine():
    torch.manual_seed(0)
    config = MODELS.get("logo_tiny")
    model = config.masked_lm().eval()
    for parameter in model.parameters():  # an untrained model says next to nothing
        torch.nn.init.normal_(parameter, std=0.2)
    compute = Compute(torch.device("cpu"), bf16=False, compiled=False)
    return Engine(model, Cutter(TokenMap(KmerTokenizer(6)), 40), compute)


def test_the_plain_mean_is_the_score(benchmark, engine, small_genome):
    store = GenomeStore.open(small_genome.store)
    nats = benchmark.estimates(engine, store, 9, seed=3)
    expected = []
    for codes in benchmark.windows(store, engine.cutter.window_bp, 9, seed=3):
        ((_, found),) = base_probabilities(engine, [NamedSequence("s", codes, "s")])
        expected.append(log_likelihoods(found, codes)[len(codes) // 2])
    assert nats.shape == (9, len(benchmark.ESTIMATES))
    assert nats[:, benchmark.MEAN] == pytest.approx(expected, abs=1e-5)
    # The best of six tokens is at least as good as one of them.
    assert nats[:, benchmark.BEST_SINGLE].mean() >= nats[:, 1].mean()
    assert np.isfinite(nats).all()
    assert len(np.unique(nats.round(6), axis=1).T) == len(benchmark.ESTIMATES)


def test_all_kmers_with_the_base_there(benchmark, engine, small_genome):
    tokens = engine.cutter.tokens
    (codes,) = benchmark.windows(GenomeStore.open(small_genome.store), engine.cutter.window_bp, 1, seed=0)
    middle = len(codes) // 2
    rows = list(benchmark.masked_rows(tokens, engine.cutter.encode(codes), 0, middle, middle + 1))
    letters_Vk = torch.tensor([[-1] * 6] * 5 + [["ATCG".index(x) for x in w] for w in tokens.vocabulary[5:]])
    ((_, all_J4),) = benchmark.ask(engine, rows, letters_Vk)
    ids_BS = torch.from_numpy(rows[0].ids_S).long()[None]
    with torch.no_grad():
        logits_JV = engine.network(ids_BS, None, torch.from_numpy(rows[0].positions_E))
    by_hand = torch.zeros(6, 4)
    for j in range(6):
        for i, p in enumerate(logits_JV[j].softmax(-1).tolist()):
            if i >= 5:
                by_hand[j, "ATCG".index(tokens.vocabulary[i][5 - j])] += p
    torch.testing.assert_close(all_J4.float(), by_hand / by_hand.sum(1, keepdim=True), atol=1e-5, rtol=0)

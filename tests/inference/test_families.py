"""Every model family, on sequences that fit it and on longer ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmgems.inference import (
    Cutter,
    Embedder,
    Engine,
    NamedSequence,
    base_logits,
    base_probabilities,
    class_logits,
)
from cmgems.models import MODELS
from cmgems.models.base import fit_to_tokenizer
from cmgems.tokenization import TOKENIZERS, TokenMap

FAMILIES = {
    "logo_tiny": "kmer3",
    "dnabert_tiny": "kmer6",
    "dnabert2_tiny": "pieces",
    "nt_tiny": "nt_v1",
    "nt_v2_tiny": "nt_v2",
    "modernbert_tiny": "base",
}
POSITIONS = 24


def test_every_family_is_here():
    assert set(FAMILIES) == {name for name in MODELS.names() if name.endswith("_tiny")}


@pytest.fixture(params=FAMILIES)
def family(request, pieces):
    torch.manual_seed(0)
    name = FAMILIES[request.param]
    tokenizer = pieces if name == "pieces" else TOKENIZERS.get(name)
    config = replace(fit_to_tokenizer(MODELS.get(request.param), tokenizer), max_positions=POSITIONS)
    return config, Cutter(TokenMap(tokenizer), POSITIONS)


@pytest.fixture
def sequences(family):
    """Two that fit, of different lengths, and one of several windows."""
    _, cutter = family
    rng = np.random.default_rng(0)
    fits = cutter.tokens.tokenizer.bases_for(POSITIONS)
    lengths = (fits, fits - 7, 5 * max(fits, cutter.window_bp))
    return [NamedSequence(str(n), rng.integers(0, 4, n).astype(np.uint8), "") for n in lengths]


def ids_of(cutter, sequence):
    return torch.from_numpy(cutter.tokens.tokenizer.encode(sequence.bases)).long()[None]


@torch.no_grad()
def test_classes(family, sequences, compute):
    config, cutter = family
    model = config.classifier(3).eval()
    logits_NC = [row_C for _, row_C in class_logits(Engine(model, cutter, compute, 100), sequences)]
    for sequence, row_C in zip(sequences[:2], logits_NC, strict=False):
        assert row_C == pytest.approx(model(ids_of(cutter, sequence))[0].numpy(), abs=1e-5)
    rows = [torch.from_numpy(p.ids_S).long()[None] for p in cutter.pieces(0, sequences[2].codes)]
    assert len(rows) > 2
    assert logits_NC[2] == pytest.approx(torch.cat([model(row) for row in rows]).mean(0).numpy(), abs=1e-5)


@torch.no_grad()
def test_classes_of_bases(family, sequences, compute):
    config, cutter = family
    model = config.token_classifier(3).eval()
    found = [logits_LC for _, logits_LC in base_logits(Engine(model, cutter, compute, 100), sequences)]
    assert [logits_LC.shape for logits_LC in found] == [(len(s.codes), 3) for s in sequences]
    assert all(np.isfinite(logits_LC).all() for logits_LC in found)
    for sequence, logits_LC in zip(sequences[:2], found, strict=False):
        ids_1S = ids_of(cutter, sequence)
        body = cutter.tokens.body(ids_1S[0].numpy())
        # The tokens in their order, each once or for several bases.
        different = np.flatnonzero(np.abs(np.diff(logits_LC, axis=0)).max(1) > 1e-6) + 1
        expected = model(ids_1S)[0, body].numpy()
        assert logits_LC[[0, *different]] == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("layer", [-1, 0, 1, 2])
def test_vectors(family, sequences, compute, layer):
    config, cutter = family
    engine = Engine(config.masked_lm().eval(), cutter, compute, 2)
    embedder = Embedder(engine, layer)
    embedder.check()
    (found,) = embedder.embed(sequences)
    vectors_ND = found.vectors
    assert found.columns["name"] == [s.name for s in sequences]
    assert np.isfinite(vectors_ND).all()
    for sequence, vector_D in zip(sequences[:2], vectors_ND, strict=False):
        ids_1S = ids_of(cutter, sequence)
        hidden_SD = engine.encoder.outputs(ids_1S, hidden_states=True).hidden_states[layer][0]
        body = cutter.tokens.body(ids_1S[0].numpy())
        assert vector_D == pytest.approx(hidden_SD[body].mean(0).numpy(), abs=1e-5)


def test_tokens_of_a_long_sequence_cover_it(family, sequences, compute):
    config, cutter = family
    embedder = Embedder(Engine(config.masked_lm().eval(), cutter, compute, 2), pool="none")
    (found,) = embedder.embed(sequences[2:])
    columns, vectors_RD = found.columns, found.vectors
    length = len(sequences[2].codes)
    assert len(vectors_RD) == len(columns["start"])
    covered = {b for s, e in zip(columns["start"], columns["end"], strict=True) for b in range(s, e)}
    k = cutter.tokens.tokenizer.k
    if k:
        assert covered == set(range(length))
        assert len(vectors_RD) == (length - k + 1 if cutter.tokens.overlapping else length // k + length % k)
    else:  # windows may cut pieces differently: at a seam a base may be missing or twice
        assert len(covered) > 0.9 * length


def test_scores(family, sequences, compute):
    config, cutter = family
    if not cutter.tokens.tokenizer.k:
        pytest.skip("single bases of tokens that differ in length have no probabilities; test_token_map.py")
    engine = Engine(config.masked_lm().eval(), cutter, compute, 16)
    for sequence in sequences:
        ((_, found),) = base_probabilities(engine, [sequence])
        assert found.sum(1) == pytest.approx(1)

"""Vectors of several layers from one pass, and the files that keep them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cmgems.errors import CmgemsError
from cmgems.genome import encode
from cmgems.inference import Embedder, Engine, NamedSequence
from cmgems.inference.layers import LayersEmbedder, kept_vectors, numbered_layers

BASES = ["ACGTTGCAGT" * 5, "ACGTT", "GGATCNNNNACGTAC"]


@pytest.fixture
def engine(local_lm, short, compute):
    return Engine(local_lm, short, compute, 60)


@pytest.mark.parametrize(("pool", "both_strands"), [("mean", False), ("cls", False), ("mean", True)])
def test_each_layer_is_as_if_asked_for_alone(engine, tmp_path, pool, both_strands):
    embedder = LayersEmbedder(engine, pool=pool, both_strands=both_strands, layers=(0, 1))
    kept = kept_vectors(embedder, BASES, tmp_path)
    sequences = [NamedSequence("", encode(bases.encode()), "") for bases in BASES]
    for layer in (0, 1):
        alone = Embedder(engine, layer, pool, both_strands).embed(sequences)
        expected = np.concatenate([part.vectors for part in alone])
        assert kept.of_layer(layer).dtype == np.float32
        assert kept.of_layer(layer) == pytest.approx(expected, abs=1e-6)


def test_what_is_kept_is_not_embedded_again(engine, tmp_path, monkeypatch):
    embedder = LayersEmbedder(engine, layers=(1,))
    done = []
    first = kept_vectors(embedder, BASES, tmp_path, done.append)
    assert sum(done) == sum(map(len, BASES))
    monkeypatch.setattr(LayersEmbedder, "embed", lambda *_: pytest.fail("embedded again"))
    again = kept_vectors(embedder, BASES, tmp_path)
    assert again.folder == first.folder


def test_other_sequences_settings_and_weights_are_kept_apart(engine, tmp_path):
    options = [(layers, pool) for layers in ((0,), (1,)) for pool in ("mean", "cls")]
    embedders = [LayersEmbedder(engine, layers=layers, pool=pool) for layers, pool in options]
    folders = {kept_vectors(embedder, BASES, tmp_path).folder for embedder in embedders}
    folders.add(kept_vectors(embedders[0], BASES[:2], tmp_path).folder)
    with torch.no_grad():
        engine.network.encoder.word.weight[0, 0] += 1e-6
    folders.add(kept_vectors(embedders[0], BASES, tmp_path).folder)
    assert len(folders) == 6


def test_half_of_the_vectors_are_none(engine, tmp_path, monkeypatch):
    real = LayersEmbedder.embed

    def stops(self, sequences, advance):
        yield from real(self, list(sequences)[:1], advance)
        raise KeyboardInterrupt

    embedder = LayersEmbedder(engine, layers=(0, 1))
    monkeypatch.setattr(LayersEmbedder, "embed", stops)
    with pytest.raises(KeyboardInterrupt):
        kept_vectors(embedder, BASES, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wanted", "found"), [(None, (0, 1)), ((-1,), (1,)), ((1, 0), (1, 0)), ((-2,), (0,))]
)
def test_layers_count_from_either_end(engine, wanted, found):
    assert numbered_layers(engine, wanted) == found


@pytest.mark.parametrize(
    ("wanted", "message"), [((2,), "2 of 1 layers"), ((-3,), "-3 of 1"), ((1, -1), "a layer twice")]
)
def test_layers_that_are_not_there(engine, wanted, message):
    with pytest.raises(CmgemsError, match=message):
        numbered_layers(engine, wanted)

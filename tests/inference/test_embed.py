"""Vectors of sequences and tokens."""

import numpy as np
import pytest
import torch

from cmgems.errors import CmgemsError
from cmgems.genome import decode
from cmgems.inference import Embedder, Engine


def embedder(local_lm, cutter, compute, layer=-1, pool="mean", batch_tokens=60):
    return Embedder(Engine(local_lm, cutter, compute, batch_tokens), layer, pool)


def run(embedder, named):
    parts = list(embedder.embed(named))
    assert sum(part.sequences for part in parts) == len(named)
    columns = {key: [cell for part in parts for cell in part.columns[key]] for key in parts[0].columns}
    return columns, np.concatenate([part.vectors for part in parts])


def plain(local_lm, whole, sequence, layer):
    """ids and hidden states of the unsplit sequence, without any of the code under test."""
    ids_S = whole.encode(sequence.codes)
    states = local_lm.encoder.outputs(torch.from_numpy(ids_S).long()[None], hidden_states=True).hidden_states
    return ids_S, states[layer][0].detach().numpy()


@pytest.mark.parametrize("layer", [-1, 0, 1, -2])
def test_the_masked_mean(local_lm, whole, compute, named, layer):
    columns, vectors_ND = run(embedder(local_lm, whole, compute, layer), named)
    assert columns == {"name": ["long", "short", "gap"]}
    for sequence, vector_D in zip(named, vectors_ND, strict=True):
        ids_S, hidden_SD = plain(local_lm, whole, sequence, layer)
        vocabulary = whole.tokens.vocabulary
        known = [set(vocabulary[i]) <= set("ACGT") for i in ids_S]
        assert vector_D == pytest.approx(hidden_SD[known].mean(0), abs=1e-5)


def test_the_first_position(local_lm, whole, compute, named):
    _, vectors_ND = run(embedder(local_lm, whole, compute, pool="cls"), named)
    for sequence, vector_D in zip(named, vectors_ND, strict=True):
        assert vector_D == pytest.approx(plain(local_lm, whole, sequence, -1)[1][0], abs=1e-5)


def test_one_vector_a_token(local_lm, whole, compute, named):
    columns, vectors_RD = run(embedder(local_lm, whole, compute, pool="none"), named)
    expected = []
    for sequence in named:
        ids_S, hidden_SD = plain(local_lm, whole, sequence, -1)
        expected.append(hidden_SD[whole.tokens.body(ids_S)])
    assert vectors_RD == pytest.approx(np.concatenate(expected), abs=1e-5)
    bases = {s.name: decode(s.codes) for s in named}
    for name, start, end, token in zip(*columns.values(), strict=True):
        assert token == bases[name][start:end] or (token == "[UNK]" and "N" in bases[name][start:end])


@pytest.mark.parametrize("pool", ["mean", "none"])
@pytest.mark.parametrize("batch_tokens", [1, 100])
def test_windows_change_nothing_for_a_model_that_sees_no_further(
    local_lm, whole, short, compute, named, pool, batch_tokens
):
    unsplit = run(embedder(local_lm, whole, compute, pool=pool), named)
    split = run(embedder(local_lm, short, compute, pool=pool, batch_tokens=batch_tokens), named)
    assert split[0] == unsplit[0]
    assert split[1] == pytest.approx(unsplit[1], abs=1e-5)


def test_the_first_position_of_a_long_sequence_is_the_mean_of_its_windows(local_lm, short, compute, named):
    _, vectors_ND = run(embedder(local_lm, short, compute, pool="cls"), named)
    for sequence, vector_D in zip(named, vectors_ND, strict=True):
        rows = [torch.from_numpy(p.ids_S).long()[None] for p in short.pieces(0, sequence.codes)]
        firsts = [local_lm.encoder.outputs(row).last_BSD[0, 0].detach().numpy() for row in rows]
        assert vector_D == pytest.approx(np.mean(firsts, axis=0), abs=1e-5)


@pytest.mark.parametrize(("layer", "good"), [(0, True), (1, True), (-2, True), (2, False), (-3, False)])
def test_layers_that_are_not_there_are_refused(local_lm, whole, compute, layer, good):
    asked = embedder(local_lm, whole, compute, layer)
    if good:
        asked.check()
        return
    with pytest.raises(CmgemsError, match="the model has 1 layers; give 0"):
        asked.check()

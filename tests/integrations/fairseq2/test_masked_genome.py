"""The stream and the masks are those of our own recipe, batch by batch."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from fairseq2.device import CPU
from fairseq2.gang import FakeGang, Gangs

from cmgems.errors import CheckpointError, CmgemsError
from cmgems.integrations.fairseq2.masked_genome import MaskedGenome, MaskedGenomeConfig, MaskedGenomeReader
from cmgems.masking import Masker, micro_batches
from cmgems.tokenization import KmerTokenizer

STEPS, SEED = 12, 5


def gangs(rank=0, size=1):
    alone, share = FakeGang(CPU), FakeGang(CPU, rank=rank, size=size)
    return Gangs(root=share, dp=share, rdp=share, sdp=alone, tp=alone, pp=alone)


@pytest.fixture
def opened(settings):
    """``opened(**masking)``: the data set, and the genome with the seed of these tests."""

    def make(**masking):
        section = settings(**masking).dataset
        dataset = MaskedGenome(MaskedGenomeConfig(**section.config_overrides))
        return dataset, dataset.open(KmerTokenizer(6), 512, SEED)

    return make


def reader_of(opened, parts=2, where=None, loss=lambda step: 5.0, steps=STEPS, **masking):
    dataset, data = opened(**masking)
    return MaskedGenomeReader(dataset.settings, data, steps, parts, where or gangs(), loss)


@pytest.mark.parametrize("curriculum", ["cm_gems", "cm_step", "annealed", "uniform"])
@pytest.mark.parametrize(("rank", "size", "parts"), [(0, 1, 1), (0, 1, 3), (0, 3, 2), (2, 3, 2)])
def test_batches_are_those_of_our_own_stream(opened, curriculum, rank, size, parts):
    """Also across the switch, which the fourth and eighth step's equal losses bring."""
    chosen = {"name": "cm_gems", "threshold": 1e6} if curriculum == "cm_gems" else curriculum
    reader = reader_of(opened, parts, gangs(rank, size), curriculum=chosen)
    dataset, data = opened(curriculum=chosen)
    masker = Masker(dataset.settings.masking, data.tokenizer, STEPS, SEED)
    stream = data.stream(masker, dataset.settings.sequences, rank, size)
    stream.reset()
    for step in range(STEPS):
        if step and step % 4 == 0:
            masker.observe(step, torch.tensor(5.0).exp().item())
        batch = next(stream)
        expected = micro_batches(batch, parts, data.full_tokens, 8)
        found = next(reader)
        assert len(found) == len(expected) == parts
        assert [part.first for part in found] == [True, *[False] * (parts - 1)]
        for ours, theirs in zip(expected, found, strict=True):
            assert torch.equal(torch.from_numpy(ours.ids_BS).long(), theirs.ids_BS)
            assert theirs.attention_BS is None or torch.equal(
                torch.from_numpy(ours.attention_BS), theirs.attention_BS
            )
            assert (theirs.attention_BS is None) == ours.attention_BS.all()
            assert torch.equal(torch.from_numpy(ours.positions_M), theirs.positions_M)
            assert torch.equal(torch.from_numpy(ours.labels_M), theirs.labels_M)
            assert theirs.targets == len(batch.labels_M) * size  # a FakeGang multiplies
    assert reader.masker.state.switched_at == masker.state.switched_at


@pytest.mark.parametrize("step", [0, 3, 4, 8, 11])
def test_state_is_plain_values_that_continue_the_stream(opened, step):
    whole, first, second = (reader_of(opened) for _ in range(3))
    batches = [next(whole) for _ in range(STEPS)]
    for _ in range(step):
        next(first)
    state = first.state_dict()
    assert json.loads(json.dumps(state)) == json.loads(json.dumps(pickle.loads(pickle.dumps(state))))
    second.load_state_dict(pickle.loads(pickle.dumps(state)))
    for expected in batches[step:]:
        for one, other in zip(expected, next(second), strict=True):
            assert torch.equal(one.ids_BS, other.ids_BS)
            assert torch.equal(one.positions_M, other.positions_M)
    assert second.masker.state == whole.masker.state


def test_reset_goes_back_to_the_first_step(opened):
    reader = reader_of(opened)
    first = next(reader)[0].ids_BS
    for _ in range(9):
        next(reader)
    assert reader.masker.state.switched_at == 8
    reader.reset()
    assert reader.masker.state.switched_at is None
    assert torch.equal(next(reader)[0].ids_BS, first)


def test_a_validation_comes_once_and_before_the_masks_of_the_next_step(opened):
    seen = []
    reader = reader_of(opened, loss=lambda step: seen.append(step) or 1.0)
    for step in range(1, STEPS + 1):
        next(reader)
        assert seen == [due for due in (4, 8) if due < step]


def test_plugins_curricula_and_strategies_are_known_by_their_names(opened):
    reader = reader_of(opened, curriculum={"name": "fixed", "masking": "uniform"}, table=None)
    assert reader.masker.strategy(0)[0] == "uniform"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sequences": 0}, "`sequences` must be 1 or more"),
        ({"masking": {"curriculum": "cm_gem"}}, "did you mean 'cm_gems'"),
        ({"masking": {"rat": 0.1}}, "did you mean 'rate'"),
        ({"data": {}}, "data.store"),
        ({"validation": {"every": "often"}}, "validation.every"),
    ],
)
def test_mistakes_in_the_config_are_ours_to_name(settings, change, message):
    section = settings().dataset.config_overrides
    with pytest.raises(CmgemsError, match=message):
        MaskedGenome(MaskedGenomeConfig(**{**section, **change}))


@pytest.mark.parametrize(("size", "parts"), [(3, 3), (9, 1), (1, 16)])
def test_a_step_has_a_sequence_for_each_batch(opened, size, parts):
    with pytest.raises(CmgemsError, match=f"8 sequences a step do not make {size * parts} batches"):
        reader_of(opened, parts, gangs(0, size))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 6}, "`common.seed` is 6 there, 5 here"),
        ({"inputs": {"data.store": "0"}}, "data.store hold something else now"),
        ({"settings": {"sequences": 16}}, "`sequences` is 16 there, 8 here"),
        ({"settings": {"masking": {"rate": 0.3}}}, "`masking.rate` is 0.3 there, 0.15 here"),
    ],
)
def test_a_run_goes_on_only_with_its_own_data(opened, change, message):
    reader = reader_of(opened)
    state = reader.state_dict()
    for key, value in change.items():
        merged = {**state[key], **value} if isinstance(value, dict) else value
        if key == "settings" and "masking" in value:
            merged["masking"] = {**state["settings"]["masking"], **value["masking"]}
        state[key] = merged
    with pytest.raises(CheckpointError, match=message):
        reader.load_state_dict(state)

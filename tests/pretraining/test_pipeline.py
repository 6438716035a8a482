from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest
from torchdata.nodes import ParallelMapper

from cmgems.config import Component
from cmgems.errors import CmgemsError
from cmgems.genome import Split, decode, encode, reverse_complement
from cmgems.masking import Masker, MaskingConfig
from cmgems.masking.random import turned_rows
from cmgems.pretraining import FixedValidation, GenomeData, PretrainingData
from cmgems.pretraining.nodes import MaskNode, WindowNode
from cmgems.tokenization import TOKENIZERS

TOKENIZER = TOKENIZERS.get("kmer6")
SPLIT = Split(fraction=0.1, block_bp=2000)


def data_of(small_genome, **changes):
    config = GenomeData(
        store=small_genome.store,
        sampler=Component("tiled", {"max_bp": 100}),
        split=SPLIT,
    )
    return PretrainingData(dataclasses.replace(config, **changes), TOKENIZER, 512, seed=3)


def masker_of(small_genome, name="cm_gems", schedule="constant", **options):
    config = MaskingConfig(
        Component(name, options), small_genome.table, rate_schedule=Component(schedule, {})
    )
    return Masker(config, TOKENIZER, steps=50, seed=3)


def stream_of(
    small_genome, *, prefetch=4, workers=0, sequences=8, rank=0, world=1, state=None, turned=0.0, **masking
):
    data = data_of(small_genome, prefetch=prefetch, workers=workers, reverse_complement=turned)
    masker = masker_of(small_genome, **masking)
    stream = data.stream(masker, sequences, rank, world)
    stream.reset(state)
    return stream, masker


def take(stream, count):
    return [next(stream) for _ in range(count)]


def same(a, b):
    return all(
        np.array_equal(x.ids_BS, y.ids_BS)
        and np.array_equal(x.positions_M, y.positions_M)
        and np.array_equal(x.labels_M, y.labels_M)
        and x.strategy == y.strategy
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("prefetch", [0, 1, 9])
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_stream_does_not_depend_on_threads_or_prefetch(small_genome, prefetch, workers):
    expected = take(stream_of(small_genome, prefetch=2)[0], 120)
    assert same(take(stream_of(small_genome, prefetch=prefetch, workers=workers)[0], 120), expected)


def test_processes_make_the_stream_of_threads(small_genome):
    """Not a setting (docs/design.md says why), but what a pipeline of one's own may rely on."""
    data, masker = data_of(small_genome), masker_of(small_genome)
    windows = WindowNode(data.epoch_windows, 8, data.padded_tokens)
    ids = ParallelMapper(
        windows, data.tokenize, 2, in_order=True, method="process", multiprocessing_context="fork"
    )
    stream = MaskNode(ids, windows, masker)
    stream.reset()
    assert same(take(stream, 40), take(stream_of(small_genome, workers=2)[0], 40))


def test_workers_keep_the_order_of_batches_that_take_their_time(small_genome):
    expected = take(stream_of(small_genome)[0], 30)
    data = data_of(small_genome, workers=4)
    tokenize, rng = data.tokenize, np.random.default_rng(0)
    data.tokenize = lambda batch: time.sleep(rng.random() / 100) or tokenize(batch)  # type: ignore[method-assign]
    stream = data.stream(masker_of(small_genome), 8)
    stream.reset()
    assert same(take(stream, 30), expected)


# 40 kbp in windows of 100 bp is about 45 batches of 8: 120 batches cross two ends of an epoch.
@pytest.mark.parametrize("done", [0, 1, 44, 45, 46, 100])
@pytest.mark.parametrize(
    ("prefetch", "workers"),
    [(0, 0), (4, 2), pytest.param(4, 0, marks=pytest.mark.slow), pytest.param(0, 3, marks=pytest.mark.slow)],
)
def test_resume_at_any_batch(small_genome, done, prefetch, workers):
    expected = take(stream_of(small_genome)[0], 120)
    stream, _ = stream_of(small_genome, prefetch=prefetch, workers=workers)
    take(stream, done)
    state = json.loads(json.dumps(stream.state_dict()))
    take(stream, 3)  # what was taken after the snapshot must not matter
    for threads in (
        {"prefetch": prefetch, "workers": workers},
        {"prefetch": 2, "workers": 1},
        {"prefetch": 0},
    ):
        resumed, _ = stream_of(small_genome, **threads, state=state)
        assert same(take(resumed, 120 - done), expected[done:])


@pytest.mark.parametrize(
    "nested",
    [
        {"source": {"it_state": {"source": None}}},
        {"source": {"it_state": {"snapshot": {"it_state": {"source": None}}, "steps_since_snapshot": 0}}},
    ],
)
def test_a_position_as_earlier_versions_saved_it(small_genome, nested):
    """With the states of the threads around it, which were then the same or there was no resume."""
    expected = take(stream_of(small_genome)[0], 60)
    stream, _ = stream_of(small_genome)
    take(stream, 50)
    state = stream.state_dict()
    inside = nested["source"]
    while "source" not in inside:
        inside = inside.get("it_state") or inside["snapshot"]
    inside["source"] = state["source"]
    assert same(take(stream_of(small_genome, state=state | nested)[0], 10), expected[50:])


@pytest.mark.parametrize("workers", [0, 2])
def test_two_ranks_share_the_batches_of_one(small_genome, workers):
    whole = take(stream_of(small_genome)[0], 60)
    parts = [take(stream_of(small_genome, rank=rank, world=2, workers=workers)[0], 60) for rank in (0, 1)]
    for i, batch in enumerate(whole):
        for rank in (0, 1):
            assert np.array_equal(batch.ids_BS[rank::2], parts[rank][i].ids_BS)


WAYS_TO_MASK = {
    "linear": {"name": "random_span", "schedule": "linear"},
    "cosine": {"name": "cm_gems", "schedule": "cosine"},
    "uniform_rate": {"name": "uniform_rate", "highest": 0.5},
    "random_mask": {"name": "random_mask"},
    "loss_weighted": {"name": "loss_weighted"},
}


@pytest.mark.parametrize("options", WAYS_TO_MASK.values(), ids=WAYS_TO_MASK.keys())
def test_a_mask_depends_on_seed_step_and_sample_alone(small_genome, options):
    """Not on threads, prefetching, ranks or a restart; losses and perplexities were observed on the way."""

    def observed(stream, masker):
        before = take(stream, 10)
        masker.observe(10, 50.0, tuple(map(float, range(1, 11))))
        return before + take(stream, 10)

    whole = observed(*stream_of(small_genome, **options))
    assert same(observed(*stream_of(small_genome, prefetch=1, workers=2, **options)), whole)
    stream, masker = stream_of(small_genome, **options)
    take(stream, 10)
    masker.observe(10, 50.0, tuple(map(float, range(1, 11))))
    state = json.loads(json.dumps(stream.state_dict()))
    take(stream, 2)
    assert same(take(stream_of(small_genome, prefetch=0, state=state, **options)[0], 10), whole[10:])
    for rank in (0, 1):
        part = observed(*stream_of(small_genome, rank=rank, world=2, **options))
        for batch, mine in zip(whole, part, strict=True):
            assert np.array_equal(mine.ids_BS, batch.ids_BS[rank::2])


def test_a_switch_acts_on_the_next_step(small_genome):
    stream, masker = stream_of(small_genome, prefetch=8)
    before = take(stream, 2)
    time.sleep(0.2)  # let the prefetcher run ahead
    masker.observe(2, 100.0)
    masker.observe(2, 99.9)
    after = take(stream, 2)
    assert {b.strategy for b in before} == {"genemask"}
    assert {b.strategy for b in after} == {"global_pmi"}
    restored, other = stream_of(small_genome, state=stream.state_dict())
    assert next(restored).strategy == "global_pmi"
    assert other.state == masker.state


def test_a_batch_is_a_step(small_genome):
    seen = []
    stream, masker = stream_of(small_genome)
    inner = masker.strategy
    masker.strategy = lambda step: seen.append(step) or inner(step)  # type: ignore[method-assign]
    take(stream, 3)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("sequences", [7, 64, 1000])
def test_no_window_is_left_out_between_epochs(small_genome, sequences):
    """Steps cross the ends of epochs: 40 kbp are about 360 windows."""
    data = data_of(small_genome)
    windows = WindowNode(data.epoch_windows, sequences, data.padded_tokens)
    windows.reset()
    starts = np.concatenate([next(windows).starts_B for _ in range(-(-2000 // sequences))])
    expected = np.concatenate([data.epoch_windows(epoch)[0] for epoch in range(9)])
    assert np.array_equal(starts, expected[: len(starts)])


def test_an_epoch_covers_training_bases_once_and_validation_never(small_genome):
    data = data_of(small_genome)
    starts, lengths = data.epoch_windows(0)
    covered = np.zeros(data.store.bases, int)
    for start, length in zip(starts, lengths, strict=True):
        covered[start : start + length] += 1
    assert covered.max() == 1
    assert covered[data.store.codes == 255].sum() == 0
    for start, stop in data.validation_runs:
        assert covered[start:stop].sum() == 0
    # All but stretches shorter than a k-mer.
    assert covered.sum() > sum(b - a for a, b in data.train_runs) - 6 * len(data.train_runs)
    assert not np.array_equal(starts, data.epoch_windows(1)[0])


def test_batches_hold_the_windows_bases(small_genome):
    data = data_of(small_genome)
    masker = masker_of(small_genome, "fixed", masking="random_span")
    stream = data.stream(masker, 8)
    stream.reset()
    batch = next(stream)
    ids = batch.ids_BS.copy()
    ids.ravel()[batch.positions_M] = batch.labels_M
    starts, lengths = data.epoch_windows(0)
    for row in range(8):
        window = data.store.codes[starts[row] : starts[row] + lengths[row]]
        assert TOKENIZER.decode(ids[row]) == decode(window)


def windows_of(batches):
    """The bases of every row before it was masked."""
    for batch in batches:
        ids_BS = batch.ids_BS.copy()
        ids_BS.ravel()[batch.positions_M] = batch.labels_M
        yield from (TOKENIZER.decode(ids_S) for ids_S in ids_BS)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_the_share_of_windows_asked_for_is_read_on_the_other_strand(small_genome, share):
    """Whole windows, shorter ones too: 120 batches cross two ends of an epoch."""
    read = list(windows_of(take(stream_of(small_genome)[0], 120)))
    drawn_N = turned_rows(3, np.arange(len(read), dtype=np.uint64), share)
    assert abs(drawn_N.mean() - share) < 0.05
    assert len({len(bases) for bases in read}) > 1
    expected = [turned(bases) if is_turned else bases for bases, is_turned in zip(read, drawn_N, strict=True)]
    assert list(windows_of(take(stream_of(small_genome, turned=share)[0], 120))) == expected


def turned(bases):
    return decode(reverse_complement(encode(bases.encode())))


@pytest.mark.parametrize("world", [1, 2, 4])
def test_turned_windows_resume_and_agree_among_ranks_and_threads(small_genome, world):
    whole = take(stream_of(small_genome, turned=0.5)[0], 60)
    for rank in range(world):
        place = {"turned": 0.5, "rank": rank, "world": world}
        stream, _ = stream_of(small_genome, **place, prefetch=2, workers=2)
        take(stream, 20)
        resumed, _ = stream_of(small_genome, **place, prefetch=0, state=stream.state_dict())
        for batch, part in zip(whole[20:], take(resumed, 40), strict=True):
            assert np.array_equal(batch.ids_BS[rank::world], part.ids_BS)


def test_windows_of_validation_are_read_as_they_are(small_genome):
    config = FixedValidation(sequences=20)
    plain, both = (
        data_of(small_genome, reverse_complement=share).validation_batches(config) for share in (0, 1)
    )
    assert same(plain, both)


def test_rates_are_solved_for_on_windows_as_they_are_trained_on(small_genome):
    plain, both = (next(data_of(small_genome, reverse_complement=share).sample_ids(100)) for share in (0, 1))
    assert [turned(TOKENIZER.decode(ids_S)) for ids_S in plain] == [TOKENIZER.decode(ids_S) for ids_S in both]


def test_fixed_validation_is_fixed(small_genome):
    config = FixedValidation(sequences=20)
    first, second = (data_of(small_genome).validation_batches(config) for _ in range(2))
    assert same(first, second)
    assert sum(len(b.ids_BS) for b in first) == 20


def test_bad_settings(small_genome):
    with pytest.raises(
        CmgemsError, match=r"windows of 5 bp hold no token .* makes 6-mers; .*max_bp=6 or more"
    ):
        PretrainingData(
            GenomeData(store=small_genome.store, sampler=Component("tiled", {"max_bp": 5}), split=SPLIT),
            TOKENIZER,
            512,
            seed=0,
        )
    with pytest.raises(CmgemsError, match=r"data.sampler.max_bp=515"):
        PretrainingData(
            GenomeData(store=small_genome.store, sampler=Component("tiled", {"max_bp": 600}), split=SPLIT),
            TOKENIZER,
            512,
            seed=0,
        )
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(CmgemsError, match="`reverse_complement` must be from 0 to 1"):
            data_of(small_genome, reverse_complement=share)
    with pytest.raises(CmgemsError, match="PMI table"):
        FixedValidation(masking="genemask")
    for rate in (-0.15, 0.0, 1.0, float("nan")):
        with pytest.raises(CmgemsError, match="`rate` must be between 0 and 1"):
            FixedValidation(rate=rate)
    with pytest.raises(CmgemsError, match=r"cmgems pmi build"):
        Masker(MaskingConfig(), TOKENIZER, steps=1, seed=0)
    with pytest.raises(CmgemsError, match="between 0 and 1"):
        MaskingConfig(rate=1.0)

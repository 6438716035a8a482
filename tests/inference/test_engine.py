"""How a model goes through any number of sequences: chunk by chunk, in their order, alone or in turns."""

import tracemalloc
from dataclasses import dataclass, replace

import numpy as np
import pytest

from cmgems.distributed import World
from cmgems.inference import Cutter, Engine, NamedSequence
from cmgems.tokenization import KmerTokenizer, TokenMap
from cmgems.training import Compute


@pytest.fixture
def engine(compute):
    """Of 3-mers, 12 bp a window, a handful of windows a chunk."""
    return Engine(None, Cutter(TokenMap(KmerTokenizer(3)), 12), compute, 4)


def sequences(lengths):
    rng = np.random.default_rng(0)
    return [NamedSequence(str(n), rng.integers(0, 4, n).astype(np.uint8), "") for n in lengths]


def went_through(engine, given, chunks=None, done=None, **how):
    """Every sequence with its windows and what became of each: the number of its tokens."""

    def work(pieces, advance):
        chunks.append(len(pieces))
        advance(sum(piece.window.own_end - piece.window.own_start for piece in pieces))
        return [len(piece.ids_S) for piece in pieces]

    chunks = [] if chunks is None else chunks
    advance = (lambda _: None) if done is None else done.append
    return [(sequence, list(windows)) for sequence, windows in engine.through(given, work, advance, **how)]


@pytest.mark.parametrize("pass_a_base", [False, True])
def test_every_window_once_in_order_some_at_a_time(engine, pass_a_base):
    given, chunks, done = sequences([100, 3, 12, 13, 60, 8]), [], []
    found = went_through(engine, iter(given), chunks, done, pass_a_base=pass_a_base)
    assert [sequence for sequence, _ in found] == given
    for sequence, windows in found:
        assert [piece.window for piece, _ in windows] == list(engine.cutter.windows(len(sequence.codes)))
        assert all(tokens == len(piece.ids_S) for piece, tokens in windows)
    assert len(chunks) > 3  # the first sequence alone is more than one
    assert max(chunks) <= (2 if pass_a_base else 7)
    assert sum(done) == sum(len(sequence.codes) for sequence in given)


def test_one_chunk_ahead_is_the_same(engine, compute):
    class Ahead(Compute):
        steps_ahead = 1

    ahead = replace(engine, compute=Ahead(compute.device, bf16=False, compiled=False))
    given = sequences([100, 3, 12, 13, 60, 8])
    for (one, windows), (other, others) in zip(
        went_through(engine, given), went_through(ahead, given), strict=True
    ):
        assert one is other
        assert [(p.window, n) for p, n in windows] == [(p.window, n) for p, n in others]


def test_the_same_sequence_twice_is_two(engine):
    (sequence,) = sequences([20])
    assert [found for found, _ in went_through(engine, [sequence, sequence])] == [sequence, sequence]


def test_what_lies_in_n_is_left_out_and_counted_as_done(engine):
    (sequence,) = sequences([100])
    sequence.codes[20:80] = 255
    done = []
    ((_, windows),) = went_through(engine, [sequence], done=done)
    assert 0 < len(windows) < len(list(engine.cutter.windows(100)))
    assert sum(done) == 100


def test_memory_is_that_of_a_chunk(engine):
    """Ten times as many sequences, and a ten times longer one, take no more."""

    def peak(lengths):
        rng = np.random.default_rng(0)
        codes = rng.integers(0, 4, max(lengths)).astype(np.uint8)
        stream = (NamedSequence("s", codes[:n], "") for n in lengths)
        tracemalloc.start()
        for _, windows in engine.through(stream, lambda pieces, _: [0] * len(pieces)):
            for _ in windows:
                pass
        size = tracemalloc.get_traced_memory()[1] - len(codes)
        tracemalloc.stop()
        return size

    peak([10] * 10)
    assert peak([10] * 2000) < 1.5 * peak([10] * 200)
    assert peak([20_000]) < 1.5 * peak([2000])


@pytest.mark.parametrize("size", [2, 3])
def test_the_chunks_of_the_ranks_are_all_chunks(engine, compute, size):
    """What each rank works on, without a connection: every ``size``-th chunk is its own."""

    @dataclass(frozen=True)
    class Unconnected(World):
        def collect(self, value):
            return []

    given = sequences([100, 3, 12, 13, 60, 8])
    whole, shares = [], []
    went_through(engine, given, whole)
    for rank in range(size):
        mine: list[int] = []
        of_rank = Engine(None, engine.cutter, compute, 4, world=Unconnected(rank, size))
        assert went_through(of_rank, given, mine) == []
        shares.append(mine)
    assert shares == [whole[rank::size] for rank in range(size)]


def test_groups_are_whole_sequences(engine):
    given, done, groups = sequences([30, 3, 12, 13, 8]), [], []

    def work(first, some, advance):
        groups.append((first, len(some)))
        advance(2 * sum(len(sequence.codes) for sequence in some))
        return [sequence.name for sequence in some]

    assert list(engine.in_groups(given, work, done.append, passes=2)) == [s.name for s in given]
    assert sum(done) == 2 * sum(len(s.codes) for s in given)
    assert len(groups) > 2
    assert [first for first, _ in groups] == np.cumsum([0, *(n for _, n in groups)])[:-1].tolist()

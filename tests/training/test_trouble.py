from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torchdata.nodes import IterableWrapper, Mapper, ParallelMapper, Prefetcher

from cmgems.distributed import World
from cmgems.errors import CmgemsError, DataError
from cmgems.masking import MaskedBatch
from cmgems.training import StepResult, TroubleConfig, Watch, memory_advice, stop_if_diverged, take

CONFIG = TroubleConfig()


def result(loss, norm=1.0):
    return StepResult(loss, 10, 100, norm)


def batch_of(rows, columns, seed=0):
    rng = np.random.default_rng(seed)
    ids_BS = rng.integers(5, 4101, (rows, columns)).astype(np.int32)
    return MaskedBatch(
        ids_BS, np.ones((rows, columns), bool), np.arange(3), np.arange(3, dtype=np.int64) + 7, "genemask"
    )


def feed(watch, losses, strategy="genemask", config=CONFIG):
    return [watch.check(result(loss), strategy, config) for loss in losses]


def falling(steps, seed=0, start=8.0):
    """A loss curve as of a run: falling, noisy."""
    rng = np.random.default_rng(seed)
    return [start - 2 * (1 - math.exp(-i / 100)) + rng.normal(0, 0.03) for i in range(steps)]


def test_ordinary_training_has_no_spikes():
    for seed in range(5):
        watch = Watch()
        assert not any(feed(watch, falling(1000, seed)))
        assert watch.spikes == 0


def test_a_spike_is_told_once_however_long_it_lasts():
    watch = Watch()
    said = feed(watch, [*falling(100), 9.5, 9.6, 9.5, *falling(30, 1, 6.8), 9.5])
    assert [i for i, text in enumerate(said) if text] == [100, 133]
    assert said[100].startswith("loss spike: 9.5000, lately 7.0")
    assert watch.spikes == 2


def test_a_loss_that_does_not_move_needs_one_percent_to_spike():
    assert not any(feed(Watch(), [4.0] * 64 + [4.2]))
    assert any(feed(Watch(), [4.0] * 64 + [4.3]))


def test_a_harder_strategy_is_no_spike():
    watch = Watch()
    assert not any(feed(watch, falling(100)))
    assert not any(feed(watch, falling(100, start=12.0), "global_pmi"))
    assert any(feed(watch, [12.0]))


def test_spikes_can_be_left_unnoticed():
    assert not any(feed(Watch(), [*falling(100), 50.0], config=TroubleConfig(spike=0)))


def test_the_watch_continues_to_the_bit_from_json():
    losses = [*falling(100), 9.5, 9.5, *falling(40)]
    whole, first = Watch(), Watch()
    expected = feed(whole, losses)
    said = feed(first, losses[:101])
    second = Watch(**json.loads(json.dumps(asdict(first))))
    assert said + feed(second, losses[101:]) == expected
    assert second == whole


@pytest.mark.parametrize("bad", [result(math.nan), result(math.inf), result(3.0, math.nan)])
def test_steps_that_are_not_finite_are_counted(bad):
    watch = Watch()
    assert watch.check(bad, "genemask", CONFIG).startswith("skipped: loss ")
    assert (watch.skipped, watch.in_a_row, watch.losses) == (1, 1, {})
    watch.check(result(3.0), "genemask", CONFIG)
    assert (watch.skipped, watch.in_a_row) == (1, 0)


def test_stop_saves_the_batches(tmp_path):
    watch, batches = Watch(skipped=1, in_a_row=1), [batch_of(2, 8), batch_of(2, 16, seed=1)]
    with pytest.raises(CmgemsError) as stopped:
        stop_if_diverged(watch, CONFIG, batches, 4, tmp_path, 7, World(rank=1, size=2))
    path = tmp_path / "bad_batch" / "step_00000007_rank_1.safetensors"
    assert stopped.value.line() == (
        f"the loss or its gradient is not finite at step 7: the batch is saved in {path}; go on with "
        "trouble.nonfinite=skip, or start again with a lower optim.lr or compute.precision=fp32 and another -o"
    )
    with safe_open(path, "numpy") as saved:
        assert saved.metadata() == {"step": "7", "strategy": "genemask"}
        for number, batch in enumerate(batches):
            for name in ("ids_BS", "attention_BS", "positions_M", "labels_M"):
                np.testing.assert_array_equal(saved.get_tensor(f"{number}.{name}"), getattr(batch, name))
        # Steps 1 to 6 took 2 batches of 4; rank 1 has every second row.
        assert saved.get_tensor("0.samples_B").tolist() == [49, 51]
        assert saved.get_tensor("1.samples_B").tolist() == [53, 55]


def test_skip_goes_on_until_patience_is_lost(tmp_path):
    config, batches = TroubleConfig(nonfinite="skip", patience=3), [batch_of(2, 8)]
    for in_a_row in (0, 1, 2):
        stop_if_diverged(Watch(in_a_row=in_a_row), config, batches, 2, tmp_path, 7, World())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CmgemsError, match="at step 7, nor at the 2 steps before") as stopped:
        stop_if_diverged(Watch(in_a_row=3), config, batches, 2, tmp_path, 7, World())
    assert "nonfinite=skip" not in stopped.value.line()


@pytest.mark.parametrize(
    ("field", "value"), [("patience", 0), ("spike", -1.0)]
)  # fmt: skip
def test_settings_out_of_range(field, value):
    with pytest.raises(CmgemsError, match=f"`{field}`"):
        TroubleConfig(**{field: value})


def test_too_little_memory_says_what_to_lower():
    batches = [batch_of(2, 8), batch_of(2, 16)]
    with (
        pytest.raises(CmgemsError) as stopped,
        memory_advice(batches, batch_size=10, accumulation=25),
    ):
        torch.empty(1 << 50)
    line = stopped.value.line()
    assert line.startswith("out of memory in a batch of 2 x 16 tokens: ")
    assert "you tried to allocate" in line
    assert line.endswith("set data.batch_size=5 and accumulation=50, which keeps 250 sequences a step")


@pytest.mark.parametrize(
    ("error", "batch_size", "advice"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore"),
            9,
            "raise accumulation",
        ),
        (MemoryError("Unable to allocate 5 GiB for an array"), 1, "smaller model"),
        (RuntimeError("not enough memory: you tried to allocate 7 bytes."), 2, "data.batch_size=1 and"),
    ],
)
def test_every_kind_of_memory(error, batch_size, advice):
    with pytest.raises(CmgemsError, match=advice) as stopped, memory_advice([batch_of(1, 4)], batch_size, 1):
        raise error
    assert stopped.value.why == str(error).splitlines()[0]


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match=r"^shapes$"), memory_advice([batch_of(1, 4)], 2, 1):
        raise RuntimeError("shapes")


def stream_of(fail, workers):
    def work(number):
        if number == 3:
            fail()
        return number

    source = IterableWrapper(range(10))
    node = ParallelMapper(source, work, workers, method="thread") if workers else Mapper(source, work)
    stream = Prefetcher(node, 2)
    stream.reset()
    return stream


def user_mistake():
    raise DataError("damaged genome store", where="store", why="a: b", fix="build it again")


def our_mistake():
    raise IndexError("index 5 is out of bounds")


def two_arguments():
    raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("fail", "kind", "line"),
    [
        (user_mistake, DataError, "damaged genome store in store: a: b; build it again"),
        (our_mistake, RuntimeError, "a data thread died of IndexError: index 5 is out of bounds"),
        (two_arguments, RuntimeError, "a data thread died of UnicodeDecodeError: 'utf-8' codec can't decode"),
    ],
)
def test_what_kills_a_data_thread_is_told_in_one_line(fail, kind, line, workers):
    stream = stream_of(fail, workers)
    assert take(stream, 3) == [0, 1, 2]
    with pytest.raises(kind) as stopped:
        take(stream, 1)
    assert str(stopped.value).startswith(line)
    assert "\n" not in str(stopped.value)
    assert "Traceback" in str(stopped.value.__cause__)  # for --debug

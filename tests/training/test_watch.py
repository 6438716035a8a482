from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from cmgems.errors import CmgemsError
from cmgems.training import StepResult, TroubleConfig, Watch

CONFIG = TroubleConfig()


def result(loss, norm=1.0):
    return StepResult(loss, 10, 100, norm)


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
    assert said[100].startswith("loss spike: 9.5000, usually 7.0")
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


@pytest.mark.parametrize(
    ("field", "value"), [("patience", 0), ("spike", -1.0)]
)  # fmt: skip
def test_settings_out_of_range(field, value):
    with pytest.raises(CmgemsError, match=f"`{field}`"):
        TroubleConfig(**{field: value})

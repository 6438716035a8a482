"""Masking rates that change over a run, with any curriculum, as nominal rates and as shares that are met."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.config import Component, load_config
from cmgems.errors import CmgemsError, ConfigError
from cmgems.masking import RATE_SCHEDULES, Masker, MaskingConfig
from cmgems.tokenization import KmerTokenizer

TOKENIZER = KmerTokenizer(6)
NAMES = ["constant", "linear", "cosine"]


def masker_of(schedule, steps=100, **config):
    fixed = Component("fixed", {"masking": config.pop("strategy", "random_span")})
    return Masker(MaskingConfig(fixed, rate_schedule=schedule, **config), TOKENIZER, steps, seed=0)


def rows(count, seed=0, length=400):
    codes_BL = np.random.default_rng(seed).integers(0, 4, (count, length)).astype(np.uint8)
    return TOKENIZER.encode_batch(codes_BL, np.full(count, length, np.int32), TOKENIZER.token_count(length))


def reference(name, start, last, step, steps):
    """From the definitions, step by step."""
    if name == "constant":
        return last
    progress = step / (steps - 1) if steps > 1 else 0.0
    if name == "cosine":
        progress = 0.5 - 0.5 * math.cos(math.pi * progress)
    return start + (last - start) * progress


@pytest.mark.parametrize("name", NAMES)
@given(start=st.floats(0.01, 0.99), last=st.floats(0.01, 0.99), steps=st.integers(1, 10_000), data=st.data())
def test_rates_go_from_start_to_the_rate_of_the_config(name, start, last, steps, data):
    schedule = RATE_SCHEDULES.get(name) if name == "constant" else RATE_SCHEDULES.build(name, start=start)
    step = data.draw(st.integers(0, steps - 1))
    assert schedule.rate(step, steps, last) == pytest.approx(reference(name, start, last, step, steps))
    assert min(start, last) - 1e-12 <= schedule.rate(step, steps, last) <= max(start, last) + 1e-12
    ends = schedule.rate(0, steps, last), schedule.rate(max(1, steps - 1), max(2, steps), last)
    assert ends == ((last, last) if name == "constant" else (start, last))


def test_the_published_schedule_is_a_line_of_the_config():
    config = load_config(MaskingConfig, None, ["curriculum=random_span", "rate_schedule=linear"])
    masker = Masker(config, TOKENIZER, steps=3, seed=0)
    assert [masker.scheduled_rate(step) for step in range(3)] == pytest.approx([0.3, 0.225, 0.15])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("strategy", ["uniform", "random_span"])
def test_a_step_is_masked_at_its_nominal_rate_and_no_other(name, strategy):
    """A mask is a function of seed, step and sample: the same as with that rate throughout."""
    scheduled, ids_BS = masker_of(Component(name, {}), strategy=strategy), rows(4)
    samples_B = np.arange(4, dtype=np.uint64)
    for step in (0, 49, 99):
        plain = masker_of(Component("constant", {}), strategy=strategy, rate=scheduled.scheduled_rate(step))
        masked, expected = scheduled.mask(ids_BS, samples_B, step), plain.mask(ids_BS, samples_B, 0)
        assert np.array_equal(masked.ids_BS, expected.ids_BS)
        assert np.array_equal(masked.positions_M, expected.positions_M)


@pytest.mark.parametrize("strategy", ["random_span", "uniform"])
def test_the_target_of_each_step_is_met(strategy):
    masker = masker_of(Component("linear", {}), strategy=strategy, target_rate=0.15)
    masker.calibrate([rows(300)])
    ids_BS = rows(600, seed=1)
    tokens = np.count_nonzero(ids_BS >= 5)
    for step in (0, 13, 50, 77, 99):
        share = len(masker.mask(ids_BS, np.arange(600, dtype=np.uint64), step).positions_M) / tokens
        assert share == pytest.approx(masker.scheduled_rate(step), abs=0.005)


def test_the_last_step_has_the_rate_of_a_run_without_schedule():
    """Both ends of a schedule are solved for, not interpolated."""
    maskers = [masker_of(Component(name, {}), target_rate=0.15) for name in ("linear", "constant")]
    for masker in maskers:
        masker.calibrate([rows(50)])
    scheduled, plain = (masker.rate(*masker.strategy(99), 99) for masker in maskers)
    assert scheduled == plain


@pytest.mark.parametrize("start", [0.0, 1.0, -0.1, float("nan")])
@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_bad_starts_are_refused(name, start):
    with pytest.raises(CmgemsError, match="`start` must be between 0 and 1"):
        RATE_SCHEDULES.build(name, start=start)


def test_an_unknown_schedule_is_named():
    with pytest.raises(ConfigError, match=r"unknown masking rate schedule 'linaer'.*did you mean 'linear'"):
        load_config(MaskingConfig, None, ["rate_schedule=linaer"])


@pytest.mark.parametrize("option", ["target_rate=0.2", "rate=0.2", "rate_schedule=linear"])
def test_a_strategy_with_a_rate_of_its_own_takes_no_other(option):
    name = option.partition("=")[0]
    with pytest.raises(ConfigError, match=f"`{name}` says nothing about masking strategy 'uniform_rate'"):
        load_config(MaskingConfig, None, ["curriculum=uniform_rate", option])


def test_a_phase_with_a_rate_of_its_own_leaves_that_of_the_others():
    """But a target that one of them cannot meet is refused."""
    phases = ["curriculum=cm_gems", "curriculum.easy=uniform_rate"]
    assert load_config(MaskingConfig, None, [*phases, "rate=0.2", "rate_schedule=linear"]).rate == 0.2
    with pytest.raises(ConfigError, match="`target_rate` says nothing about masking strategy 'uniform_rate'"):
        load_config(MaskingConfig, None, [*phases, "target_rate=0.2"])

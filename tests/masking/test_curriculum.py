from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmgems.config import Component, load_config
from cmgems.errors import CmgemsError, ConfigError
from cmgems.masking import (
    CURRICULA,
    Annealed,
    CurriculumState,
    LossWeighted,
    MaskedBatch,
    Masker,
    MaskingConfig,
    PMISpans,
    RandomSpan,
    UniformRate,
)
from cmgems.masking.curriculum import AnnealedCurriculum
from cmgems.tokenization import KmerTokenizer

START = CurriculumState()


def run_through(curriculum, perplexities, every=500):
    state, names = START, []
    for i, perplexity in enumerate(perplexities):
        names.append(curriculum.strategy(i * every, 10_000, state, 0)[0])
        state = curriculum.observe((i + 1) * every, perplexity, state)
    return state, names


def test_cm_gems_switches_once_and_for_good():
    state, names = run_through(CURRICULA.get("cm_gems"), [300.0, 200.0, 150.0, 149.5, 400.0, 90.0])
    assert state.switched_at == 2000
    assert names == ["genemask"] * 4 + ["global_pmi"] * 2
    assert state.perplexities == (300.0, 200.0, 150.0, 149.5, 400.0, 90.0)


def test_cm_gems_threshold_is_strict():
    curriculum = CURRICULA.build("cm_gems", threshold=1.0)
    assert run_through(curriculum, [10.0, 9.0])[0].switched_at is None
    assert run_through(curriculum, [10.0, 9.01])[0].switched_at == 1000


def flat_at(perplexities, threshold, unit, patience, smoothing):
    """Number of the validation at which CM-GEMS switches, by its description; None if it never does."""
    smooth = {
        i: sum(perplexities[i - smoothing + 1 : i + 1]) / smoothing
        for i in range(smoothing - 1, len(perplexities))
    }
    in_a_row = 0
    for i in range(smoothing, len(perplexities)):
        change = abs(smooth[i] - smooth[i - 1])
        flat = change < threshold if unit == "perplexity" else change < threshold * (smooth[i - 1] / 100)
        in_a_row = in_a_row + 1 if flat else 0
        if in_a_row == patience:
            return i + 1
    return None


@given(
    perplexities=st.lists(st.floats(1, 4000), max_size=12),
    threshold=st.sampled_from([0.1, 1.0, 50.0, 1000.0]),
    unit=st.sampled_from(["perplexity", "percent"]),
    patience=st.integers(1, 4),
    smoothing=st.integers(1, 4),
)
def test_cm_gems_switches_as_described(perplexities, threshold, unit, patience, smoothing):
    curriculum = CURRICULA.build(
        "cm_gems", threshold=threshold, unit=unit, patience=patience, smoothing=smoothing
    )
    at = flat_at(perplexities, threshold, unit, patience, smoothing)
    assert run_through(curriculum, perplexities, every=1)[0].switched_at == at


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({"threshold": 5.0}, 5),  # 100, 98: less than 5 apart
        ({"threshold": 5.0, "unit": "percent"}, 5),
        ({"threshold": 5.0, "unit": "percent", "patience": 2}, 6),
        ({"threshold": 21.0, "unit": "percent", "patience": 3}, 6),
        ({"threshold": 5.0, "smoothing": 2}, 6),  # means of two: 99 and 99.5
    ],
)
def test_cm_gems_may_ask_for_more_than_one_flat_validation(options, at):
    perplexities = [400.0, 200.0, 125.0, 100.0, 98.0, 101.0, 95.0, 50.0, 49.0]
    assert run_through(CURRICULA.build("cm_gems", **options), perplexities, every=1)[0].switched_at == at


@pytest.mark.parametrize("unit", ["perplexity", "percent"])
def test_what_is_not_finite_is_not_flat(unit):
    curriculum = CURRICULA.build("cm_gems", threshold=5.0, unit=unit)
    assert run_through(curriculum, [math.inf, math.inf, math.nan, 3.0])[0].switched_at is None


def test_a_strategy_is_the_curriculum_that_masks_with_it_throughout():
    named, fixed = CURRICULA.get("genemask"), CURRICULA.build("fixed", masking="genemask")
    assert named.strategies() == fixed.strategies()
    assert named.strategy(0, 1, START, 0) == fixed.strategy(0, 1, START, 0)
    assert isinstance(CURRICULA.get("annealed"), AnnealedCurriculum)  # a curriculum's own name comes first
    assert {"cm_gems", "global_pmi"} <= set(CURRICULA.names())
    with pytest.raises(CmgemsError, match="unknown curriculum 'genemsk'; did you mean 'genemask'"):
        CURRICULA.get("genemsk")
    config = load_config(MaskingConfig, None, ["curriculum=random_span"])
    assert config.curriculum.build(CURRICULA).strategies() == ("random_span",)


def test_cm_step_grows_by_one_percent_each_hundredth():
    curriculum = CURRICULA.get("cm_step")
    hard = [curriculum.strategy(step, 100_000, START, 7)[0] == "global_pmi" for step in range(100_000)]
    assert not any(hard[:1000])
    for decile in range(10):
        share = sum(hard[decile * 10_000 : (decile + 1) * 10_000]) / 10_000
        assert abs(share - (decile * 0.1 + 0.045)) < 0.02
    assert hard == [
        curriculum.strategy(step, 100_000, START, 7)[0] == "global_pmi" for step in range(100_000)
    ]


def test_fixed_never_changes():
    curriculum = CURRICULA.build("fixed", masking="genemask")
    assert run_through(curriculum, [3.0, 3.0, 3.0])[1] == ["genemask"] * 3


@pytest.mark.parametrize(
    ("options", "strategy"),
    [
        (["curriculum=uniform_rate", "curriculum.highest=0.3"], UniformRate(0.0, 0.3)),
        (["curriculum=random_span", "curriculum.wider=4"], RandomSpan(4)),
        (["curriculum=pmi_spans", "curriculum.longest=3"], PMISpans(longest=3)),
    ],
)
def test_a_strategy_throughout_has_its_options(options, strategy):
    curriculum = load_config(MaskingConfig, None, options).curriculum.build(CURRICULA)
    assert run_through(curriculum, [3.0, 3.0])[1] == list(curriculum.strategies()) * 2
    assert curriculum.strategy(0, 1, START, 0)[1] == strategy


def test_a_refused_option_of_a_strategy_throughout():
    with pytest.raises(ConfigError, match="`longest` must be 1 or more"):
        load_config(MaskingConfig, None, ["curriculum=pmi_spans", "curriculum.longest=0"])
    with pytest.raises(ConfigError, match="unknown key 'wide'"):
        load_config(MaskingConfig, None, ["curriculum=random_span", "curriculum.wide=2"])


def test_loss_weighted_masks_by_the_running_losses_of_the_tenths():
    curriculum = CURRICULA.build("loss_weighted", memory=0.25)
    assert curriculum.strategy(0, 10, START, 0) == ("loss_weighted", LossWeighted())
    first, second = tuple(map(float, range(1, 11))), (5.0,) * 10
    state = curriculum.observe_tenths(first, START)
    assert curriculum.strategy(0, 10, state, 0)[1] == LossWeighted(first)
    state = curriculum.observe_tenths(second, curriculum.observe(500, 9.0, state))
    assert state.tenth_losses == tuple(0.25 * a + 0.75 * b for a, b in zip(first, second, strict=True))
    assert state.perplexities == (9.0,)


def test_a_tenth_without_a_finite_loss_counts_as_usual():
    curriculum = CURRICULA.get("loss_weighted")
    state = curriculum.observe_tenths((math.nan, 2.0, 4.0, *[3.0] * 7), START)
    assert state.tenth_losses == (3.0, 2.0, 4.0, *[3.0] * 7)
    assert curriculum.observe_tenths((math.nan,) * 10, state) == state
    assert curriculum.observe_tenths((math.inf,) * 10, START) == START


def test_what_was_observed_travels_with_the_masker(small_genome):
    config = MaskingConfig(Component("loss_weighted", {}), small_genome.table)
    masker, other = (Masker(config, KmerTokenizer(6), steps=10, seed=0) for _ in range(2))
    every = np.arange(5, 4101)
    batch = MaskedBatch(np.full((1, 4096), 4, np.int32), np.ones((1, 4096), bool), every - 5, every, "")
    assert np.bincount(masker.tenths(batch)).tolist() == pytest.approx([409.6] * 10, abs=1)
    masker.observe(5, 9.0, tuple(map(float, range(1, 11))))
    assert list(masker.figures()) == [f"loss_tenth_{i}" for i in range(1, 11)]
    other.load_state_dict(json.loads(json.dumps(masker.state_dict())))
    assert other.state == masker.state
    assert other.strategy(7) == masker.strategy(7) != Masker(config, KmerTokenizer(6), 10, 0).strategy(7)
    other.load_state_dict({"perplexities": [3.0], "switched_at": None})  # as version 0.2 saved it
    assert other.state == CurriculumState((3.0,))


def test_other_curricula_ask_for_no_losses(small_genome):
    masker = Masker(MaskingConfig(table=small_genome.table), KmerTokenizer(6), steps=10, seed=0)
    assert masker.tenths is None
    assert masker.figures() == {}


@pytest.mark.parametrize(("stages", "wider", "steps"), [(5, 2, 100), (3, 1, 100), (2, 8, 7), (5, 2, 3)])
def test_random_mask_widens_in_equal_stages(stages, wider, steps):
    curriculum = CURRICULA.build("random_mask", stages=stages, wider=wider)
    named = [curriculum.strategy(step, steps, START, 0) for step in range(steps)]
    widths = [strategy.wider for name, strategy in named if name == "random_span"]
    assert widths == [wider * math.floor(stages * step / steps) for step in range(steps)]
    assert widths[0] == 0
    assert max(widths) == widths[-1] <= wider * (stages - 1)
    lengths = [widths.count(width) for width in sorted(set(widths))]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("pacing", ["linear", "root", "step", "cosine"])
def test_annealed_cools_from_hot_to_cold(pacing):
    curriculum = replace(CURRICULA.get("annealed"), pacing=pacing, hot=1000.0, cold=1.0)
    temperatures = []
    for step in range(100):
        _, strategy = curriculum.strategy(step, 100, START, 0)
        assert isinstance(strategy, Annealed)
        temperatures.append(strategy.temperature)
    assert temperatures[0] == pytest.approx(1000.0)
    assert temperatures[-1] == pytest.approx(1.0)
    assert temperatures == sorted(temperatures, reverse=True)
    assert len(set(temperatures)) == (5 if pacing == "step" else 100)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fixed", {"masking": "genemaks"}, "genemask"),
        ("cm_gems", {"hard": "nothing"}, "unknown masking strategy"),
        ("cm_gems", {"threshold": 0.0}, "threshold"),
        ("cm_gems", {"patience": 0}, "patience"),
        ("cm_gems", {"smoothing": 0}, "smoothing"),
        ("random_mask", {"stages": 1}, "stages"),
        ("random_mask", {"wider": 0}, "wider"),
        ("loss_weighted", {"memory": 1.0}, "memory"),
        ("uniform_rate", {"highest": 1.5}, "highest"),
        ("annealed", {"hot": 1.0, "cold": 2.0}, "hot"),
        ("annealed", {"hot": float("inf")}, "hot"),
        ("annealed", {"stages": 1}, "stages"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(CmgemsError, match=message):
        CURRICULA.build(name, **options)

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
import torch

from cmgems.masking import MaskedBatch
from cmgems.models import MODELS
from cmgems.runs import perplexity
from cmgems.training import Compute, Meter, StepResult, meter
from cmgems.training.flops import training_flops

CPU = Compute(torch.device("cpu"), bf16=False, compiled=False)
BATCH = MaskedBatch(
    np.full((2, 8), 7, np.int32), np.ones((2, 8), bool), np.arange(3), np.full(3, 7), "genemask"
)


def recorded(result=None, seconds=0.02):
    config = MODELS.get("logo_tiny")
    measured = Meter(config.masked_lm(), config, CPU)
    time.sleep(seconds / 2)
    measured.data_arrived()
    time.sleep(seconds / 2)
    return measured.record(result or StepResult(2.5, 3, 16, 0.7), BATCH, 1e-3, measured.step_over())


def test_the_figures_of_a_step():
    record = recorded()
    assert (record["loss"], record["gradient_norm"], record["lr"]) == (2.5, 0.7, 1e-3)
    assert (record["strategy"], record["masked_share"]) == ("genemask", 3 / 16)
    assert record["seconds"] >= 0.02
    assert record["tokens_per_second"] == pytest.approx(16 / record["seconds"])
    assert 0 < record["wait_share"] < 1
    assert 0.05 < record["peak_memory_gb"] < 100
    assert "mfu" not in record


def test_mfu_where_the_peak_is_known(monkeypatch):
    monkeypatch.setattr(meter, "peak_flops", lambda compute: 1e9)
    record, config = recorded(), MODELS.get("logo_tiny")
    flops = training_flops(config.masked_lm(), config).of(BATCH)
    assert record["mfu"] == pytest.approx(flops / 1e9 / record["seconds"])


def test_what_is_not_finite_stays_out_of_the_log():
    record = recorded(StepResult(math.nan, 3, 16, math.nan), seconds=0)
    assert not {"loss", "gradient_norm"} & set(record)
    json.dumps(record, allow_nan=False)


def test_perplexity():
    assert perplexity(2.0) == math.exp(2)
    assert math.isfinite(perplexity(1e6))
    assert math.isnan(perplexity(math.nan))

"""Where the tests run their models."""

from __future__ import annotations

import pytest

from cmgems.training import ComputeConfig, start_compute


@pytest.fixture(scope="session")
def compute():
    return start_compute(ComputeConfig(device="cpu", precision="fp32", threads=1), seed=0)

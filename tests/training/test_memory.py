from __future__ import annotations

import pytest
import torch

from cmgems.errors import CmgemsError
from cmgems.training import memory_advice


def test_too_little_memory_says_what_to_lower(batch_of):
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
def test_every_kind_of_memory(error, batch_size, advice, batch_of):
    with pytest.raises(CmgemsError, match=advice) as stopped, memory_advice([batch_of(1, 4)], batch_size, 1):
        raise error
    assert stopped.value.why == str(error).splitlines()[0]


def test_other_errors_pass(batch_of):
    with pytest.raises(RuntimeError, match=r"^shapes$"), memory_advice([batch_of(1, 4)], 2, 1):
        raise RuntimeError("shapes")

from __future__ import annotations

import dataclasses

import pytest
import torch

from cmgems.distributed import World
from cmgems.errors import CmgemsError
from cmgems.training import Compute, RowsAtOnce, out_of_memory, passes

CPU = Compute(torch.device("cpu"), bf16=False, compiled=False)
GPU = dataclasses.replace(CPU, device=torch.device("cuda"))
KINDS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore"),
    MemoryError("Unable to allocate 5 GiB for an array"),
    RuntimeError("not enough memory: you tried to allocate 7 bytes."),
]


def fits(most: int, error: Exception = KINDS[0]):
    """What takes at most so many rows, and the numbers that it was called with."""
    tried = []

    def take(rows: int) -> int:
        tried.append(rows)
        with passes():
            if rows > most:
                raise error
        return rows

    return take, tried


@pytest.mark.parametrize(
    "error", [KINDS[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])]
)
def test_half_as_many_rows_until_they_fit_and_then_for_good(error, capsys):
    at_once = RowsAtOnce(CPU, 25)
    take, tried = fits(4, error)
    assert at_once.attempt(take, "25 x 512 tokens") == 4
    assert tried == [25, 13, 7, 4]
    assert at_once.attempt(take, "25 x 512 tokens") == 4
    assert tried == [25, 13, 7, 4, 4]
    assert "4 sequences at a time" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("at_once", "advice"),
    [
        (RowsAtOnce(dataclasses.replace(CPU, micro_batch=8), 25), "set compute.micro_batch=4,"),
        (RowsAtOnce(CPU, 8, World(rank=0, size=2)), "set compute.micro_batch=4,"),
        (RowsAtOnce(CPU, 1), "choose a smaller model"),
    ],
)
def test_an_error_where_halving_is_not_ours(at_once, advice):
    with pytest.raises(CmgemsError, match=advice) as stopped:
        at_once.attempt(fits(0)[0], "25 x 512 tokens")
    assert stopped.value.why == "CUDA out of memory. Tried to allocate 2 GiB."


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match=r"^shapes$"):
        RowsAtOnce(CPU, 4).attempt(fits(0, RuntimeError("shapes"))[0], "4 x 8 tokens")
    with pytest.raises(RuntimeError, match=r"^shapes$"), out_of_memory("prediction", "lower it"):
        raise RuntimeError("shapes")


def test_all_rows_on_a_gpu_and_few_on_a_cpu():
    assert RowsAtOnce.of_tokens(CPU, 250, 512).rows == 10
    assert RowsAtOnce.of_tokens(CPU, 250, 9999).rows == 1
    assert RowsAtOnce.of_tokens(CPU, 4, 64).rows == 4
    assert RowsAtOnce.of_tokens(GPU, 250, 512).rows == 250
    assert RowsAtOnce.of_tokens(dataclasses.replace(GPU, micro_batch=125), 250, 512).rows == 125

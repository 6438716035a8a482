import shutil

import numpy as np
import pytest
import torch

from cmgems.data.labelled import pad_rows
from cmgems.errors import CmgemsError
from cmgems.training import ComputeConfig, resolve_compute, start_compute
from cmgems.training.compute import RECOMPILE_LIMIT


@pytest.mark.parametrize(
    ("able", "bf16"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_f": True}, False), ({}, False)],
)
def test_auto_precision_follows_the_processor(able, bf16, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert start_compute(ComputeConfig(device="cpu"), seed=0).bf16 is bf16
    assert start_compute(ComputeConfig(device="cpu", precision="bf16"), seed=0).bf16
    assert not start_compute(ComputeConfig(device="cpu", precision="fp32"), seed=0).bf16


def test_a_torch_that_does_not_know_its_processor_gets_fp32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not start_compute(ComputeConfig(device="cpu"), seed=0).bf16


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_gpu_that_is_not_there():
    with pytest.raises(CmgemsError, match="no GPU"):
        start_compute(ComputeConfig(device="cuda"), seed=0)


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(
        CmgemsError, match=r"more processes than GPUs in --nproc-per-node.* 4 on this machine"
    ):
        start_compute(ComputeConfig(), seed=0, local_rank=4)


@pytest.mark.parametrize(
    ("there", "variable", "compiled"),
    [
        ("gcc", None, True),
        ("clang", None, True),
        ("", None, False),
        ("gcc", "icx", False),
        ("icx", "icx", True),
    ],
)
def test_a_gpu_compiles_where_there_is_a_compiler(monkeypatch, there, variable, compiled):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(shutil, "which", lambda name: name if name == there else None)
    monkeypatch.delenv("CC", raising=False)
    if variable:
        monkeypatch.setenv("CC", variable)
    assert resolve_compute(ComputeConfig(precision="fp32")).compiled is compiled
    assert resolve_compute(ComputeConfig(precision="fp32", compile="on")).compiled
    assert not resolve_compute(ComputeConfig(precision="fp32", compile="off")).compiled


@pytest.mark.parametrize("max_positions", [64, 100, 512, 2048])
def test_compiled_fine_tuning_sees_few_shapes(max_positions):
    multiple = {
        how: start_compute(ComputeConfig(device="cpu", compile=how), seed=0).row_multiple(max_positions)
        for how in ("on", "off")
    }
    assert multiple["off"] == 8
    assert multiple["on"] % 8 == 0
    rows = [np.zeros(length, np.int32) for length in range(1, max_positions + 1)]
    widths = {pad_rows([row], 0, max_positions, multiple["on"]).shape[1] for row in rows}
    # The last batch of an epoch, of another height, doubles the shapes.
    assert 2 * len(widths) <= RECOMPILE_LIMIT // 2


def test_the_seed_decides_the_weights():
    def draw() -> torch.Tensor:
        start_compute(ComputeConfig(device="cpu"), seed=3)
        return torch.rand(4)

    assert torch.equal(draw(), draw())


def test_packed_rows_do_not_compile_on_a_cpu():
    with pytest.raises(CmgemsError, match=r"compute\.packing"):
        start_compute(ComputeConfig(device="cpu", compile="on", packing="on"), seed=0)


def test_resolving_changes_nothing():
    torch.manual_seed(1)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    found = resolve_compute(ComputeConfig(device="cpu", threads=threads + 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert found == resolve_compute(ComputeConfig(device="cpu"))

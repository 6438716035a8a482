import pytest
import torch

from cmgems.errors import CmgemsError
from cmgems.training import ComputeConfig, start_compute


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


def test_the_seed_decides_the_weights():
    def draw() -> torch.Tensor:
        start_compute(ComputeConfig(device="cpu"), seed=3)
        return torch.rand(4)

    assert torch.equal(draw(), draw())


def test_packed_rows_do_not_compile_on_a_cpu():
    with pytest.raises(CmgemsError, match=r"compute\.packing"):
        start_compute(ComputeConfig(device="cpu", compile="on", packing="on"), seed=0)

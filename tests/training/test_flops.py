from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cmgems.masking import MaskedBatch
from cmgems.models import MODELS
from cmgems.training import Compute
from cmgems.training.flops import peak_flops, peak_of, training_flops


def batch_of(rows, columns, masked, lengths=None):
    attention_BS = np.arange(columns) < np.array(lengths or [columns] * rows)[:, None]
    ids_BS = np.full((rows, columns), 7, np.int32)
    return MaskedBatch(ids_BS, attention_BS, np.arange(masked), np.full(masked, 7), "uniform")


def a_token(name):
    """FLOPs of a trained token at 512, 15 % masked."""
    with torch.device("meta"):
        flops = training_flops(MODELS.get(name).masked_lm(), MODELS.get(name))
    return flops.of(batch_of(25, 512, round(0.15 * 25 * 512))) / (25 * 512)


def test_the_published_sizes():
    assert a_token("dnabert") == pytest.approx(570e6, rel=0.005)
    assert a_token("logo") == pytest.approx(26e6, rel=0.02)


@pytest.mark.parametrize("name", ["dnabert_tiny", "logo_tiny", "dnabert2_tiny", "nt_tiny", "nt_v2_tiny"])
def test_every_family_agrees_with_pytorchs_count(name):
    config = MODELS.get(name)
    model = config.masked_lm().eval()
    rows, columns, masked = 3, 32, 12
    ids, positions = torch.full((rows, columns), 7), torch.arange(masked)
    # The plain product and softmax, which it counts whatever kernel would be chosen.
    with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(ids, None, positions).sum().backward()
    counted = training_flops(model, config).of(batch_of(rows, columns, masked))
    assert counted == pytest.approx(counter.get_total_flops(), rel=0.03)


def test_padding_is_no_work():
    config = MODELS.get("logo_tiny")
    flops = training_flops(config.masked_lm(), config)
    padded = flops.of(batch_of(2, 64, 5, lengths=[32, 32]))
    assert padded == flops.of(batch_of(2, 32, 5))
    assert padded < flops.of(batch_of(1, 64, 5))  # attention grows with the square


def test_peaks_by_name():
    assert peak_of("NVIDIA H200") == 989e12
    assert peak_of("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_of("NVIDIA H100 PCIe") == 756e12
    assert peak_of("NVIDIA A100-SXM4-80GB") == 312e12
    assert peak_of("NVIDIA L40S") == 362e12
    assert peak_of("NVIDIA L4") == 121e12
    assert peak_of("NVIDIA GeForce GTX 1080") is None
    assert peak_of("NVIDIA A4000") is None


def test_a_cpu_and_fp32_have_no_peak(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")
    assert peak_flops(Compute(torch.device("cpu"), bf16=True, compiled=False)) is None
    assert peak_flops(Compute(torch.device("cuda", 0), bf16=False, compiled=True)) is None
    assert peak_flops(Compute(torch.device("cuda", 0), bf16=True, compiled=True)) == 989e12

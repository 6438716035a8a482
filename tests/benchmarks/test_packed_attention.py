"""The check of packed attention, with a plain stand-in for the kernel that CPUs lack."""

import inspect
from pathlib import Path

import pytest
import torch

from cmgems.training import Compute

HEADS, HIDDEN = 4, 64
CPU = Compute(torch.device("cpu"), bf16=False, compiled=False)


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "benchmarks")
    import packed_attention

    return packed_attention


def plain(q_THK, k_THK, v_THK, ends_q, ends_k, longest_q, longest_k):
    """varlen_attn's arguments and answer."""
    assert ends_q.dtype == torch.int32
    assert ends_q is ends_k
    sizes = ends_q.diff().tolist()
    assert max(sizes) <= longest_q == longest_k
    alone = []
    for q, k, v in zip(*(x.transpose(0, 1).split(sizes, dim=1) for x in (q_THK, k_THK, v_THK)), strict=True):
        alone.append((q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ v)
    return torch.cat(alone, dim=1).transpose(0, 1)


@pytest.fixture
def case(benchmark):
    (batch,) = benchmark.batches(5, benchmark.LENGTHS[1], 1)
    return benchmark.Case.of(batch, HIDDEN, CPU, torch.float32)


def test_every_side_has_the_outputs_and_gradients_of_padded_rows(benchmark, case, monkeypatch):
    monkeypatch.setattr(benchmark, "varlen_attn", plain)
    assert case.packed_1TF.shape[1] == case.lengths.sum() > case.real_BS.sum()
    assert benchmark.error_of("one after the other", benchmark.with_mask, case, case, HEADS) < 1e-5
    assert benchmark.error_of(benchmark.VARLEN, benchmark.with_varlen, case, case, HEADS) < 1e-5


def test_a_side_that_mixes_sequences_is_found_out(benchmark, case, monkeypatch):
    def mixed(q, k, v, ends_q, ends_k, longest_q, longest_k):
        return plain(q, k, v, *[torch.cat([ends_q[:1], ends_q[2:]])] * 2, 2 * longest_q, 2 * longest_k)

    monkeypatch.setattr(benchmark, "varlen_attn", mixed)
    assert benchmark.error_of(benchmark.VARLEN, benchmark.with_varlen, case, case, HEADS) > 0.01


def test_the_kernel_takes_the_arguments_in_this_order(benchmark):
    names = list(inspect.signature(benchmark.varlen_attn).parameters)
    assert names[:7] == ["query", "key", "value", "cu_seq_q", "cu_seq_k", "max_q", "max_k"]

"""FlashAttention over sequences side by side: against a masked softmax on a GPU; elsewhere what it is called with."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cmgems.errors import CmgemsError
from cmgems.models import flash
from cmgems.models.packing import Packing, attend_packed, near

LENGTHS = [7, 0, 130, 1, 64, 0]
ON_A_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def stand_in(q_THK, k_THK, v_THK, *, cum_seq_q, cum_seq_k, max_q, max_k, dropout_p, scale, **rest):
    """The operator's arithmetic for a CPU, on the arguments it allows."""
    assert cum_seq_q.dtype == cum_seq_k.dtype == torch.int32
    assert q_THK.shape[-1] % 8 == 0
    assert max_q == max_k >= cum_seq_q.diff().max()
    reach = rest.pop("window_size_left")
    assert rest == {"is_causal": False, "return_debug_mask": False, "window_size_right": reach}
    ends = zip(cum_seq_q.tolist(), cum_seq_q.tolist()[1:], strict=False)
    alone = []
    for first, last in ends:
        scores_HSS = torch.einsum("shk,thk->hst", q_THK[first:last], k_THK[first:last]) * scale
        if reach is not None:
            far_SS = ~near(last - first, reach, q_THK.device)
            scores_HSS = scores_HSS.masked_fill(far_SS, -torch.inf)
        alone.append(torch.einsum("hst,thk->shk", scores_HSS.softmax(-1), v_THK[first:last]))
    return (torch.cat(alone),)


def qkv_of(size, device="cpu", dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(3, 1, 4, sum(LENGTHS), size, generator=generator)
    return tuple(x.to(device, dtype).requires_grad_() for x in qkv)


@pytest.mark.parametrize("size", [8, 20, 64])
@pytest.mark.parametrize("reach", [None, 5])
def test_the_operator_gets_what_it_takes(size, reach, monkeypatch):
    monkeypatch.setattr(flash, "_flash_attention", stand_in)
    qkv, cpu = qkv_of(size), torch.device("cpu")
    ways = [Packing.of(LENGTHS, cpu, "flash", longest=192), Packing.of(LENGTHS, cpu)]
    found, expected = (attend_packed(qkv, replace(way, reach=reach), 0.0) for way in ways)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_heads_that_are_too_large_for_it():
    with pytest.raises(
        CmgemsError, match=r"heads of 512 on a GPU in compute.packing: .*set compute.packing=off"
    ):
        flash.attend_side_by_side(qkv_of(512), torch.tensor([0, sum(LENGTHS)]), 200, 0.0)


def test_this_pytorch_has_the_operator():
    schema = torch.ops.aten._flash_attention_forward.default._schema
    names = [argument.name for argument in schema.arguments]
    assert names[:10] == [
        *("query", "key", "value", "cum_seq_q", "cum_seq_k", "max_q", "max_k"),
        *("dropout_p", "is_causal", "return_debug_mask"),
    ]
    assert {"scale", "window_size_left", "window_size_right"} <= set(names)


def test_a_cpu_has_no_flash():
    assert not flash.has_flash(torch.device("cpu"))


@ON_A_GPU
@pytest.mark.parametrize("size", [8, 20, 32, 64])
@pytest.mark.parametrize("reach", [None, 5])
def test_attention_and_gradients_on_a_gpu(size, reach):
    ours = qkv_of(size, "cuda", torch.bfloat16)
    exact = tuple(x.detach().double().cpu().requires_grad_() for x in ours)
    packing = Packing.of(LENGTHS, torch.device("cuda"), "flash")
    found = attend_packed(ours, replace(packing, reach=reach), 0.0)
    right = attend_packed(exact, replace(Packing.of(LENGTHS, torch.device("cpu")), reach=reach), 0.0)
    found.sum().backward()
    right.sum().backward()
    for got, wanted in [(found, right), *((x.grad, y.grad) for x, y in zip(ours, exact, strict=True))]:
        torch.testing.assert_close(got.double().cpu(), wanted, atol=0.05, rtol=0.05)


@ON_A_GPU
def test_dropout_on_a_gpu():
    torch.manual_seed(0)
    q_1HTK, k_1HTK = torch.zeros(2, 1, 1, 4096, 8, device="cuda", dtype=torch.bfloat16)
    packing = Packing.of([2048, 2048], torch.device("cuda"), "flash")
    attended = attend_packed((q_1HTK, k_1HTK, torch.ones_like(q_1HTK)), packing, 0.25)
    assert attended.float().mean().item() == pytest.approx(1, abs=0.02)
    assert attended.float().std() > 0.005

"""Loss and gradients of small models, eager in bf16, against float64 on the CPU, by each of the attention kernels.

One model of each family, two layers, heads of the size that the real ones have. Errors are norms: the difference of all
gradients over the gradients' own. And attention alone where scores are very low, which one kernel's backward pass has
turned into NaN.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import torch
from setting import Setting, arguments, say, start
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from cmgems.masking import MaskedBatch
from cmgems.models import MODELS
from cmgems.models.dot_product import attend_heads
from cmgems.training import Compute
from cmgems.training.step import MaskedLMLoss, loss_sum

# Those that a mask could break first: 64 is one block of the kernels, 512 what the recipes have.
WIDTHS = (512, 507, 448, 64, 192)
SIZES = {"layers": 2, "hidden": 128, "heads": 2, "ffn": 256, "hidden_dropout": 0.0, "attention_dropout": 0.0}
FAMILIES = {"logo": SIZES | {"heads": 4}, "dnabert2": SIZES, "nt_500m": SIZES, "nt_v2_50m": SIZES}
BACKENDS = {
    "default": None,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
PACKED = "packed"
ROWS = 4
CLOSE = {"bf16": 0.03, "fp32": 1e-4}  # of the gradients' norm
LOWEST = -60.0  # about the logsumexp of the low scores


def kernels(backend: SDPBackend | None) -> AbstractContextManager[object]:
    return nullcontext() if backend is None else sdpa_kernel([backend])


def batch_of(width: int, masked: bool, config: Any) -> MaskedBatch:
    """Rows of random tokens, full or of at least half the width."""
    rng = np.random.default_rng(width)
    lengths_B = rng.integers(width // 2, width + 1, ROWS) if masked else np.full(ROWS, width)
    lengths_B[0] -= masked and lengths_B.min() == width  # one row at least has padding
    real_BS = np.arange(width) < lengths_B[:, None]
    pad = getattr(config, "pad_id", 0)
    ids_BS = np.where(real_BS, rng.integers(5, config.vocab_size, real_BS.shape), pad).astype(np.int32)
    real = np.flatnonzero(real_BS)
    positions_M = np.sort(rng.choice(real, max(1, len(real) // 7), replace=False))
    labels_M = rng.integers(5, config.vocab_size, len(positions_M))
    return MaskedBatch(ids_BS, real_BS, positions_M, labels_M, "uniform")


def loss_and_gradients(loss: MaskedLMLoss, batch: MaskedBatch, compute: Compute) -> tuple[float, Tensor]:
    """Nats a masked token, and all gradients in a row, float64 on the CPU."""
    loss.zero_grad()
    mean = loss_sum(loss, batch, compute, training=True) / len(batch.labels_M)
    mean.backward()
    rows = [p.grad.double().flatten().cpu() for p in loss.parameters() if p.grad is not None]
    return mean.item(), torch.cat(rows)


def difference(found: Tensor, right: Tensor) -> float | None:
    """Norm of the difference over the norm of what is right; None if something is not finite."""
    return float((found - right).norm() / right.norm()) if bool(found.isfinite().all()) else None


def compare(setting: Setting, family: str) -> None:
    """A family's line for each kernel, precision and mask: the worst of all widths."""
    config: Any = replace(MODELS.get(family), **FAMILIES[family])  # type: ignore[type-var]
    torch.manual_seed(0)
    exact = MaskedLMLoss(config.masked_lm()).double()
    model = MaskedLMLoss(config.masked_lm())
    model.load_state_dict({name: tensor.float() for name, tensor in exact.state_dict().items()})
    model.to(setting.compute.device)
    cpu = Compute(torch.device("cpu"), bf16=False, compiled=False, packing="off")
    for masked in (True, False):
        widths = setting.pick(WIDTHS, WIDTHS[:2])
        batches = {width: batch_of(width, masked, config) for width in widths}
        right = {width: loss_and_gradients(exact, batch, cpu) for width, batch in batches.items()}
        # With a mask there is no choice of kernels, but packed rows need none.
        names = ["default", PACKED] if masked else list(BACKENDS)
        ways = [(name, "bf16") for name in names] + [("efficient", "fp32")]
        for backend, precision in ways:
            compute = replace(setting.compute, compiled=False, bf16=precision == "bf16")
            if backend == PACKED:
                compute = replace(compute, packing="auto")  # padded all the same with ALiBi
            with kernels(BACKENDS.get(backend)):
                found = worst_of(model, batches, right, compute)
            agrees = (
                not (found["not_finite"] or found["refused"]) and found["gradient_error"] < CLOSE[precision]
            )
            way = {"family": family, "backend": backend, "precision": precision, "mask": masked}
            say("agreement", **way, **found, agrees=agrees)


def worst_of(
    model: MaskedLMLoss,
    batches: dict[int, MaskedBatch],
    right: dict[int, tuple[float, Tensor]],
    compute: Compute,
) -> dict[str, Any]:
    """The largest errors over all widths, where they are, and the widths whose gradients are not finite."""
    found: dict[str, Any] = {"loss_error": 0.0, "gradient_error": 0.0, "width": None}
    broken: list[int] = []
    for width, batch in batches.items():
        try:
            loss, gradients = loss_and_gradients(model, batch, compute)
        except RuntimeError as reason:  # no such kernel for these tensors
            return found | {"not_finite": broken, "refused": str(reason).splitlines()[0][:120]}
        error = difference(gradients, right[width][1])
        if error is None:
            broken.append(width)
        elif error > found["gradient_error"]:
            found = {"loss_error": abs(loss - right[width][0]), "gradient_error": error, "width": width}
    return found | {"not_finite": broken, "refused": ""}


def attention(inputs: list[Tensor], mask: Tensor | None, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The output and the gradients of queries, keys and values in a row, float64 on the CPU.

    Args:
        inputs: Queries, keys, values and the output's gradient, BHSK in bf16 on the CPU.
        mask: As :func:`attend_heads` takes it, on the CPU.
        device: Where to compute.
        dtype: In which precision.
    """
    q, k, v, grad = (x.to(device, dtype) for x in inputs)
    leaves = [x.requires_grad_() for x in (q, k, v)]
    out = attend_heads((q, k, v), None if mask is None else mask.to(device), 0.0)
    gradients = torch.autograd.grad(out, leaves, grad)
    return torch.cat([x.detach().double().flatten().cpu() for x in (out, *gradients)])


def low_scores(setting: Setting) -> None:
    """Attention and its gradients where no key fits any query, by kernel, with a mask and without."""
    generator = torch.Generator().manual_seed(0)
    found: dict[tuple[str, bool], dict[int, float | None]] = {}
    for width, masked in product(setting.pick(WIDTHS, WIDTHS[:2]), (True, False)):
        inputs = [torch.randn(2, 4, width, 64, generator=generator) for _ in range(4)]
        inputs[0][..., 0], inputs[1][..., 0] = 8.0, LOWEST  # their product is divided by the root of 64
        inputs = [x.bfloat16() for x in inputs]
        mask = (torch.arange(width) < width - 3)[None, None, None] if masked else None
        right = attention(inputs, mask, torch.device("cpu"), torch.float64)
        for backend in BACKENDS:
            with suppress(RuntimeError), kernels(BACKENDS[backend]):  # no such kernel for these tensors
                ours = attention(inputs, mask, setting.compute.device, torch.bfloat16)
                found.setdefault((backend, masked), {})[width] = difference(ours, right)
    for (backend, masked), errors in found.items():
        known = [error for error in errors.values() if error is not None]
        broken = [width for width, error in errors.items() if error is None]
        worst = max(known, default=None)
        way = {"backend": backend, "precision": "bf16", "mask": masked}
        say("low scores", **way, gradient_error=worst, not_finite=broken)


def say_default(setting: Setting) -> None:
    """Which kernel PyTorch takes of itself."""
    for width in WIDTHS[:2]:
        for masked in (True, False):
            heads = torch.zeros(ROWS, 8, width, 32, device=setting.compute.device, dtype=torch.bfloat16)
            mask = torch.ones(ROWS, 1, 1, width, device=heads.device, dtype=torch.bool) if masked else None
            chosen = SDPBackend(torch._fused_sdp_choice(heads, heads, heads, mask)).name
            say("default kernel", width=width, mask=masked, kernel=chosen)


def main() -> None:
    setting = start(arguments(__doc__))
    torch.set_float32_matmul_precision("highest")
    say_default(setting)
    low_scores(setting)
    for family in FAMILIES:
        compare(setting, family)


if __name__ == "__main__":
    main()

"""Attention of sequences side by side in one row: flex_attention against varlen_attn, and against padded rows.

    python benchmarks/packed_attention.py

Forward and backward of one layer's attention, from the fused query-key-value projection to its gradient, in bf16,
compiled, on windows of the reference lengths, without ALiBi (which varlen_attn does not know) and without dropout
(which neither knows). Before the clock runs, outputs and gradients are compared with padded rows in float32: a side may
be at most three times as far off as padded rows in the same precision. "layout" is what a batch needs once, whatever
the number of layers: the blocks of flex_attention, or where the sequences end. On a CPU (`--quick`) there is no
varlen_attn, and packed rows are taken one sequence after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import numpy as np
import torch
from on_gpu import Page, start, wait
from side_by_side import arguments, measure, milliseconds, ratio
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from training import LENGTHS, batches

from cmgems.masking import MaskedBatch
from cmgems.models import MODELS, BertConfig
from cmgems.models.attention import attend, split_heads
from cmgems.models.packing import Packing
from cmgems.training import Compute
from cmgems.training.inputs import loss_inputs

SEQUENCES = {"dnabert": 64, "logo": 256}
BATCHES, CALLS = 4, 12
FLEX, VARLEN, PADDED = "flex_attention", "varlen_attn", "padded"
HEADER = "model, side, forward and backward ms, M tokens/s, times padded, layout ms, error"

Attention = Callable[..., Tensor]


@dataclass(frozen=True, eq=False)
class Case:
    """One batch in both layouts, F the width of the fused projection.

    Attributes:
        real_BS: bool, on the device.
        lengths: Tokens of each sequence of the packed row, those that pad it to a static length included.
        padded_BSF: Projection of the padded rows, zero at padding; requires a gradient.
        packed_1TF: The same tokens packed.
        grad_BSD: Of the output, zero at padding.
        grad_1TD: The same tokens packed.
    """

    real_BS: Tensor
    lengths: np.ndarray
    padded_BSF: Tensor
    packed_1TF: Tensor
    grad_BSD: Tensor
    grad_1TD: Tensor

    @classmethod
    def of(cls, batch: MaskedBatch, hidden: int, compute: Compute, dtype: torch.dtype) -> Case:
        _, layout, _, _ = loss_inputs(batch, replace(compute, packing="on"), static=True)
        assert isinstance(layout, Packing)
        lengths = np.bincount(layout.sequences_T.cpu().numpy())
        real_BS = torch.from_numpy(batch.attention_BS)
        generator = torch.Generator().manual_seed(0)
        padded_BSF = torch.randn(*real_BS.shape, 3 * hidden, generator=generator) * real_BS[..., None]
        grad_BSD = torch.randn(*real_BS.shape, hidden, generator=generator) * real_BS[..., None]

        def packed(x: Tensor) -> Tensor:
            row = torch.zeros(1, int(lengths.sum()), x.shape[-1])
            row[0, : int(real_BS.sum())] = x[real_BS]
            return row

        tensors = padded_BSF, packed(padded_BSF), grad_BSD, packed(grad_BSD)
        padded_BSF, packed_1TF, grad_BSD, grad_1TD = (x.to(compute.device, dtype) for x in tensors)
        real_BS = real_BS.to(compute.device)
        leaves = padded_BSF.requires_grad_(), packed_1TF.requires_grad_()
        return cls(real_BS, lengths, *leaves, grad_BSD, grad_1TD)


def with_varlen(qkv_1TF: Tensor, ends_N: Tensor, longest: int, heads: int) -> Tensor:
    q_THK, k_THK, v_THK = qkv_1TF[0].unflatten(-1, (3, heads, -1)).unbind(1)
    attended: Any = varlen_attn(q_THK, k_THK, v_THK, ends_N, ends_N, longest, longest)
    return attended.flatten(1)[None]


def with_mask(qkv: Tensor, mask: Any, longest: int, heads: int) -> Tensor:
    return attend(split_heads(qkv, heads), mask, 0.0)


def layout_of(side: str, case: Case) -> Any:
    """What the side's attention takes beside the projection: made once a batch."""
    device = case.real_BS.device
    if side == PADDED:
        return case.real_BS[:, None, None, :]
    if side == VARLEN:
        return torch.from_numpy(np.append(0, case.lengths.cumsum()).astype(np.int32)).to(device)
    return Packing.of(case.lengths.tolist(), device)


def run(side: str, attention: Attention, case: Case, layout: Any, heads: int) -> tuple[Tensor, Tensor]:
    """The output and the gradient of the projection."""
    qkv, grad = (case.padded_BSF, case.grad_BSD) if side == PADDED else (case.packed_1TF, case.grad_1TD)
    qkv.grad = None
    output = attention(qkv, layout, case.real_BS.shape[1], heads)
    output.backward(grad)
    assert qkv.grad is not None
    return output.detach(), qkv.grad


def error_of(side: str, attention: Attention, case: Case, exact: Case, heads: int) -> float:
    """Largest difference from padded rows in float32 at real tokens, over the largest value there."""
    found = run(side, attention, case, layout_of(side, case), heads)
    wanted = run(PADDED, with_mask, exact, layout_of(PADDED, exact), heads)
    worst = 0.0
    for ours, theirs in zip(found, wanted, strict=True):
        right = theirs[exact.real_BS]
        at_real = ours[case.real_BS] if side == PADDED else ours[0, : len(right)]
        worst = max(worst, float((at_real.float() - right).abs().max() / right.abs().max()))
    return worst


def sides_of(compute: Compute) -> dict[str, Attention]:
    on_gpu = compute.device.type == "cuda"
    found: dict[str, Attention] = {PADDED: with_mask, FLEX if on_gpu else "one after the other": with_mask}
    return found | {VARLEN: with_varlen} if on_gpu else found


def turns(call: Callable[[int], object], compute: Compute, calls: int) -> Callable[[], object]:
    """``calls`` calls, each for the next batch; returns when the GPU has done them."""
    following = cycle(range(BATCHES))

    def turn() -> None:
        for _ in range(calls):
            call(next(following))
        wait(compute)

    return turn


def rows_of(page: Page, name: str, config: BertConfig, sequences: int) -> list[list[str]]:
    compute, heads = page.compute, config.heads
    calls = CALLS if compute.device.type == "cuda" else 1
    made = batches(sequences, LENGTHS[1], BATCHES)
    dtype = torch.bfloat16 if compute.bf16 else torch.float32
    cases = [Case.of(batch, config.hidden, compute, dtype) for batch in made]
    exact = Case.of(made[0], config.hidden, compute, torch.float32)
    attends: dict[str, Callable[[], object]] = {}
    lays: dict[str, Callable[[], object]] = {}
    errors: dict[str, float] = {}
    for side, function in sides_of(compute).items():
        called: Any = torch.compile(function, dynamic=False, fullgraph=True) if compute.compiled else function
        with page.attempt(f"`{name}`, {side}"):
            errors[side] = error_of(side, called, cases[0], exact, heads)
            layouts = [layout_of(side, case) for case in cases]

            def one(i: int, side: str = side, called: Any = called, layouts: list[Any] = layouts) -> None:
                run(side, called, cases[i], layouts[i], heads)

            for i in range(BATCHES):  # every shape is compiled before the clock runs
                one(i)
            attends[side] = turns(one, compute, calls)
            lays[side] = turns(lambda i, side=side: layout_of(side, cases[i]), compute, calls)
        if errors.get(side, 0.0) > 3 * errors.get(PADDED, 0.0) + 1e-5:
            page.fail(f"`{name}`, {side}: {errors[side]:.1e} from the right answer")
    attending, laying = measure(attends, page.rounds, seconds=0.2), measure(lays, page.rounds, seconds=0.05)
    tokens = sum(int(batch.attention_BS.sum()) for batch in made) / BATCHES
    if {FLEX, VARLEN} <= attending.keys():
        times = ratio(attending, FLEX, VARLEN)
        page.notes.append(f"`{name}`: {VARLEN} is {times:.2f} times as fast as {FLEX} in a layer.")
    return [
        [
            f"`{name}`",
            side,
            f"{milliseconds(attending, side) / calls:.3f}",
            f"{tokens * calls / milliseconds(attending, side) / 1000:.2f}",
            f"{ratio(attending, PADDED, side):.2f}" if PADDED in attends else "-",
            f"{milliseconds(laying, side) / calls:.3f}",
            f"{errors[side]:.1e}",
        ]
        for side in attends
    ]


def main() -> None:
    options = arguments(__doc__ or "", "packed_attention.md").parse_args()
    compute = start(options.quick)
    torch.set_float32_matmul_precision("highest")  # for the right answer
    rounds = 1 if options.quick else options.rounds
    notes = ["" if options.quick else f"Sequences: {SEQUENCES}, windows of the reference lengths."]
    page = Page(
        options.output, "Packed attention", "packed_attention.py", compute, rounds, HEADER.split(", "), notes
    )
    for name, sequences in SEQUENCES.items():
        config = MODELS.get(name)
        assert isinstance(config, BertConfig)
        if options.quick:
            config, sequences = replace(config, hidden=64, heads=4), 4
        torch.compiler.reset()
        page.add(rows_of(page, name, config, sequences))
    page.finish()


if __name__ == "__main__":
    main()

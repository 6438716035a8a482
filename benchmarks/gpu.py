"""Training on a GPU: ours padded and packed against Hugging Face's, all compiled in bf16, and eager against compiled.

    python benchmarks/gpu.py

Tokens a second count real tokens only. MFU is the model FLOPs of our steps over the GPU's peak by its datasheet.
Packed rows have no attention dropout: DNABERT is measured with its own 0.1, padded, and without, padded and packed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle

import torch
from side_by_side import arguments, measure, ratio, report, table
from torch import nn
from training import LENGTHS, batches, our_step, their_step

from cmgems.masking import MaskedBatch
from cmgems.models import MODELS, BertConfig
from cmgems.training import Compute
from cmgems.training.flops import peak_flops, training_flops
from cmgems.training.step import MaskedLMLoss, loss_sum

# Preset, attention dropout, sequences in a step.
RUNS = (("dnabert", 0.1, 64), ("dnabert", 0.0, 64), ("logo", 0.0, 256))
BATCHES = 8
THEIRS = "Hugging Face"


def largest_difference(config: BertConfig, compute: Compute, batch: MaskedBatch) -> float:
    """Between the losses a token of the eager, the compiled and the packed model, in training without dropout."""
    torch.manual_seed(0)
    still = replace(config, hidden_dropout=0.0, attention_dropout=0.0)
    loss = MaskedLMLoss(still.masked_lm().to(compute.device))
    ways = [replace(compute, compiled=False, packing="off")]
    ways += [replace(compute, packing=packing) for packing in packings(compute, still)]
    losses = [loss_sum(way.compile(loss), batch, way, training=True).item() for way in ways]
    return (max(losses) - min(losses)) / len(batch.labels_M)


def packings(compute: Compute, config: BertConfig) -> list[str]:
    """The layouts to measure: flex_attention knows no dropout, and on a CPU no backward pass."""
    return ["off", "on"] if compute.device.type == "cuda" and not config.attention_dropout else ["off"]


def turns(step: Callable[[MaskedBatch], object], made: list[MaskedBatch]) -> Callable[[], object]:
    """Takes a step over the next batch."""
    following = cycle(made)
    for batch in made:  # every shape is compiled before the clock runs
        step(batch)
    return lambda: step(next(following))


def peak_gb(compute: Compute, step: Callable[[], object]) -> str:
    if compute.device.type != "cuda":
        return "-"
    torch.cuda.reset_peak_memory_stats()
    step()
    return f"{torch.cuda.max_memory_allocated() / 1e9:.1f}"


def rows_of(
    config: BertConfig, name: str, lengths: str, count: int, compute: Compute, rounds: int
) -> list[list[str]]:
    made = batches(count, lengths, BATCHES)
    calls = {}
    for packing in packings(compute, config):
        side = "packed" if packing == "on" else "padded"
        calls[side] = turns(our_step(config, replace(compute, packing=packing)), made)
    calls[THEIRS] = turns(their_step(config, compute), made)
    memory = {side: peak_gb(compute, call) for side, call in calls.items()}
    found = measure(calls, rounds, seconds=1.0)
    tokens = sum(int(batch.attention_BS.sum()) for batch in made) / BATCHES
    model: nn.Module = config.masked_lm()
    flops = training_flops(model, config).of(made) / BATCHES
    peak = peak_flops(compute)
    lines = []
    for side in calls:
        seconds = sorted(found[side])[rounds // 2]
        mfu = f"{flops / seconds / peak:.1%}" if peak else "-"
        speed = f"{tokens / seconds / 1e6:.3f}"
        times = f"{ratio(found, THEIRS, side):.2f}"
        lines.append([name, f"{config.attention_dropout}", lengths, side, speed, mfu, memory[side], times])
    return lines


def main() -> None:
    options = arguments(__doc__ or "", "gpu.md").parse_args()
    if not torch.cuda.is_available() and not options.quick:
        sys.exit("error: no GPU: PyTorch sees no CUDA device; run it where there is one")
    on_gpu = torch.cuda.is_available()
    compute = Compute(torch.device("cuda" if on_gpu else "cpu"), bf16=on_gpu, compiled=on_gpu)
    rounds = 1 if options.quick else options.rounds
    rows, checks = [], []
    for name, dropout, count in RUNS:
        config = MODELS.get(name)
        assert isinstance(config, BertConfig)
        config = replace(config, attention_dropout=dropout)
        if options.quick:
            config, count = replace(config, layers=1, hidden=48, heads=4, ffn=64), 2
        difference = largest_difference(config, compute, batches(count, LENGTHS[1], 1)[0])
        checks.append(f"`{name}` {difference:.1e}")
        for lengths in LENGTHS:
            torch.compiler.reset()
            rows += rows_of(config, f"`{name}`", lengths, count, compute, rounds)
    gpu = torch.cuda.get_device_name() if on_gpu else "no GPU"
    header = [
        "model",
        "attention dropout",
        "lengths",
        "side",
        "M tokens/s",
        "MFU",
        "peak GB",
        "times Hugging Face",
    ]
    notes = (
        f"{gpu}, {compute.describe()}; sequences a step: "
        + ", ".join(f"{name} {count}" for name, _, count in RUNS)
        + ". Largest difference of the loss a masked token between eager, compiled and packed: "
        + ", ".join(checks)
        + "."
    )
    report(options.output, "GPU", "gpu.py", rounds, ["torch", "transformers"], notes, table(header, rows))


if __name__ == "__main__":
    main()

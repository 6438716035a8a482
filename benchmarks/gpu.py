"""Training on a GPU: ours padded and packed against Hugging Face's, from the same weights, all compiled, in bf16.

    python benchmarks/gpu.py                     everything; torch.compile takes most of the time
    python benchmarks/gpu.py --runs logo         one model alone, where time is short

Tokens a second count real tokens only. MFU is the model FLOPs of our steps over the GPU's peak by its datasheet.
"peak GB" is what a side adds to the memory: weights, optimizer, activations. "start" builds the model and takes a step
over every batch, which compiles all shapes. Packed rows have no attention dropout: DNABERT is measured with its own
0.1, padded, and without, padded and packed.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle, product

import torch
from on_gpu import Page, compiled_graphs, start, wait
from side_by_side import arguments, measure, ratio
from training import LENGTHS, batches, our_step, their_step

from cmgems.masking import MaskedBatch
from cmgems.models import MODELS, BertConfig
from cmgems.training import Compute
from cmgems.training.flops import peak_flops, training_flops
from cmgems.training.step import MaskedLMLoss, loss_sum

# Preset, attention dropout, sequences in a step.
RUNS = {
    "logo": ("logo", 0.0, 256),
    "dnabert": ("dnabert", 0.0, 64),
    "dnabert_dropout": ("dnabert", 0.1, 64),
}
BATCHES = 8
THEIRS = "Hugging Face"
MOST_APART = 0.02  # nats a masked token; bf16 keeps three digits of a loss of 8
HEADER = (
    "model, attention dropout, lengths, side, M tokens/s, MFU, peak GB, start s, graphs, times Hugging Face"
)

Step = Callable[[MaskedBatch], object]


@dataclass(frozen=True)
class Side:
    """A way to train, with every shape compiled.

    Attributes:
        call: A step over the next batch; returns when the GPU has done it.
        start: Seconds to build it and to take a step over every batch.
        graphs: That torch.compile made for it.
        memory: Bytes it added to the GPU's memory at most.
    """

    call: Callable[[], object]
    start: float
    graphs: int
    memory: int


def ways(config: BertConfig, compute: Compute) -> dict[str, Callable[[], Step]]:
    """What builds each side; flex_attention knows no dropout, and on a CPU no backward pass."""
    found = {"padded": lambda: our_step(config, replace(compute, packing="off"))}
    if compute.device.type == "cuda" and not config.attention_dropout:
        found["packed"] = lambda: our_step(config, replace(compute, packing="on"))
    found[THEIRS] = lambda: their_step(config, compute)
    return found


def largest_difference(config: BertConfig, compute: Compute, batch: MaskedBatch) -> float:
    """Between the losses a token of eager, padded, packed and Hugging Face's, in training without dropout."""
    still = replace(config, hidden_dropout=0.0, attention_dropout=0.0)
    torch.manual_seed(0)
    loss = MaskedLMLoss(still.masked_lm().to(compute.device))
    modes = [replace(compute, compiled=False, packing="off")]
    modes += [replace(compute, packing=mode) for mode in ("off", "on") if mode == "off" or compute.compiled]
    losses = [
        loss_sum(mode.compile(loss), batch, mode, training=True).item() / len(batch.labels_M)
        for mode in modes
    ]
    torch.manual_seed(0)
    theirs = their_step(still, compute)(batch)  # the loss before the step
    assert isinstance(theirs, float)
    return max(*losses, theirs) - min(*losses, theirs)


def warmed_up(build: Callable[[], Step], made: list[MaskedBatch], compute: Compute) -> Side:
    """Builds a side from the seed's weights and takes it through all batches."""
    on_gpu = compute.device.type == "cuda"
    gc.collect()  # what an earlier side has left must not be freed under this one's count
    before = torch.cuda.memory_allocated() if on_gpu else 0
    began, graphs = time.perf_counter(), compiled_graphs()
    torch.manual_seed(0)
    step = build()
    for batch in made:
        step(batch)
    wait(compute)
    seconds = time.perf_counter() - began
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    for batch in made:
        step(batch)
    wait(compute)
    memory = torch.cuda.max_memory_allocated() - before if on_gpu else 0
    following = cycle(made)

    def call() -> None:
        step(next(following))
        wait(compute)  # else the optimizer's last kernels run on the next side's clock

    return Side(call, seconds, compiled_graphs() - graphs, memory)


def rows_of(page: Page, config: BertConfig, name: str, lengths: str, count: int) -> list[list[str]]:
    compute = page.compute
    on_gpu = compute.device.type == "cuda"
    made = batches(count, lengths, BATCHES if on_gpu else 2)
    sides: dict[str, Side] = {}
    for side, build in ways(config, compute).items():
        with page.attempt(f"`{name}`, {lengths}, {side}"):
            sides[side] = warmed_up(build, made, compute)
    graphs = compiled_graphs()
    found = measure({side: ready.call for side, ready in sides.items()}, page.rounds, seconds=0.5 * on_gpu)
    if compiled_graphs() > graphs:
        page.fail(f"`{name}`, {lengths}: {compiled_graphs() - graphs} graphs were compiled under the clock")
    tokens = sum(int(batch.attention_BS.sum()) for batch in made) / len(made)
    flops = training_flops(config.masked_lm(), config).of(made) / len(made)
    peak = peak_flops(compute)
    lines = []
    for side, ready in sides.items():
        seconds = sorted(found[side])[len(found[side]) // 2]
        lines.append(
            [
                f"`{name}`",
                f"{config.attention_dropout}",
                lengths,
                side,
                f"{tokens / seconds / 1e6:.3f}",
                f"{flops / seconds / peak:.1%}" if peak else "-",
                f"{ready.memory / 1e9:.1f}" if ready.memory else "-",
                f"{ready.start:.0f}",
                f"{ready.graphs}",
                f"{ratio(found, THEIRS, side):.2f}" if THEIRS in found else "-",
            ]
        )
    return lines


def main() -> None:
    parser = arguments(__doc__ or "", "gpu.md")
    parser.add_argument("--runs", nargs="+", default=list(RUNS), choices=list(RUNS))
    options = parser.parse_args()
    compute = start(options.quick)
    sequences = ", ".join(f"{name} {RUNS[name][2]}" for name in options.runs)
    notes = ["" if options.quick else f"Sequences a step: {sequences}."]
    rounds = 1 if options.quick else options.rounds
    page = Page(options.output, "GPU", "gpu.py", compute, rounds, HEADER.split(", "), notes)
    for run, lengths in product(options.runs, LENGTHS):
        name, dropout, count = RUNS[run]
        config = MODELS.get(name)
        assert isinstance(config, BertConfig)
        config = replace(config, attention_dropout=dropout)
        if options.quick:
            config, count = replace(config, layers=1, hidden=64, heads=4, ffn=64), 2
        torch.compiler.reset()
        page.add(rows_of(page, config, name, lengths, count))
        if lengths == LENGTHS[1] and not dropout:
            torch.compiler.reset()
            with page.attempt(f"`{name}`, losses"):
                apart = largest_difference(config, compute, batches(count, lengths, 1)[0])
                page.notes.append(
                    f"`{name}`: losses of the same weights lie at most {apart:.1e} nats a token apart, eager, "
                    "padded, packed and Hugging Face's."
                )
                if apart > MOST_APART:
                    page.fail(f"`{name}`: losses of the same weights lie {apart:.3f} nats apart")
    page.finish()


if __name__ == "__main__":
    main()

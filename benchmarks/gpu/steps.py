"""Training steps to be measured: ours and Hugging Face's, on rows of random k-mers.

A GPU works behind the program's back: a clock is started and stopped only after waiting for it.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import cycle

import numpy as np
import torch
from setting import Setting, say
from torch._dynamo.utils import counters
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from training import LENGTHS, OPTIM, batches, their_step

from cmgems.distributed import ALONE
from cmgems.masking import MaskedBatch, micro_batches
from cmgems.models import BertConfig
from cmgems.training import Compute, LateCopy, Later, build_optimizer, train_step
from cmgems.training.flops import peak_flops, training_flops
from cmgems.training.step import MaskedLMLoss, loss_sum

Batches = list[MaskedBatch]  # the micro-batches of a step
Loss = Callable[[], float]  # waits for a step's loss, in nats a masked token
Step = Callable[[Batches], Loss]
FULL, MASKED, NEARLY, MIXED = "507", "507 in 512 with a mask", "507, two rows shorter", LENGTHS[1]
WARM_UP, DISTINCT = 4, 8


def rows_of(lengths: str, rows: int, count: int) -> list[Batches]:
    """``count`` steps of ``rows`` sequences: 510 bp each, with or without padding to 512, or of mixed lengths.

    Of those that are nearly all of 510 bp two are of half that, as where a contig ends.
    """
    if lengths == MIXED:
        return [[batch] for batch in batches(rows, MIXED, count)]
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        real_BS = np.zeros((rows, 507 if lengths == FULL else 512), bool)
        real_BS[:, :507] = True
        # The same tokens and positions whatever the width.
        ids_BS = np.zeros(real_BS.shape, np.int32)
        ids_BS[:, :507] = rng.integers(5, 4101, (rows, 507))
        chosen = np.sort(rng.choice(rows * 507, round(0.15 * rows * 507), replace=False))
        positions_M = chosen // 507 * real_BS.shape[1] + chosen % 507
        labels_M = rng.integers(5, 4101, len(chosen))
        if lengths == NEARLY:
            real_BS[:2, 256:] = False
            ids_BS[~real_BS] = 0
            kept_M = real_BS.reshape(-1)[positions_M]
            positions_M, labels_M = positions_M[kept_M], labels_M[kept_M]
        made.append([MaskedBatch(ids_BS, real_BS, positions_M, labels_M, "uniform")])
    return made


def ours(config: BertConfig, compute: Compute) -> Step:
    """A step of ours as the recipe takes it."""
    model = config.masked_lm().to(compute.device)
    loss, optimizer = compute.compile(MaskedLMLoss(model)), build_optimizer(model, OPTIM)

    def step(made: Batches) -> Loss:
        started = train_step(model, loss, made, optimizer, OPTIM, OPTIM.lr, compute, ALONE)
        return lambda: started.result().loss

    return step


def theirs(config: BertConfig, compute: Compute) -> Step:
    """A step of Hugging Face's model from the same weights."""
    take = their_step(config, compute)

    def step(made: Batches) -> Loss:
        copied = LateCopy(take(made[0]))
        return lambda: float(copied.array())

    return step


def timed(step: Step, made: Sequence[Batches], steps: int) -> float:
    """Seconds a step, over ``steps`` of them; a step's loss is read once the next one is under way."""
    following = cycle(made)
    losses: Later[Loss] = Later(lambda loss: loss(), 1)
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(steps):
        losses.add(step(next(following)))
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / steps


def measure(
    setting: Setting, config: BertConfig, build: Callable[[], Step], made: Sequence[Batches], **names: object
) -> Step:
    """Build a way to train, warm it up, time it, and say what came out.

    The result: seconds of a step (median of the rounds, least and most), real tokens a second, share of the datasheet's
    bf16 peak and TFLOP/s of the model's FLOPs, GB added to the GPU's memory at most, seconds to build it and compile,
    graphs compiled, and the losses of its first steps, the same on all sides whose weights and rows are.
    """
    torch.compiler.reset()  # what an earlier side has left must not be freed under this one's count
    gc.collect()
    torch.cuda.empty_cache()
    before, graphs = torch.cuda.memory_allocated(), compiled_graphs()
    began = time.perf_counter()
    torch.manual_seed(0)
    step = build()
    losses = [step(batch)() for batch in made[:WARM_UP]]
    torch.cuda.synchronize()
    ready = time.perf_counter() - began
    torch.cuda.reset_peak_memory_stats()
    steps = setting.pick(max(3, round(0.5 / timed(step, made, 3))), 1)
    found = sorted(timed(step, made, steps) for _ in range(setting.pick(5, 1)))
    seconds = statistics.median(found)
    flops = sum(training_flops(config.masked_lm(), config).of(b) for batch in made for b in batch) / len(made)
    tokens = sum(int(b.attention_BS.sum()) for batch in made for b in batch) / len(made)
    peak = peak_flops(setting.compute)
    say(
        "training",
        **names,
        seconds=seconds,
        least=found[0],
        most=found[-1],
        tokens_per_second=tokens / seconds,
        tflops=flops / seconds / 1e12,
        mfu=flops / seconds / peak if peak else None,
        memory_gb=(torch.cuda.max_memory_allocated() - before) / 1e9,
        ready=ready,
        graphs=compiled_graphs() - graphs,
        losses=losses,
    )
    return step


def compiled_graphs() -> int:
    """Graphs that torch.compile has made in this process."""
    return int(counters["stats"]["unique_graphs"])


def say_kernels(
    step: Step, made: Sequence[Batches], steps: int = 3, shown: int = 15, **names: object
) -> None:
    """The costliest kernels of a step, in ms, and their share of the time that the GPU worked."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as running:
        seconds = timed(step, made, steps)
    kernels = [
        event
        for event in running.key_averages()
        if event.device_type == DeviceType.CUDA and not event.is_user_annotation
    ]
    kernels.sort(key=lambda event: -event.self_device_time_total)
    busy = sum(event.self_device_time_total for event in kernels) / 1000 / steps
    top = [
        {
            "kernel": event.key[:120],
            "ms": event.self_device_time_total / 1000 / steps,
            "calls": event.count / steps,
        }
        for event in kernels[:shown]
    ]
    launches = sum(event.count for event in kernels) / steps
    say("kernels", **names, step_ms=1000 * seconds, busy_ms=busy, launches=launches, top=top)


def say_losses(config: BertConfig, compute: Compute, whole: MaskedBatch, parts: int, **names: object) -> None:
    """The loss of the same weights and rows, a part of a batch, eager on the GPU and in float32 on the CPU."""
    torch.manual_seed(0)
    model = config.masked_lm()
    loss = MaskedLMLoss(model).train()
    batch = micro_batches(whole, parts, full=507, multiple=64)[0]
    cpu = Compute(torch.device("cpu"), bf16=False, compiled=False, packing="off")
    eager = Compute(compute.device, bf16=True, compiled=False, packing="off")
    found = {}
    with torch.no_grad():
        for side, where in {"CPU, fp32": cpu, "GPU, eager, bf16": eager}.items():
            loss.to(where.device)
            found[side] = loss_sum(loss, batch, where, training=True).item() / len(batch.labels_M)
    say("losses", **names, rows=len(batch.ids_BS), losses=found)

"""When a step goes wrong: losses that are not finite, sudden spikes, too little memory, data threads that die."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
import torch
from safetensors.numpy import save

from cmgems.distributed import World
from cmgems.errors import CmgemsError
from cmgems.files import write_bytes
from cmgems.masking import MaskedBatch
from cmgems.runs.layout import BAD_BATCHES
from cmgems.training.step import StepResult

# Losses of a masking strategy that a new one is compared with, and how many there must be.
WINDOW, ENOUGH = 64, 20
# The median absolute deviation of a normal distribution times this is its standard deviation.
MAD_TO_SD = 1.4826
# Spreads below this share of the median count as this much: a loss that hardly moves has no spikes of 1 %.
LEAST_SPREAD = 0.01


@dataclass(frozen=True)
class TroubleConfig:
    """What to do when a step goes wrong.

    Attributes:
        nonfinite: `stop` saves the batch whose loss or gradient is not finite and ends the run; `skip` leaves the
            parameters as they were and takes the next batch.
        patience: Steps skipped in a row after which a run ends all the same.
        spike: A loss is noted as a spike when it is this many standard deviations above the median of the last 64 of
            the same masking strategy; 0 for never. The deviation is estimated by the median absolute deviation.
    """

    nonfinite: Literal["stop", "skip"] = "stop"
    patience: int = 10
    spike: float = 6.0

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise CmgemsError(f"`patience` must be 1 or more, but is {self.patience}")
        if self.spike < 0:
            raise CmgemsError(f"`spike` must be 0 or more, but is {self.spike}")


@dataclass
class Watch:
    """Looks at every step's loss. Its fields are JSON-able and part of every checkpoint.

    Attributes:
        skipped: Steps skipped so far.
        in_a_row: Of these, the last ones without a good step between.
        spikes: Spikes so far; a loss that stays high is one.
        spiking: Whether the last step was part of one.
        losses: The last losses of each masking strategy: a curriculum's switch is no spike.
    """

    skipped: int = 0
    in_a_row: int = 0
    spikes: int = 0
    spiking: bool = False
    losses: dict[str, list[float]] = field(default_factory=dict)

    def check(self, result: StepResult, strategy: str, config: TroubleConfig) -> str:
        """What there is to say about a step: that it is skipped, or that a spike begins; mostly nothing."""
        loss, norm = result.loss, result.gradient_norm
        if not is_finite(result):
            self.skipped += 1
            self.in_a_row += 1
            return f"skipped: loss {loss}, gradient norm {norm} ({self.skipped} steps so far)"
        self.in_a_row = 0
        losses = self.losses.setdefault(strategy, [])
        usual, limit = _usual(losses, config.spike)
        losses.append(loss)
        del losses[:-WINDOW]
        first, self.spiking = loss > limit and not self.spiking, loss > limit
        self.spikes += first
        return f"loss spike: {loss:.4f}, lately {usual:.4f}" if first else ""


def is_finite(result: StepResult) -> bool:
    """Whether a step has changed the parameters: both its loss and its gradient were finite."""
    return math.isfinite(result.loss) and math.isfinite(result.gradient_norm)


def _usual(losses: Sequence[float], spike: float) -> tuple[float, float]:
    """The median of recent losses, and the loss above which there is a spike."""
    if len(losses) < ENOUGH or not spike:
        return math.nan, math.inf
    usual = median(losses)
    deviation = MAD_TO_SD * median(abs(loss - usual) for loss in losses)
    return usual, usual + spike * max(deviation, LEAST_SPREAD * usual)


def stop_if_diverged(
    watch: Watch,
    config: TroubleConfig,
    batches: Sequence[MaskedBatch],
    batch_size: int,
    folder: Path,
    step: int,
    world: World,
) -> None:
    """End the run after a step that was not finite, unless the config says to skip it and there is hope.

    Args:
        watch: Has seen the step.
        config: Says when to stop.
        batches: This rank's micro-batches of the step, to save.
        batch_size: Sequences in a micro-batch over all ranks.
        folder: The run's; each rank writes ``bad_batch/step_XXXXXXXX_rank_R.safetensors`` there.
        step: The step, from 1.
        world: This rank's place.

    Raises:
        CmgemsError: where the batches are, and what to try.
    """
    if not watch.in_a_row or (config.nonfinite == "skip" and watch.in_a_row < config.patience):
        return
    path = folder / BAD_BATCHES / f"step_{step:08d}_rank_{world.rank}.safetensors"
    write_bytes(path, batch_bytes(batches, batch_size, step, world))
    often = f", nor at the {watch.in_a_row - 1} steps before" if watch.in_a_row > 1 else ""
    skip = "" if config.nonfinite == "skip" else "go on with trouble.nonfinite=skip, or "
    raise CmgemsError(
        f"the loss or its gradient is not finite at step {step}{often}",
        why=f"the batch is saved in {path}",
        fix=f"{skip}start again with a lower optim.lr or compute.precision=fp32 and another -o",
    )


def batch_bytes(batches: Sequence[MaskedBatch], batch_size: int, step: int, world: World) -> bytes:
    """A safetensors file of one rank's micro-batches: 0.ids_BS, 0.attention_BS, 0.positions_M, 0.labels_M, 1.ids_BS ...

    ``samples_B`` of each, int64, are the places of its rows in the training stream.
    """
    tensors: dict[str, np.ndarray] = {}
    for number, batch in enumerate(batches):
        for name in ("ids_BS", "attention_BS", "positions_M", "labels_M"):
            tensors[f"{number}.{name}"] = np.ascontiguousarray(getattr(batch, name))
        first = ((step - 1) * len(batches) + number) * batch_size
        rows_B = np.arange(len(batch.ids_BS), dtype=np.int64)
        tensors[f"{number}.samples_B"] = first + world.rank + world.size * rows_B
    return save(tensors, metadata={"step": str(step), "strategy": batches[0].strategy})


@contextmanager
def memory_advice(batches: Sequence[MaskedBatch], batch_size: int, accumulation: int) -> Iterator[None]:
    """Say in one line which batch did not fit into memory and what to lower.

    Args:
        batches: This rank's micro-batches.
        batch_size: The config's `data.batch_size`.
        accumulation: The config's `accumulation`.
    """
    rows, columns = max((batch.ids_BS.shape for batch in batches), key=math.prod)
    half, rest = divmod(batch_size, 2)
    advice = (
        f"set data.batch_size={half} and accumulation={2 * accumulation}, which keeps "
        f"{batch_size * accumulation} sequences a step"
        if half and not rest
        else "lower data.batch_size and raise accumulation to keep their product"
        if half
        else "set compute.recompute=true, shorten data.sampler.max_bp or choose a smaller model"
    )
    with out_of_memory(f"a batch of {rows} x {columns} tokens", advice):
        yield


@contextmanager
def out_of_memory(where: str, fix: str) -> Iterator[None]:
    """Say in one line that memory is short, and not PyTorch's page of it."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        why = (str(error).splitlines() or [""])[0]
        raise CmgemsError("out of memory", where=where, why=why, fix=fix) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or in main memory."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and ("DefaultCPUAllocator" in text or "not enough memory" in text)
    )


def take(stream: Iterator[MaskedBatch], count: int) -> list[MaskedBatch]:
    """The next ``count`` batches of a stream.

    Raises:
        CmgemsError: one that a data thread has met, as it was there.
        RuntimeError: any other error of a data thread, in one line.
    """
    try:
        return [next(stream) for _ in range(count)]
    except Exception as error:
        # torchdata raises the same type again, with the thread's traceback as its message; a CmgemsError has its lines
        # joined to one, and may have come through two threads.
        text = error.what if isinstance(error, CmgemsError) else str(error)
        _, found, trace = text.partition("\nOriginal Traceback")
        if not found:
            raise
        if isinstance(error, CmgemsError):
            kind = type(error)
            raise kind(trace.rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].strip()) from error
        raise RuntimeError(f"a data thread died of {trace.strip().splitlines()[-1]}") from error

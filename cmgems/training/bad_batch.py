"""Ending a run whose loss is not finite, and keeping the batch that made it so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save

from cmgems.distributed import World
from cmgems.errors import CmgemsError
from cmgems.files import write_bytes
from cmgems.masking import MaskedBatch
from cmgems.runs.layout import BAD_BATCHES
from cmgems.training.watch import TroubleConfig, Watch


def stop_if_diverged(
    watch: Watch,
    config: TroubleConfig,
    batch: MaskedBatch,
    sequences: int,
    folder: Path,
    step: int,
    world: World,
) -> None:
    """End the run after a step that was not finite, unless the config says to skip it and there is hope.

    Args:
        watch: Has seen the step.
        config: Says when to stop.
        batch: This rank's rows of the step, to save.
        sequences: Sequences in a step over all ranks.
        folder: The run's; each rank writes ``bad_batch/step_XXXXXXXX_rank_R.safetensors`` there.
        step: The step, from 1.
        world: This rank's place.

    Raises:
        CmgemsError: where the batches are, and what to try.
    """
    if not watch.in_a_row or (config.nonfinite == "skip" and watch.in_a_row < config.patience):
        return
    path = folder / BAD_BATCHES / f"step_{step:08d}_rank_{world.rank}.safetensors"
    write_bytes(path, batch_bytes(batch, sequences, step, world))
    often = f", and at the {watch.in_a_row - 1} steps before it" if watch.in_a_row > 1 else ""
    skip = "" if config.nonfinite == "skip" else "go on with trouble.nonfinite=skip, or "
    raise CmgemsError(
        f"the loss or its gradient is not finite at step {step}{often}",
        why=f"the batch is saved in {path}",
        fix=f"{skip}start again with a lower optim.lr or compute.precision=fp32 and another -o",
    )


def batch_bytes(batch: MaskedBatch, sequences: int, step: int, world: World) -> bytes:
    """A safetensors file of one rank's batch: ids_BS, attention_BS, positions_M, labels_M.

    ``samples_B``, int64, are the places of its rows in the training stream.
    """
    names = ("ids_BS", "attention_BS", "positions_M", "labels_M")
    tensors = {name: np.ascontiguousarray(getattr(batch, name)) for name in names}
    rows_B = np.arange(len(batch.ids_BS), dtype=np.int64)
    tensors["samples_B"] = (step - 1) * sequences + world.rank + world.size * rows_B
    return save(tensors, metadata={"step": str(step), "strategy": batch.strategy})

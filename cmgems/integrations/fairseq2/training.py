"""What our recipes for fairseq2 have in common: default sections, checks before the start, precision."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from fairseq2.checkpoint import CheckpointDir
from fairseq2.gang import Gangs
from fairseq2.recipe import RecipeContext
from fairseq2.recipe.config import (
    POLYNOMIAL_DECAY_LR,
    AdamWConfig,
    AdamWGroupConfig,
    CommonSection,
    GangSection,
    LRSchedulerSection,
    ModelSection,
    OptimizerSection,
    PolynomialDecayLRConfig,
    TrainerSection,
)

from cmgems.errors import CheckpointError, CmgemsError

# Biases and the weights of LayerNorms, which AdamW does not decay.
NOT_DECAYED = r".*(bias|norm\.weight)$"


def adamw(lr: float, weight_decay: float) -> OptimizerSection:
    """AdamW with BERT's settings, decaying matrices alone."""
    vectors = AdamWGroupConfig(params=NOT_DECAYED, weight_decay=0.0)
    config = AdamWConfig(lr=lr, betas=(0.9, 0.98), eps=1e-6, weight_decay=weight_decay, groups=[vectors])
    return OptimizerSection(config=config)


def linear_decay(warmup: int) -> LRSchedulerSection:
    """Linear warm-up and a linear fall to 0."""
    return LRSchedulerSection(
        name=POLYNOMIAL_DECAY_LR, config=PolynomialDecayLRConfig(num_warmup_steps=warmup)
    )


def one_folder() -> CommonSection:
    """The output folder itself instead of one for each config in it, so that `cmgems` commands find the model there."""
    return CommonSection(no_sweep_dir=True)


def check_start(
    context: RecipeContext, model: ModelSection, trainer: TrainerSection, gang: GangSection
) -> None:
    """Check what cannot train exactly, before anything is made.

    Raises:
        CmgemsError: for fp16, tensor parallelism and FSDP of version 1.
        CheckpointError: if the run was saved by fewer processes, or in another number of shards.
    """
    precision = trainer.mixed_precision
    if torch.float16 in (model.dtype, precision.dtype if precision.mode != "off" else None):
        raise CmgemsError(
            "no training in fp16",
            where="model.dtype, trainer.mixed_precision.dtype",
            why="a step that overflows is taken again with another batch",
            fix="use bfloat16 or float32",
        )
    if gang.tensor_parallel_size > 1:
        raise CmgemsError(
            "no tensor parallelism",
            where="gang.tensor_parallel_size",
            fix="use trainer.data_parallelism: fsdp",
        )
    if trainer.data_parallelism == "fsdp" and trainer.fsdp.version == "v1":
        raise CmgemsError("no FSDP of version 1", where="trainer.fsdp.version", fix="set it to v2")
    _check_processes(context, context.gangs.dp.size)


def _check_processes(context: RecipeContext, processes: int) -> None:
    step = context.get_checkpoint_manager().maybe_get_last_step_number(exclude_model_only=True)
    if step is None:
        return
    folder, shards = step_folder(context, step), context.gangs.sdp.size
    before = len(list((folder / "data_reader").glob("dp_*.pt")))
    if 0 < before < processes:
        raise CheckpointError(
            "more processes than before",
            where=folder,
            why=f"it was saved by {before}, and this run has {processes}",
            fix=f"go on with {before} or fewer",
        )
    shards_before = len(list((folder / "model").rglob("sdp_*.pt")))
    if shards_before and shards_before != shards:
        raise CheckpointError(
            "a model in other shards",
            where=folder,
            why=f"it was saved in {shards_before}, and this run would have {shards}",
            fix=f"go on with trainer.data_parallelism={'fsdp' if shards_before > 1 else 'ddp'} and {before} processes",
        )


def step_folder(context: RecipeContext, step: int) -> Path:
    """Where fairseq2 saves the checkpoint of a step."""
    elsewhere: Path | None = context.resolver.resolve(CheckpointDir).path
    output: Path = context.output_dir
    return (elsewhere or output / "checkpoints") / f"step_{step}"


def autocast_of(trainer: TrainerSection, gangs: Gangs) -> Callable[[], AbstractContextManager[object]]:
    """The precision in which fairseq2's trainer computes: it uses autocast but for FSDP's own mixed precision."""
    precision = trainer.mixed_precision
    by_fsdp = gangs.root.size > 1 and trainer.data_parallelism == "fsdp"
    if (
        precision.mode == "off"
        or (precision.mode == "static" and by_fsdp)
        or precision.dtype == torch.float32
    ):
        return nullcontext
    return lambda: torch.autocast(gangs.device.type, precision.dtype)

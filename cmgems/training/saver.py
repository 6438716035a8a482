"""Saving and resuming a run of one or several processes, at once or in the background."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from cmgems.distributed import World
from cmgems.errors import CheckpointError
from cmgems.files import atomic_folder, is_there, write_text
from cmgems.runs.checkpoints import CheckpointConfig, Checkpoints
from cmgems.runs.layout import TRAINING_JSON
from cmgems.training.parallel import is_sharded_model, whole_weights
from cmgems.training.sharded import is_sharded, load_shards, write_shards
from cmgems.training.state import (
    MODEL,
    frozen_sha256,
    gather_random_tensors,
    load_whole,
    model_tensors,
    optimizer_tensors,
    random_tensors,
    read_training_json,
    write_training_files,
)

Weights = Mapping[str, Tensor]
# (folder, weights by name, step): writes a model folder.
WriteModel = Callable[[Path, Weights, int], None]


class Saver:
    """Saves and resumes one run. Every rank has one and calls its methods at the same steps; rank 0 decides.

    A model that every rank holds is written by rank 0 as whole files. Of a sharded one each rank writes its part, so
    all need to see the run folder. Either is read whatever the number of ranks and the mode now are.

    As a context manager it waits at the end for a checkpoint that is still being written.

    Args:
        checkpoints: The run's.
        config: When to save and what to keep.
        model: As ``cmgems.training.parallel.prepare_model`` left it.
        optimizer: Made after that.
        world: This rank's place.
        write_model: Writes a model folder.
        finished: Makes the weights of the model folder of the trained ones, if they are others.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        config: CheckpointConfig,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        world: World,
        write_model: WriteModel,
        finished: Callable[[Weights], Weights] = lambda weights: weights,
    ) -> None:
        self.checkpoints, self.config, self.world = checkpoints, config, world
        self.model, self.optimizer = model, optimizer
        self._write_model, self._finished = write_model, finished
        self._frozen = frozen_sha256(model)
        # A separate group: messages about a checkpoint in the background must not mix with sums of the training step.
        self._group = dist.new_group(backend="gloo") if is_sharded_model(model) else None
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future[None] | None = None

    def resume(self) -> dict[str, Any] | None:
        """Load the newest whole checkpoint, which rank 0 chooses; returns the recipe's state, None if there is none.

        Raises:
            CheckpointError: if it is of another model, or this rank cannot read it.
        """
        newest = self.checkpoints.newest() if self.world.is_main else None
        step = self.world.from_first(-1 if newest is None else newest)
        if step < 0:
            return None
        folder = self.checkpoints.path(step)
        load = load_shards if is_sharded(folder) else load_whole
        try:
            state = read_training_json(folder)
            self._check_frozen(folder, state)
            load(folder, self.model, self.optimizer, self.world.rank)
            return state
        except OSError as error:
            raise CheckpointError(
                "cannot read",
                where=folder,
                why=error.strerror or str(error),
                fix="give an -o that all processes can read",
            ) from error

    def _check_frozen(self, folder: Path, state: Mapping[str, Any]) -> None:
        if state.get("frozen_sha256") != self._frozen:
            raise CheckpointError(
                "checkpoint of another start",
                where=folder,
                why="the weights that are not trained are not those it was trained beside",
                fix="start from the same pretrained model, or use another -o",
            )

    def save(
        self, step: int, state: dict[str, Any], score: float | None = None, keep: int | None = None
    ) -> None:
        """Save a checkpoint and delete those no longer wanted; in the background only the copying happens now.

        Args:
            step: Optimizer steps done.
            state: The recipe's own, JSON-able; read at once.
            score: Validation loss of this very step, if it was validated.
            keep: The step of a checkpoint to keep besides the newest; by default ``keep_best`` says which.

        Raises:
            CmgemsError: if it cannot be written, or the last one in the background could not.
        """
        self.wait()
        frozen = {} if self._frozen is None else {"frozen_sha256": self._frozen}
        text = json.dumps({**state, "score": score, **frozen}, indent=2) + "\n"
        tensors = self._snapshot()
        write = partial(self._write, step, tensors, text, keep)
        if self.config.background:
            self._pending = self._thread.submit(write)
        else:
            write()

    def wait(self) -> None:
        """Return once no checkpoint is being written.

        Raises:
            CmgemsError: if the last one could not be.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def keep_model(self, folder: Path, step: int) -> None:
        """Leave a plain model folder, the weights gathered from all ranks; nothing if it is there already."""
        weights = whole_weights(self.model, self.world)
        if self.world.is_main and not is_there(folder):
            with atomic_folder(folder) as partial_folder:
                self._write_model(partial_folder, self._finished(weights), step)

    def _snapshot(self) -> dict[str, Tensor]:
        """What this rank will write, in main memory; copies if training goes on before it is written."""
        if self._group is not None:
            random = random_tensors(self.world.rank)
        else:
            random = gather_random_tensors(self.world)
            if not self.world.is_main:
                return {}
        tensors = model_tensors(self.model) | optimizer_tensors(self.model, self.optimizer)
        copy = self.config.background
        return {name: tensor.to("cpu", copy=copy) for name, tensor in tensors.items()} | random

    def _write(self, step: int, tensors: Weights, text: str, keep: int | None) -> None:
        if self.world.is_main:
            self.checkpoints.save(step, partial(self._fill, step, tensors, text))
            if keep is None and self.config.keep_best:
                keep = self.checkpoints.best()
            self.checkpoints.retain(self.config.keep, also=keep)
        elif self._group is not None:
            write_shards(None, tensors, self._group)

    def _fill(self, step: int, tensors: Weights, text: str, folder: Path) -> None:
        if self._group is not None:
            write_shards(folder, tensors, self._group)
            write_text(folder / TRAINING_JSON, text)
            return
        weights = {name.removeprefix(MODEL): t for name, t in tensors.items() if name.startswith(MODEL)}
        finished = self._finished(weights)
        self._write_model(folder, finished, step)
        there = {
            f"{MODEL}{name}"
            for name, tensor in weights.items()
            if name in finished and (finished[name] is tensor or torch.equal(finished[name], tensor))
        }
        write_training_files(folder, {name: t for name, t in tensors.items() if name not in there}, text)

    def __enter__(self) -> Saver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What ended the run is the cause; a failed checkpoint then is not.
        if value is None:
            self.wait()
        self._thread.shutdown()

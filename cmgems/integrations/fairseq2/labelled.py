"""Labelled sequences for fairseq2: the sets that `cmgems run finetune` reads, and the scores of its tasks.

Shape suffixes: B sequences, S tokens in a padded row, C outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

import fairseq2.recipe  # noqa: F401 - first, or importing fairseq2.evaluator is a circle
import numpy as np
import torch
from fairseq2.datasets import DataReader
from fairseq2.device import Device, SupportsDeviceTransfer
from fairseq2.evaluator import EvalUnit
from fairseq2.gang import Gangs
from fairseq2.logging import log
from fairseq2.metrics import Mean, MetricBag
from torch import Tensor, nn

from cmgems.config import Component, component, load_config
from cmgems.data import LabelledConfig, LabelledSet, data_notes, draw_shots, labelled_batches, read_splits
from cmgems.errors import CmgemsError
from cmgems.integrations.fairseq2.beginning import Beginning
from cmgems.integrations.fairseq2.fixed_mask import Once
from cmgems.tasks import TASKS, Task, predict_logits
from cmgems.tokenization import Tokenizer
from cmgems.training import Compute


@dataclass(frozen=True)
class LabelledSequencesConfig:
    """The data set as configs and cards describe it; its sections are those of a config of `cmgems run finetune`.

    Attributes:
        sequences: Sequences in one optimizer step, over all processes. `trainer.grad_accumulation.num_batches` says in
            how many parts each process takes its share.
        data: The folder of the sets and their columns, as ``LabelledConfig``.
        task: What the labels are, by name or with options.
    """

    sequences: int = 32
    data: Mapping[str, object] = field(default_factory=dict)
    task: object = "classification"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``LabelledSequencesConfig``, checked."""

    sequences: int = 32
    data: LabelledConfig
    task: Component = component(TASKS, "classification")

    def __post_init__(self) -> None:
        if self.sequences < 1:
            raise CmgemsError(f"`sequences` must be 1 or more, but is {self.sequences}")


class LabelledSequences:
    """The data set ``cmgems_labelled``.

    Args:
        config: Its description.

    Attributes:
        settings: The same, checked.

    Raises:
        ConfigError: if a setting is missing, unknown or of another type.
    """

    def __init__(self, config: LabelledSequencesConfig) -> None:
        self.settings = load_config(Settings, None, values=[vars(config)])

    def read(
        self, tokenizer: Tokenizer, max_positions: int, seed: int, skipped: Path
    ) -> tuple[LabelledSet, LabelledSet | None]:
        """The training set and, where there is one to choose by, the dev set; what is odd is logged.

        Args:
            tokenizer: Makes the ids.
            max_positions: Longest row the model takes, in tokens.
            seed: Decides which examples are drawn, if few are.
            skipped: Where rows that are left out are named.

        Raises:
            DataError: if a file is missing or bad, or a row cannot be used and is not to be skipped.
        """
        config = self.settings.data
        kind, invalid = self.settings.task.build(TASKS).labels, config.unusable_rows()
        splits = read_splits(config, tokenizer, max_positions, kind, invalid)
        for note in [invalid.report(skipped), *data_notes(config, splits)]:
            if note:
                log.warning("{}", note)
        train = draw_shots(config, splits["train"], splits["test"], seed)
        return train, splits.get("dev") if config.shots is None else None


@dataclass
class LabelledRows(SupportsDeviceTransfer):
    """A part of a step's sequences.

    Attributes:
        ids_BS: int64 token ids.
        attention_BS: bool, False on padding.
        labels: As ``labelled_batches`` gives them.
        weight: What the loss is divided by.
    """

    ids_BS: Tensor
    attention_BS: Tensor
    labels: Tensor
    weight: float

    def to(self, device: Device, *, non_blocking: bool = False) -> None:
        """Move the tensors to ``device``, in place."""
        for name in ("ids_BS", "attention_BS", "labels"):
            setattr(self, name, getattr(self, name).to(device, non_blocking=non_blocking))


class LabelledReader(DataReader[LabelledRows]):
    """The training set, epoch after epoch in another order; rows of a last step that not all processes get are left.

    Args:
        train: The set.
        task: Knows how much a batch counts.
        sequences: Of a step, over all processes.
        parts: Into how many batches this process' share of a step is cut.
        tokenizer: For padding.
        max_positions: Widest row.
        beginning: The data set's settings, and the seed of the orders.
        gangs: The processes.

    Raises:
        CmgemsError: if a step has fewer sequences than there are batches to make of it.
    """

    def __init__(
        self,
        train: LabelledSet,
        task: Task,
        sequences: int,
        parts: int,
        tokenizer: Tokenizer,
        max_positions: int,
        beginning: Beginning,
        gangs: Gangs,
    ) -> None:
        self._train, self._task, self._sequences, self._parts = train, task, sequences, parts
        self._tokenizer, self._max_positions = tokenizer, max_positions
        self._beginning, self._dp = beginning, gangs.dp
        shares = parts * self._dp.size
        if min(sequences, len(train)) < shares:
            raise CmgemsError(
                f"{min(sequences, len(train))} sequences a step do not make {shares} batches",
                where="dataset.config_overrides.sequences",
                why=f"processes: {self._dp.size}, trainer.grad_accumulation.num_batches: {parts}",
                fix=f"set sequences to {shares} or more, or start fewer processes",
            )
        self._start(0, 0)

    def _start(self, epoch: int, taken: int) -> None:
        self._epoch, self._taken = epoch, taken
        self._batches = islice(self._of_epoch(epoch), taken, None)

    def _of_epoch(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = (self._beginning.seed, epoch)
        return labelled_batches(self._train, self._sequences, self._tokenizer, self._max_positions, order)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[LabelledRows]:
        """This process' batches of the next step; at the end of an epoch StopIteration, and the next one begins."""
        ids_BS, labels = next(self._batches, (None, None))
        shares = self._parts * self._dp.size
        if ids_BS is None or labels is None or len(ids_BS) < shares:
            self._start(self._epoch + 1, 0)
            raise StopIteration
        self._taken += 1
        mine = np.array_split(np.arange(len(ids_BS)), shares)[self._dp.rank :: self._dp.size]
        return [self._rows(ids_BS[rows], labels[rows]) for rows in mine]

    def _rows(self, ids_BS: np.ndarray, labels: np.ndarray) -> LabelledRows:
        ids = torch.from_numpy(ids_BS).long()
        weight = self._task.loss_weight(labels)
        return LabelledRows(ids, ids != self._tokenizer.pad_id, torch.from_numpy(labels), weight)

    def reset(self) -> None:
        """Go to the beginning of the epoch."""
        self._start(self._epoch, 0)

    def state_dict(self) -> dict[str, object]:
        """Epoch, steps taken of it, and what the run began with: plain values."""
        return {"epoch": self._epoch, "taken": self._taken, **self._beginning.state_dict()}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Go to where ``state_dict`` was called.

        Raises:
            CheckpointError: if the run began with other data or another seed.
        """
        state: dict[str, Any] = state_dict
        self._beginning.check(state)
        self._start(state["epoch"], state["taken"])

    @property
    def num_accumulate(self) -> int:
        """Batches of a step."""
        return self._parts


class DevUnit(EvalUnit[Once]):
    """Reports the task's scores on the dev set; every process computes them all.

    Args:
        model: As it is trained, wrapped for several processes.
        task: Knows the scores.
        dev: The set.
        tokenizer: For padding.
        max_positions: Widest row.
        device: Where the model is.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        dev: LabelledSet,
        tokenizer: Tokenizer,
        max_positions: int,
        device: Device,
    ) -> None:
        self._model, self._task, self._dev = model, task, dev
        self._inputs = tokenizer, max_positions, Compute(device, bf16=False, compiled=False)

    def prepare_metric_bag(self, metric_bag: MetricBag) -> None:
        """The scores are added when they are known."""

    def process_batch(self, batch: Once, metric_bag: MetricBag) -> None:
        """Score; in the precision that fairseq2 validates in."""
        logits_NC = predict_logits(self._model, self._dev.ids, *self._inputs)
        scores = self._task.metrics(self._dev.targets, self._task.predictions(logits_NC))
        for name, value in scores.items():
            metric_bag.add(name, Mean())
            metric_bag.get(name, Mean).update(value)

"""Masked genome data for fairseq2: the stream of our own pretraining, batch by batch the same for the same seed.

The reader owns the curriculum. fairseq2 saves a checkpoint before it validates, and a resumed run does not validate
again; a curriculum fed by its validator would forget the last perplexity. Here the reader itself validates under the
fixed mask, before it draws the masks of the next step: a checkpoint holds the result, or the same weights give it anew.

Shape suffixes: B sequences, S tokens in a padded row, M masked positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from fairseq2.datasets import DataReader
from fairseq2.device import Device, SupportsDeviceTransfer
from fairseq2.gang import Gangs, all_sum
from fairseq2.logging import log
from torch import Tensor
from torch.nn.functional import cross_entropy

from cmgems.config import load_config
from cmgems.errors import CmgemsError
from cmgems.integrations.fairseq2.beginning import Beginning
from cmgems.masking import MaskedBatch, Masker, MaskingConfig, micro_batches, never_empty
from cmgems.pretraining import FixedValidation, GenomeData, PretrainingData
from cmgems.runs import perplexity
from cmgems.tokenization import Tokenizer


@dataclass(frozen=True)
class MaskedGenomeConfig:
    """The data set as configs and cards describe it; its sections are those of a config of `cmgems run pretrain`.

    Attributes:
        sequences: Sequences in one optimizer step, over all processes. `trainer.grad_accumulation.num_batches` says in
            how many parts each process takes its share.
        data: Where windows come from, as ``GenomeData``.
        masking: Curriculum, table and rate, as ``MaskingConfig``.
        validation: The fixed mask, as ``FixedValidation``; the curriculum sees its perplexity `every` steps.
    """

    sequences: int = 250
    data: Mapping[str, object] = field(default_factory=dict)
    masking: Mapping[str, object] = field(default_factory=dict)
    validation: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``MaskedGenomeConfig``, checked."""

    sequences: int = 250
    data: GenomeData
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    validation: FixedValidation = field(default_factory=FixedValidation)

    def __post_init__(self) -> None:
        if self.sequences < 1:
            raise CmgemsError(f"`sequences` must be 1 or more, but is {self.sequences}")


class MaskedGenome:
    """The data set ``cmgems_masked_genome``.

    Args:
        config: Its description.

    Attributes:
        settings: The same, checked.

    Raises:
        ConfigError: if a setting is missing, unknown or of another type.
    """

    def __init__(self, config: MaskedGenomeConfig) -> None:
        self.settings = load_config(Settings, None, values=[vars(config)])

    def open(self, tokenizer: Tokenizer, max_positions: int, seed: int) -> PretrainingData:
        """The genome as batches of token ids; arguments as for ``PretrainingData``.

        Raises:
            CmgemsError: if there is no store, or its windows are longer than the model's positions.
        """
        return PretrainingData(self.settings.data, tokenizer, max_positions, seed)


@dataclass
class MaskedTokens(SupportsDeviceTransfer):
    """A part of a step's batch.

    Attributes:
        ids_BS: int64 token ids, corrupted at the masked positions.
        attention_BS: bool, False on padding; None where there is none.
        positions_M: int64 flat indices into B * S of the tokens to guess.
        labels_M: int64 true ids there.
        tokens: Real tokens in it.
        targets: Masked tokens of the whole step, over all parts and processes.
        first: Whether it is the first part of its step.
    """

    ids_BS: Tensor
    attention_BS: Tensor | None
    positions_M: Tensor
    labels_M: Tensor
    tokens: int
    targets: int
    first: bool

    @classmethod
    def of(cls, batch: MaskedBatch, targets: int, first: bool) -> MaskedTokens:
        """The tensors of ``batch``."""
        tokens, batch = int(batch.attention_BS.sum()), never_empty(batch)
        full = bool(batch.attention_BS.all())
        return cls(
            torch.from_numpy(batch.ids_BS).long(),
            None if full else torch.from_numpy(batch.attention_BS),
            torch.from_numpy(batch.positions_M),
            torch.from_numpy(batch.labels_M),
            tokens,
            targets,
            first,
        )

    def to(self, device: Device, *, non_blocking: bool = False) -> None:
        """Move the tensors to ``device``, in place."""
        for name in ("ids_BS", "attention_BS", "positions_M", "labels_M"):
            if (tensor := getattr(self, name)) is not None:
                setattr(self, name, tensor.to(device, non_blocking=non_blocking))

    def loss_sum(self, model: Callable[..., Tensor]) -> Tensor:
        """Summed cross-entropy (nats) of the masked tokens, a float32 scalar."""
        logits_MV = model(self.ids_BS, self.attention_BS, self.positions_M)
        return cross_entropy(logits_MV.float(), self.labels_M, reduction="sum")


class MaskedGenomeReader(DataReader[MaskedTokens]):
    """Endless steps of masked batches, and the curriculum that masks them.

    Args:
        settings: Of the data set.
        data: The genome, opened.
        steps: Optimizer steps of the whole run.
        parts: Into how many batches this process' share of a step is cut.
        gangs: The processes.
        validation_loss: Mean loss (nats) under the fixed mask of the weights after a number of steps.

    Raises:
        CmgemsError: if a step has fewer sequences than there are batches to make of it; as for ``Masker`` and
            ``PretrainingData.stream``.
    """

    def __init__(
        self,
        settings: Settings,
        data: PretrainingData,
        steps: int,
        parts: int,
        gangs: Gangs,
        validation_loss: Callable[[int], float],
    ) -> None:
        self._settings, self._data, self._steps, self._gangs = settings, data, steps, gangs
        self._parts, self._validation_loss = parts, validation_loss
        self._beginning = Beginning(settings, data.seed)
        shares = parts * gangs.dp.size
        if settings.sequences < shares:
            raise CmgemsError(
                f"{settings.sequences} sequences a step do not make {shares} batches",
                where="dataset.config_overrides.sequences",
                why=f"processes: {gangs.dp.size}, trainer.grad_accumulation.num_batches: {parts}",
                fix=f"set sequences to {shares} or more, or start fewer processes",
            )
        self._start(None)

    def _start(self, state: Mapping[str, Any] | None) -> None:
        """Go to the first step, or to where ``state`` was saved."""
        self._taken = 0 if state is None else state["taken"]
        self._observed = 0 if state is None else state["observed"]
        self._masker = Masker(self._settings.masking, self._data.tokenizer, self._steps, self._data.seed)
        if self._masker.tenths is not None:
            name = self._settings.masking.curriculum.name
            raise CmgemsError(
                f"curriculum {name!r} does not work in fairseq2",
                where="dataset.config_overrides.masking.curriculum",
                why="the loss of each tenth of the ranking is not measured there",
                fix="take another, or `cmgems run pretrain`",
            )
        dp = self._gangs.dp
        self._stream = self._data.stream(self._masker, self._settings.sequences, dp.rank, dp.size)
        self._stream.reset(None if state is None else dict(state["stream"]))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[MaskedTokens]:
        """This process' batches of the next step."""
        self._observe()
        batch = next(self._stream)
        self._taken += 1
        targets = int(all_sum(self._gangs.dp, len(batch.labels_M)))
        full, multiple = self._data.full_tokens, self._settings.data.pad_multiple
        parts = micro_batches(batch, self._parts, full, multiple)
        return [MaskedTokens.of(part, targets, first=part is parts[0]) for part in parts]

    def _observe(self) -> None:
        """Tell the curriculum the perplexity of the weights as they are now, if it is due."""
        step = self._taken
        if step % self._settings.validation.every or step == self._observed:
            return
        nats = self._validation_loss(step)
        phase = self._masker.state.switched_at
        self._masker.observe(step, perplexity(nats))
        self._observed = step
        log.info("Fixed-mask loss after step {}: {:.4f}", step, nats)
        if self._masker.state.switched_at != phase:
            log.info("Perplexity is flat, masking is now {}", self._masker.strategy(step)[0])

    def reset(self) -> None:
        """Go back to the first step."""
        self._start(None)

    def state_dict(self) -> dict[str, object]:
        """Place in the stream, the curriculum's state, and what the run began with: plain values."""
        return {
            "taken": self._taken,
            "observed": self._observed,
            "stream": self._stream.state_dict(),
            **self._beginning.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Go to where ``state_dict`` was called.

        Raises:
            CheckpointError: if the run began with other data, masking or seed.
        """
        state: dict[str, Any] = state_dict
        self._beginning.check(state)
        self._start(state)

    @property
    def num_accumulate(self) -> int:
        """Batches of a step."""
        return self._parts

    @property
    def masker(self) -> Masker:
        """The masking of the run, with the curriculum's state."""
        return self._masker

"""A model on its device, with all that a forward pass needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cmgems.data.labelled import pad_rows
from cmgems.inference.cutter import Cutter, Piece
from cmgems.models import Head
from cmgems.models.attention import Encoder
from cmgems.tasks.predict import model_inputs
from cmgems.tokenization import Tokenizer
from cmgems.training import Compute

Advance = Callable[[float], None]


def ignore(_: float) -> None:
    """Takes progress that nobody watches."""


@dataclass(frozen=True, eq=False)
class Engine:
    """What every answer of a model is computed with.

    Attributes:
        network: The PyTorch model, on the device of ``compute``, in evaluation mode.
        cutter: Cuts sequences to what it takes.
        compute: Device and precision.
        batch_size: Rows in a forward pass.
        head: What its outputs mean.
        labels: Names of its outputs, in their order; none for a masked language model.
        name: What it is called in messages.
    """

    network: nn.Module = field(repr=False)
    cutter: Cutter = field(repr=False)
    compute: Compute = field(repr=False)
    batch_size: int = 64
    head: Head = "masked_lm"
    labels: tuple[str, ...] = ()
    name: str = "model"

    @property
    def encoder(self) -> Encoder:
        """The network without its head."""
        return cast(Encoder, self.network.encoder)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer the model was trained with."""
        return self.cutter.tokens.tokenizer

    def batches(self, pieces: Sequence[Piece]) -> Iterator[tuple[list[int], Tensor, Tensor | None]]:
        """(indices into ``pieces``, ids_BS, attention_BS) of each batch, shortest rows first, on the device."""
        order = np.argsort([len(piece.ids_S) for piece in pieces], kind="stable").tolist()
        for first in range(0, len(order), self.batch_size):
            chosen = order[first : first + self.batch_size]
            yield chosen, *self.inputs([pieces[i].ids_S for i in chosen])

    def inputs(self, rows: Sequence[npt.NDArray[np.int32]]) -> tuple[Tensor, Tensor | None]:
        """ids_BS int64 and attention_BS bool, None if no token is padding (the models' fast case), on the device."""
        if len({len(row) for row in rows}) == 1:
            return torch.from_numpy(np.stack(rows)).to(self.compute.device).long(), None
        pad_id = self.tokenizer.pad_id
        return model_inputs(pad_rows(rows, pad_id, self.cutter.max_positions), pad_id, self.compute)

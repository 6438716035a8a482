"""A saved model made ready: put on its device; it checks what it is asked and given, and shows how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar, Unpack, get_args

import torch

from cmgems.distributed import ALONE, World
from cmgems.errors import CheckpointError, CmgemsError
from cmgems.inference.cutter import Cutter
from cmgems.inference.engine import Advance, Engine, Precision
from cmgems.inference.sequences import NamedSequence, Sequences
from cmgems.inference.source import Checked, Reading, checked_sequences, watched
from cmgems.models import SavedModel
from cmgems.models.base import UNLABELLED
from cmgems.tokenization import TokenMap
from cmgems.training import ComputeConfig, start_compute

Device = Literal["auto", "cpu", "cuda"]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ReadyEngine(Engine):
    """What all methods of a model begin with."""

    @classmethod
    def of(
        cls,
        saved: SavedModel,
        *,
        device: Device = "auto",
        precision: Precision = "auto",
        batch_tokens: int | None = None,
        overlap: int | None = None,
        world: World = ALONE,
    ) -> Self:
        """A saved model on a device.

        Args:
            saved: The model; its weights are moved to the device.
            device: "auto" takes the GPU if there is one.
            precision: "fp32" gives the same answer on every machine, to rounding. "auto" is that on a CPU; on a GPU the
                factors of matrix products keep 11 of their 24 significant bits (TF32). "bf16" keeps 8.
            batch_tokens: Tokens in a forward pass, padding included; None for 5,120 on a CPU and 65,536 on a GPU. When
                memory is short there are half as many from there on.
            overlap: What neighbouring windows of a long sequence share at least (bp); None for half a window.
            world: The processes that share the work: each calls the same, the answers come out on rank 0.

        Raises:
            CmgemsError: if there is no such device, or an option is out of range.
        """
        for name, value, known in (("device", device, Device), ("precision", precision, Precision)):
            if value not in get_args(known):
                raise CmgemsError(f"unknown {name} {value!r}", fix=f"use {', '.join(get_args(known))}")
        if batch_tokens is not None and batch_tokens < 1:
            raise CmgemsError(f"`batch_tokens` must be 1 or more, but is {batch_tokens}")
        if device == "cuda" and not torch.cuda.is_available():
            why, fix = "PyTorch sees no CUDA device", "give auto or cpu (--device)"
            raise CmgemsError("no GPU", where="device", why=why, fix=fix)
        config = ComputeConfig(
            device=device, precision="bf16" if precision == "bf16" else "fp32", compile="off"
        )
        # Started, not only resolved: without freed memory kept, a CPU is a fifth slower.
        with torch.random.fork_rng(devices=[]):  # leave the caller's random numbers alone
            compute = start_compute(config, seed=0, local_rank=world.local_rank)
        return cls(
            network=saved.model.to(compute.device),
            cutter=Cutter(TokenMap(saved.tokenizer), saved.config.max_positions, overlap),
            compute=compute,
            batch_tokens=batch_tokens,
            head=saved.head,
            labels=tuple(saved.labels),
            name=str(saved.folder),
            precision=precision,
            world=world,
        )

    def check_fine_tuned(self) -> None:
        """Check that the model was fine-tuned.

        Raises:
            CheckpointError: if it was only pretrained.
        """
        if self.head in UNLABELLED:
            raise CheckpointError(
                "not a fine-tuned model",
                where=self.name,
                why="it has an encoder only" if self.head == "encoder" else "it was only pretrained",
                fix="run `cmgems run finetune` first",
            )

    def _check_masked_lm(self) -> None:
        if self.head != "masked_lm":
            raise CheckpointError(
                "not a masked language model",
                where=self.name,
                why="it has an encoder only" if self.head == "encoder" else f"its head is {self.head}",
                fix="give the pretrained model",
            )

    def _shown(
        self,
        label: str,
        records: Checked[Any],
        show: bool,
        work: Callable[[Advance], Iterator[T]],
        *,
        unit: str = "bp",
        passes: int = 1,
    ) -> Iterator[T]:
        """What ``work`` yields, with its progress over the records, each counted ``passes`` times."""
        with watched(label, passes * records.size, unit, show and self.world.is_main) as advance:
            yield from work(advance)

    def _checked(
        self, sequences: Sequences, progress: bool, **reading: Unpack[Reading]
    ) -> Checked[NamedSequence]:
        shown = progress and self.world.is_main
        return checked_sequences(sequences, self.cutter.tokens.least_bases, show=shown, **reading)

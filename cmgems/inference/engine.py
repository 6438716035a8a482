"""A model on its device, with all that a forward pass needs, and how it goes through any number of sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, groupby
from typing import Literal, NamedTuple, TypeVar, cast

import torch
from torch import nn

from cmgems.distributed import ALONE, World, in_turns
from cmgems.inference.cutter import Cutter, Piece, own_bases
from cmgems.inference.sequences import NamedSequence
from cmgems.inference.windows import Window
from cmgems.iteration import one_ahead
from cmgems.models import Head
from cmgems.models.attention import Encoder
from cmgems.tasks.forward import Answers, Call, Ids, TokenBudget, forward_passes
from cmgems.tokenization import Tokenizer
from cmgems.training import Compute

Advance = Callable[[float], None]
Precision = Literal["auto", "fp32", "bf16"]
T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[Sequence[Piece], Advance], Sequence[T]]

CHUNK_BATCHES = 16  # so many batches are sorted by length at a time, and so much is held in memory


def ignore(_: float) -> None:
    """Takes progress that nobody watches."""


class Cut(NamedTuple):
    """A window of a sequence, not encoded yet.

    Attributes:
        number: Of the sequence among all, from 0.
        sequence: The sequence.
        window: Where in it.
    """

    number: int
    sequence: NamedSequence
    window: Window


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some windows, one after the other.

    Attributes:
        cuts: The windows.
        pieces: The same encoded; none where it is another process's turn.
    """

    cuts: list[Cut]
    pieces: list[Piece]

    @property
    def bases(self) -> int:
        """How many bases the windows answer for (bp)."""
        return own_bases(cut.window for cut in self.cuts)


@dataclass(frozen=True, eq=False)
class Engine:
    """What every answer of a model is computed with.

    Attributes:
        network: The PyTorch model, on the device of ``compute``, in evaluation mode.
        cutter: Cuts sequences to what it takes.
        compute: Device and precision.
        batch_tokens: Tokens in a forward pass, padding included, to begin with; None for what suits the device.
        head: What its outputs mean.
        labels: Names of its outputs, in their order; none for a masked language model.
        name: What it is called in messages.
        precision: "fp32" multiplies matrices in full precision; "auto" as the process has it.
        world: The processes that share the work.
    """

    network: nn.Module = field(repr=False)
    cutter: Cutter = field(repr=False)
    compute: Compute = field(repr=False)
    batch_tokens: int | None = None
    head: Head = "masked_lm"
    labels: tuple[str, ...] = ()
    name: str = "model"
    precision: Precision = "auto"
    world: World = ALONE

    @property
    def encoder(self) -> Encoder:
        """The network without its head."""
        return cast(Encoder, self.network.encoder)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer the model was trained with."""
        return self.cutter.tokens.tokenizer

    @cached_property
    def budget(self) -> TokenBudget:
        """How many tokens go through it at once."""
        return TokenBudget(self.compute, self.batch_tokens)

    @property
    def chunk_tokens(self) -> int:
        """How many tokens are cut and sorted at a time: the same in every process."""
        return CHUNK_BATCHES * self.budget.first

    @contextmanager
    def arithmetic(self) -> Iterator[None]:
        """Around forward passes: the precision asked for, and the process's own afterwards."""
        before = torch.get_float32_matmul_precision()
        if self.precision == "fp32":
            torch.set_float32_matmul_precision("highest")
        try:
            with self.compute.autocast():
                yield
        finally:
            torch.set_float32_matmul_precision(before)

    def passes(self, rows: Sequence[Ids], call: Call) -> Iterator[tuple[list[int], Answers]]:
        """``forward_passes`` of this model: (numbers of its rows, what ``call`` makes of them) of each batch."""
        limit = self.cutter.max_positions
        return forward_passes(rows, call, self.tokenizer, limit, self.compute, self.budget, self.arithmetic)

    def through(
        self,
        sequences: Iterable[NamedSequence],
        work: Work[T],
        advance: Advance = ignore,
        *,
        pass_a_base: bool = False,
    ) -> Iterator[tuple[NamedSequence, Iterator[tuple[Piece, T]]]]:
        """Each sequence in turn, with its windows and what ``work`` makes of them, to be read before the next.

        Nothing but a chunk of windows is held in memory; several processes take turns at the chunks, and the answers
        come out on rank 0.

        Args:
            sequences: Checked ones (``usable_sequences``), any number; read once.
            work: What is made of the windows of a chunk, one thing for each; told where to report the bases done.
            advance: Told the number of bases done.
            pass_a_base: Whether each base costs a forward pass: then chunks are smaller.
        """

        chunks = self._chunks(sequences, pass_a_base)
        if self.compute.steps_ahead:  # while a GPU computes, the processor has nothing to do
            chunks = one_ahead(chunks)

        def answer(chunk: Chunk) -> list[tuple[Piece, T]]:
            found = work(chunk.pieces, advance) if chunk.pieces else []
            advance(chunk.bases - own_bases(piece.window for piece in chunk.pieces))
            return list(zip(chunk.pieces, found, strict=True))

        def answers() -> Iterator[tuple[NamedSequence, Piece, T]]:
            for turn, (chunk, found) in enumerate(in_turns(self.world, chunks, answer)):
                if turn % self.world.size:  # another process has done it
                    advance(chunk.bases)
                cut_from = {cut.number: cut.sequence for cut in chunk.cuts}
                yield from ((cut_from[piece.sequence], piece, value) for piece, value in found)

        for _, of_one in groupby(answers(), key=lambda found: found[1].sequence):
            first = next(of_one)
            yield first[0], ((piece, value) for _, piece, value in chain([first], of_one))

    def _chunks(self, sequences: Iterable[NamedSequence], pass_a_base: bool) -> Iterator[Chunk]:
        """The windows of all sequences in their order, some at a time; a long sequence lies in many chunks."""
        cuts = (
            Cut(number, sequence, window)
            for number, sequence in enumerate(sequences)
            for window in self.cutter.windows_of(sequence.codes)
        )
        chunks = self._some(cuts, lambda cut: self._tokens(cut.window.end - cut.window.start, pass_a_base))
        for turn, some in enumerate(chunks):
            mine = some if turn % self.world.size == self.world.rank else []
            places = [(number, sequence.codes, window) for number, sequence, window in mine]
            yield Chunk(some, list(self.cutter.pieces_in(places)))

    def in_groups(
        self,
        sequences: Iterable[NamedSequence],
        work: Callable[[int, list[NamedSequence], Advance], list[T]],
        advance: Advance = ignore,
        passes: int = 1,
        *,
        pass_a_base: bool = True,
    ) -> Iterator[T]:
        """What ``work`` makes of each sequence, some whole ones at a time: as ``through``, for work of several parts.

        Args:
            sequences: As for ``through``.
            work: Told the number of the first sequence, from 0, the sequences, and where to report the bases done.
            advance: As for ``through``.
            passes: How often ``work`` reports each base.
            pass_a_base: As for ``through``.
        """
        groups = self._some(enumerate(sequences), lambda item: self._tokens(len(item[1].codes), pass_a_base))

        def answer(group: list[tuple[int, NamedSequence]]) -> list[T]:
            return work(group[0][0], [sequence for _, sequence in group], advance)

        for turn, (group, found) in enumerate(in_turns(self.world, groups, answer)):
            if turn % self.world.size:
                advance(passes * sum(len(sequence.codes) for _, sequence in group))
            yield from found

    def _tokens(self, length: int, pass_a_base: bool) -> int:
        """About how many tokens go through the model for a stretch of ``length`` bp."""
        return self.cutter.expected_tokens(length) * (length if pass_a_base else 1)

    def _some(self, items: Iterable[R], tokens_of: Callable[[R], int]) -> Iterator[list[R]]:
        """Items of ``chunk_tokens`` together, or a few more."""
        some: list[R] = []
        tokens = 0
        for item in items:
            some.append(item)
            tokens += tokens_of(item)
            if tokens >= self.chunk_tokens:
                yield some
                some, tokens = [], 0
        if some:
            yield some

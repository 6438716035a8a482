"""Hidden states as vectors of sequences or tokens, from any layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmgems.errors import CmgemsError
from cmgems.inference.cutter import Piece, own_bases
from cmgems.inference.engine import Advance, Engine, ignore
from cmgems.inference.sequences import NamedSequence
from cmgems.inference.strands import on_both_strands
from cmgems.inference.windows import WindowMean

Pool = Literal["mean", "cls", "none"]
Columns = Mapping[str, Sequence[str | int]]

PART_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors, and what each is of.

    Attributes:
        columns: ``name`` of the sequence; for vectors of tokens also ``token``, and ``start`` and ``end`` of its bases
            (bp, half-open from 0). One value for each row.
        vectors: float32 (rows, D).
        sequences: Of how many sequences they are.
    """

    columns: Columns
    vectors: npt.NDArray[np.float32]
    sequences: int

    @classmethod
    def joined(cls, parts: Sequence[Vectors]) -> Vectors:
        """Parts with the same columns as one."""
        columns = {key: [cell for part in parts for cell in part.columns[key]] for key in parts[0].columns}
        vectors = np.concatenate([part.vectors for part in parts])
        return cls(columns, vectors, sum(part.sequences for part in parts))


def count_layers(engine: Engine) -> int:
    """How many layers the encoder has; the embeddings are not one."""
    tokenizer = engine.tokenizer
    ids_1S = engine.compute.move(np.array([[tokenizer.cls_id, tokenizer.mask_id]]))
    with torch.no_grad():
        states = engine.encoder.outputs(ids_1S, hidden_states=True).hidden_states
    return len(states or ()) - 1


@dataclass(frozen=True)
class Embedder:
    """Turns sequences into vectors.

    Attributes:
        engine: The model.
        layer: 0 for the embeddings, 1 for the first layer; negative ones count from the last, -1.
        pool: ``mean``: over the tokens that stand for known bases, each counted once, those with N, [CLS], [SEP] and
            padding left out. ``cls``: the first position; over long sequences the mean of the windows'. ``none``: one
            vector for each token between [CLS] and [SEP].
        both_strands: The mean of the vectors of a sequence and of its reverse complement; not of tokens.
    """

    engine: Engine
    layer: int = -1
    pool: Pool = "mean"
    both_strands: bool = False

    def check(self) -> None:
        """Check that the encoder has the layer, and that there is one vector a sequence for a mean of both strands.

        Raises:
            CmgemsError: if it has not, or there is not.
        """
        if self.both_strands and self.pool == "none":
            raise CmgemsError(
                "no vectors of tokens of both strands",
                why="the strands are cut into other tokens",
                fix="pool them (mean or cls), or read one strand",
            )
        layers = count_layers(self.engine)
        if not -layers - 1 <= self.layer <= layers:
            raise CmgemsError(
                "no such layer",
                where=self.engine.name,
                why=f"`layer` is {self.layer}, the model has {layers} layers",
                fix=f"give 0 (the embeddings) to {layers}, or -1 (the last) to {-layers - 1}",
            )

    def embed(self, sequences: Iterable[NamedSequence], advance: Advance = ignore) -> Iterator[Vectors]:
        """The vectors of the sequences in their order, some at a time.

        Args:
            sequences: Checked ones (``usable_sequences``), any number.
            advance: Told the number of bases done.
        """
        if self.pool == "none":
            return _in_parts(self._of_tokens(sequences, advance))
        pooled = partial(self._pooled, advance=advance)
        found = on_both_strands(sequences, pooled) if self.both_strands else pooled(sequences)
        return _in_parts(Vectors({"name": [sequence.name]}, row_D[None], 1) for sequence, row_D in found)

    def _pooled(
        self, sequences: Iterable[NamedSequence], advance: Advance
    ) -> Iterator[tuple[NamedSequence, npt.NDArray[np.float32]]]:
        """Each sequence in turn with its vector, float32 (D,)."""
        for sequence, windows in self.engine.through(sequences, self._answers, advance):
            mean = WindowMean()
            for _, answer in windows:
                mean.add(answer.vectors[0], answer.tokens)
            yield sequence, mean.value()

    def _of_tokens(self, sequences: Iterable[NamedSequence], advance: Advance) -> Iterator[Vectors]:
        vocabulary = self.engine.cutter.tokens.vocabulary
        for sequence, windows in self.engine.through(sequences, self._answers, advance):
            for number, (piece, answer) in enumerate(windows):
                spans_T2 = answer.spans_T2
                columns: Columns = {
                    "name": [sequence.name] * len(spans_T2),
                    "start": spans_T2[:, 0].tolist(),
                    "end": spans_T2[:, 1].tolist(),
                    "token": [vocabulary[i] for i in piece.ids_S[answer.positions_T]],
                }
                yield Vectors(columns, answer.vectors, int(number == 0))

    def _answers(self, pieces: Sequence[Piece], advance: Advance) -> list[_Answer]:
        taken = [self._taken(piece) for piece in pieces]

        def call(chosen: list[int], ids_BS: Tensor, attention_BS: Tensor | None) -> Tensor:
            hidden_BSD = self._hidden(ids_BS, attention_BS)
            positions = [taken[i].positions_T for i in chosen]
            pooled = self._each if self.pool == "none" else self._mean
            return pooled(hidden_BSD, positions)

        found: list[_Answer] = [_NOTHING] * len(pieces)
        for chosen, vectors in self.engine.passes([piece.ids_S for piece in pieces], call):
            for i, row in zip(chosen, vectors, strict=True):
                own = row[: taken[i].tokens].copy() if self.pool == "none" else row[None]
                found[i] = replace(taken[i], vectors=own)
            advance(own_bases(pieces[i].window for i in chosen))
        return found

    def _hidden(self, ids_BS: Tensor, attention_BS: Tensor | None) -> Tensor:
        if self.layer == -1:
            return self.engine.encoder.outputs(ids_BS, attention_BS).last_BSD.float()
        states = self.engine.encoder.outputs(ids_BS, attention_BS, hidden_states=True).hidden_states
        return (states or ())[self.layer].float()

    def _each(self, hidden_BSD: Tensor, positions: Sequence[npt.NDArray[np.int64]]) -> Tensor:
        """The vectors at these positions of each row, (B, T, D) with T the most."""
        positions_BT = np.zeros((len(positions), max(map(len, positions))), np.int64)
        for row_T, positions_T in zip(positions_BT, positions, strict=True):
            row_T[: len(positions_T)] = positions_T
        return hidden_BSD.take_along_dim(self.engine.compute.move(positions_BT)[..., None], dim=1)

    def _mean(self, hidden_BSD: Tensor, positions: Sequence[npt.NDArray[np.int64]]) -> Tensor:
        """Their mean, (B, D); zeros, of weight 0 over the windows, if a row has no such position.

        Not as a product of matrices, which would be rounded as those are.
        """
        weights_BS = np.zeros(hidden_BSD.shape[:2], np.float32)
        for weights_S, positions_T in zip(weights_BS, positions, strict=True):
            weights_S[positions_T] = 1
        counts_B = weights_BS.sum(1).clip(1)
        move = self.engine.compute.move
        return (hidden_BSD * move(weights_BS)[..., None]).sum(1) / move(counts_B)[:, None]

    def _taken(self, piece: Piece) -> _Answer:
        if self.pool == "cls":
            return replace(_NOTHING, positions_T=np.zeros(1, np.int64))
        tokens = self.engine.cutter.tokens
        if self.pool == "mean" and piece.is_whole:  # where its tokens lie does not matter
            return replace(_NOTHING, positions_T=np.flatnonzero(tokens.known(piece.ids_S)))
        body_T = tokens.body(piece.ids_S)
        spans_T2 = tokens.spans(piece.ids_S[body_T]) + piece.window.start
        middle_T = (spans_T2[:, 0] + spans_T2[:, 1] - 1) // 2
        taken_T = (middle_T >= piece.window.own_start) & (middle_T < piece.window.own_end)
        if self.pool == "mean":
            taken_T &= tokens.known(piece.ids_S[body_T])
        return _Answer(body_T[taken_T], spans_T2[taken_T], _NOTHING.vectors)


@dataclass(frozen=True, eq=False)
class _Answer:
    """The tokens of a window that vectors are taken from, and the vectors.

    Attributes:
        positions_T: int64, in the row.
        spans_T2: int64, first base of each and one past its last, in the sequence.
        vectors: float32, (T, D), or (1, D) of all.
    """

    positions_T: npt.NDArray[np.int64]
    spans_T2: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]

    @property
    def tokens(self) -> int:
        """How many tokens there are."""
        return len(self.positions_T)


_NOTHING = _Answer(np.zeros(0, np.int64), np.zeros((0, 2), np.int64), np.zeros((0, 0), np.float32))


def _in_parts(found: Iterable[Vectors]) -> Iterator[Vectors]:
    """The same in parts of ``PART_ROWS`` rows or a few more, as files like them."""
    some: list[Vectors] = []
    rows = 0
    for vectors in found:
        some.append(vectors)
        rows += len(vectors.vectors)
        if rows >= PART_ROWS:
            yield Vectors.joined(some)
            some, rows = [], 0
    if some:
        yield Vectors.joined(some)

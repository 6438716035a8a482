"""Hidden states as vectors of sequences or tokens, from any layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmgems.errors import CmgemsError
from cmgems.inference.cutter import Piece, own_bases
from cmgems.inference.engine import Advance, Engine, ignore
from cmgems.inference.sequences import NamedSequence
from cmgems.inference.windows import merge_means

Pool = Literal["mean", "cls", "none"]
Columns = Mapping[str, Sequence[str | int]]


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


@dataclass(frozen=True)
class Embedder:
    """Turns sequences into vectors.

    Attributes:
        engine: The model.
        layer: 0 for the embeddings, 1 for the first layer; negative ones count from the last, -1.
        pool: ``mean``: over the tokens that stand for known bases, each counted once, those with N, [CLS], [SEP] and
            padding left out. ``cls``: the first position; over long sequences the mean of the windows'. ``none``: one
            vector for each token between [CLS] and [SEP].
    """

    engine: Engine
    layer: int = -1
    pool: Pool = "mean"

    def check(self) -> None:
        """Check that the encoder has the layer.

        Raises:
            CmgemsError: if it has not.
        """
        tokenizer = self.engine.tokenizer
        ids_1S = torch.tensor([[tokenizer.cls_id, tokenizer.mask_id]], device=self.engine.compute.device)
        with torch.no_grad():
            states = self.engine.encoder.outputs(ids_1S, hidden_states=True).hidden_states
        layers = len(states or ()) - 1
        if not -layers - 1 <= self.layer <= layers:
            raise CmgemsError(
                "no such layer",
                where=self.engine.name,
                why=f"`layer` is {self.layer}, the model has {layers} layers",
                fix=f"give 0 (the embeddings) to {layers}, or -1 (the last) to {-layers - 1}",
            )

    @torch.no_grad()
    def embed(self, sequences: Sequence[NamedSequence], advance: Advance = ignore) -> Iterator[Vectors]:
        """The vectors, a chunk of sequences at a time, in their order.

        Args:
            sequences: Checked ones (``usable_sequences``).
            advance: Told the number of bases done.
        """
        for chunk in self.engine.cutter.chunks(sequences, self.engine.batch_size):
            taken = [self._taken(piece) for piece in chunk]
            vectors: list[npt.NDArray[np.float32]] = [np.empty(0, np.float32)] * len(chunk)
            for chosen, ids_BS, attention_BS in self.engine.batches(chunk):
                hidden_BSD = self._hidden(ids_BS, attention_BS)
                for b, i in enumerate(chosen):
                    taken_TD = hidden_BSD[b, torch.from_numpy(taken[i].positions_T).to(hidden_BSD.device)]
                    vectors[i] = (taken_TD if self.pool == "none" else _mean(taken_TD)).cpu().numpy()
                advance(own_bases([chunk[i] for i in chosen]))
            first, count = chunk[0].sequence, chunk[-1].sequence - chunk[0].sequence + 1
            if self.pool == "none":
                yield Vectors(self._token_columns(sequences, chunk, taken), np.concatenate(vectors), count)
                continue
            counts_W = np.array([len(t.positions_T) for t in taken], np.float64)
            groups_W = np.array([piece.sequence - first for piece in chunk], np.int64)
            names = [s.name for s in sequences[first : first + count]]
            yield Vectors({"name": names}, merge_means(np.stack(vectors), groups_W, counts_W), count)

    def _hidden(self, ids_BS: Tensor, attention_BS: Tensor | None) -> Tensor:
        with self.engine.compute.autocast():
            if self.layer == -1:
                return self.engine.encoder.outputs(ids_BS, attention_BS).last_BSD.float()
            states = self.engine.encoder.outputs(ids_BS, attention_BS, hidden_states=True).hidden_states
        return (states or ())[self.layer].float()

    def _taken(self, piece: Piece) -> _Taken:
        if self.pool == "cls":
            return _Taken(np.zeros(1, np.int64), np.zeros((1, 2), np.int64))
        tokens = self.engine.cutter.tokens
        body_T = tokens.body(piece.ids_S)
        spans_T2 = tokens.spans(piece.ids_S[body_T]) + piece.window.start
        middle_T = (spans_T2[:, 0] + spans_T2[:, 1] - 1) // 2
        taken_T = (middle_T >= piece.window.own_start) & (middle_T < piece.window.own_end)
        if self.pool == "mean":
            taken_T &= tokens.known(piece.ids_S[body_T])
        return _Taken(body_T[taken_T], spans_T2[taken_T])

    def _token_columns(
        self, sequences: Sequence[NamedSequence], chunk: list[Piece], taken: list[_Taken]
    ) -> Columns:
        vocabulary = self.engine.cutter.tokens.vocabulary
        names: list[str] = []
        texts: list[str] = []
        for piece, tokens in zip(chunk, taken, strict=True):
            names += [sequences[piece.sequence].name] * len(tokens.positions_T)
            texts += [vocabulary[i] for i in piece.ids_S[tokens.positions_T]]
        spans_T2 = np.concatenate([tokens.spans_T2 for tokens in taken])
        return {
            "name": names,
            "start": spans_T2[:, 0].tolist(),
            "end": spans_T2[:, 1].tolist(),
            "token": texts,
        }


@dataclass(frozen=True, eq=False)
class _Taken:
    """The tokens of a window that vectors are taken from.

    Attributes:
        positions_T: int64, in the row.
        spans_T2: int64, first base of each and one past its last, in the sequence.
    """

    positions_T: npt.NDArray[np.int64]
    spans_T2: npt.NDArray[np.int64]


def _mean(taken_TD: Tensor) -> Tensor:
    """The mean row; zeros, of weight 0 in the merge, if a window owns no known token."""
    return taken_TD.sum(0) / max(len(taken_TD), 1)

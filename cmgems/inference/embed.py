"""Hidden states as vectors of sequences or tokens, from any layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmgems.errors import CmgemsError
from cmgems.inference.batches import Cutter, Piece, own_bases
from cmgems.inference.sequences import NamedSequence
from cmgems.inference.windows import merge_means
from cmgems.models.attention import Encoder
from cmgems.training.compute import Compute

Pool = Literal["mean", "cls", "none"]
Columns = dict[str, list[str] | list[int]]


@dataclass(frozen=True)
class Embedder:
    """Turns sequences into vectors.

    Attributes:
        encoder: On the device of ``compute``, in evaluation mode.
        cutter: Cuts sequences to what it takes.
        compute: Device and precision.
        layer: 0 for the embeddings, 1 for the first layer; negative ones count from the last, -1.
        pool: ``mean``: over the tokens that stand for known bases, each counted once, those with N, [CLS], [SEP] and
            padding left out. ``cls``: the first position; over long sequences the mean of the windows'. ``none``: one
            vector for each token between [CLS] and [SEP].
    """

    encoder: Encoder
    cutter: Cutter
    compute: Compute
    layer: int = -1
    pool: Pool = "mean"

    def check_layer(self) -> None:
        """See that the encoder has the layer.

        Raises:
            CmgemsError: if it has not.
        """
        tokenizer = self.cutter.tokens.tokenizer
        ids_1S = torch.tensor([[tokenizer.cls_id, tokenizer.mask_id]], device=self.compute.device)
        with torch.no_grad():
            states = self.encoder.outputs(ids_1S, hidden_states=True).hidden_states
        layers = len(states or ()) - 1
        if not -layers - 1 <= self.layer <= layers:
            raise CmgemsError(
                "no such layer",
                where="--layer",
                why=f"it is {self.layer}, the model has {layers} layers",
                fix=f"give 0 (the embeddings) to {layers}, or -1 (the last) to {-layers - 1}",
            )

    @torch.no_grad()
    def embed(
        self, sequences: Sequence[NamedSequence], batch_size: int, advance: Callable[[float], None]
    ) -> Iterator[tuple[Columns, npt.NDArray[np.float32]]]:
        """Vectors float32 (rows, D) and what each row is of, a chunk of sequences at a time, in their order.

        Args:
            sequences: Checked ones (``check_sequences``).
            batch_size: Windows in a forward pass.
            advance: Told the number of bases done.

        Yields:
            Columns ``name``, and for ``none`` also ``start`` and ``end`` (bp, half-open from 0) and ``token``.
        """
        for chunk in self.cutter.chunks(sequences, batch_size):
            taken = [self._taken(piece) for piece in chunk]
            vectors: list[npt.NDArray[np.float32]] = [np.empty(0, np.float32)] * len(chunk)
            for chosen, ids_BS, attention_BS in self.cutter.batches(chunk, batch_size, self.compute):
                hidden_BSD = self._hidden(ids_BS, attention_BS)
                for b, i in enumerate(chosen):
                    taken_TD = hidden_BSD[b, torch.from_numpy(taken[i].positions_T).to(hidden_BSD.device)]
                    vectors[i] = (taken_TD if self.pool == "none" else _mean(taken_TD)).cpu().numpy()
                advance(own_bases([chunk[i] for i in chosen]))
            if self.pool == "none":
                yield self._token_columns(sequences, chunk, taken), np.concatenate(vectors)
                continue
            first = chunk[0].sequence
            counts_W = np.array([len(t.positions_T) for t in taken], np.float64)
            groups_W = np.array([piece.sequence - first for piece in chunk], np.int64)
            names = [s.name for s in sequences[first : first + int(groups_W[-1]) + 1]]
            yield {"name": names}, merge_means(np.stack(vectors), groups_W, counts_W)

    def _hidden(self, ids_BS: Tensor, attention_BS: Tensor | None) -> Tensor:
        with self.compute.autocast():
            if self.layer == -1:
                return self.encoder.outputs(ids_BS, attention_BS).last_BSD.float()
            states = self.encoder.outputs(ids_BS, attention_BS, hidden_states=True).hidden_states
        return (states or ())[self.layer].float()

    def _taken(self, piece: Piece) -> _Taken:
        if self.pool == "cls":
            return _Taken(np.zeros(1, np.int64), np.zeros((1, 2), np.int64))
        tokens = self.cutter.tokens
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
        vocabulary = self.cutter.tokens.vocabulary
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

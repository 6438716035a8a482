"""What a model attends to: from [CLS] to every base, and from every token to every token.

Attention says where a model looked, and no more: what it took from there, and whether the answer would be another one
without it, is not in these numbers (arXiv 1902.10186). cmgems.inference.occlusion asks the model that.

Shape suffixes: B rows of a batch, N layers, H heads, S tokens of a row, T those that stand for bases, L bases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmgems.errors import CmgemsError
from cmgems.inference.cutter import Piece, own_bases
from cmgems.inference.engine import Advance, Engine, ignore
from cmgems.inference.sequences import NamedSequence
from cmgems.inference.spread import Values, spread
from cmgems.models.attention import Trace


class _FirstRows(list[Tensor]):
    """Keeps what the first token attends to, of each layer's probabilities_BHSS: all of DNABERT's are gigabytes."""

    def append(self, probabilities_BHSS: Tensor) -> None:
        super().append(probabilities_BHSS[:, :, 0].clone())


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """Attention probabilities of one sequence, query before key.

    Attributes:
        layers_NSS: float32, of every layer, the mean over its heads.
        heads_HSS: float32, of every head of one layer.
        layer: Which layer that is, from 1.
    """

    layers_NSS: npt.NDArray[np.float32]
    heads_HSS: npt.NDArray[np.float32]
    layer: int


@dataclass(frozen=True)
class AttentionReader:
    """Reads the attention of an encoder.

    Attributes:
        engine: The model.
        layer: 1 for the first; negative ones count from the last, -1.
        head: 1 for the first; None for the mean over all.
    """

    engine: Engine
    layer: int = -1
    head: int | None = None

    def check(self) -> None:
        """Check that the encoder has attention, the layer and the head.

        Raises:
            CmgemsError: if it has not.
        """
        tokenizer = self.engine.tokenizer
        ids_1S = self.engine.compute.move(np.array([[tokenizer.cls_id, tokenizer.mask_id]]))
        layers, heads = self._maps(ids_1S).shape[:2]
        if self.layer == 0 or not -layers <= self.layer <= layers:
            raise CmgemsError(
                "no such layer",
                where=self.engine.name,
                why=f"`layer` is {self.layer}, the model has {layers} layers",
                fix=f"give 1 (the first) to {layers}, or -1 (the last) to {-layers}",
            )
        if self.head is not None and not 1 <= self.head <= heads:
            raise CmgemsError(
                "no such head",
                where=self.engine.name,
                why=f"`head` is {self.head}, a layer has {heads} heads",
                fix=f"give 1 to {heads}, or leave it out for their mean",
            )

    def describe(self) -> str:
        """Whose attention it is, in words."""
        layer = "the last layer" if self.layer == -1 else f"layer {self.layer}"
        head = "mean over the heads" if self.head is None else f"head {self.head}"
        return f"Attention of [CLS] in {layer}, {head}."

    def bases(
        self, sequences: Iterable[NamedSequence], advance: Advance = ignore
    ) -> Iterator[tuple[NamedSequence, Values]]:
        """Each sequence in turn with what [CLS] attends to of its bases: float64 (L,).

        1 is the share that every token of the window would have if attention were even, so that long and short
        sequences compare. NaN in windows without a single known token.

        Args:
            sequences: Checked ones (``usable_sequences``), any number. In each forward pass a layer's probabilities
                take 4 * H * S * S bytes a window.
            advance: Told the number of bases done.
        """
        for sequence, windows in self.engine.through(sequences, self._answers, advance):
            found_L = np.full(len(sequence.codes), np.nan)
            for piece, own_L in windows:
                found_L[piece.window.own_start : piece.window.own_end] = own_L
            yield sequence, found_L

    def _answers(self, pieces: Sequence[Piece], advance: Advance) -> list[Values]:
        found: list[Values] = [np.empty(0)] * len(pieces)
        for chosen, shares_BS in self.engine.passes([piece.ids_S for piece in pieces], self._first_rows):
            for i, shares_S in zip(chosen, shares_BS.astype(np.float64), strict=True):
                found[i] = self._bases(pieces[i], shares_S)[pieces[i].window.own]
            advance(own_bases(pieces[i].window for i in chosen))
        return found

    def maps(self, sequence: NamedSequence) -> AttentionMaps:
        """From every token to every token, of a checked sequence that fits the model in one window."""
        ids_S = self.engine.cutter.encode(sequence.codes)
        maps = self._maps(self.engine.compute.move(ids_S[None]).long()).float().cpu().numpy()
        number = self.layer if self.layer > 0 else len(maps) + self.layer + 1
        return AttentionMaps(maps.mean(1), maps[number - 1], number)

    def _maps(self, ids_1S: Tensor) -> Tensor:
        with torch.no_grad(), self.engine.arithmetic():
            maps = self.engine.encoder.outputs(ids_1S, attentions=True).attentions
        if not maps:
            raise CmgemsError(
                "no attention to read",
                where=self.engine.name,
                why="the model has no attention",
                fix="give a transformer, or ask for importance",
            )
        return torch.stack([map_1HSS[0] for map_1HSS in maps])

    def _first_rows(self, _: list[int], ids_BS: Tensor, attention_BS: Tensor | None) -> Tensor:
        rows = _FirstRows()
        self.engine.encoder(ids_BS, attention_BS, Trace(attentions=rows))
        first_BHS = rows[self.layer - 1 if self.layer > 0 else self.layer]
        return (first_BHS.mean(1) if self.head is None else first_BHS[:, self.head - 1]).float()

    def _bases(self, piece: Piece, shares_S: Values) -> Values:
        body_T = self.engine.cutter.tokens.body(piece.ids_S)
        shares_T = shares_S[body_T]
        spans_T2 = self.engine.cutter.tokens.spans(piece.ids_S[body_T])
        return spread(shares_T / shares_T.mean(), spans_T2, piece.window.end - piece.window.start)

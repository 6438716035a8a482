"""How much each base matters: what becomes of the answer when it is hidden.

Every token over the base is masked and the model asked again, one forward pass a base (a token, where tokens do not
overlap). Positive numbers speak for the answer, negative ones against it. A masked language model is asked for the base
itself: log p(base | all others), see cmgems.inference.pseudo_likelihood.

Shape suffixes: B rows of a batch, C outputs, L bases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from cmgems.genome.alphabet import Codes
from cmgems.inference.batches import Cutter, Piece
from cmgems.inference.spread import Values, hidden_rows
from cmgems.models import Head
from cmgems.training import Compute


@dataclass(frozen=True)
class Occlusion:
    """Asks a fine-tuned model of sequences for its answer with and without each base.

    Attributes:
        model: On the device of ``compute``, in evaluation mode.
        head: What its outputs mean.
        cutter: Cuts sequences to what it takes.
        compute: Device and precision.
        batch_size: Rows in a forward pass.
    """

    model: nn.Module
    head: Head
    cutter: Cutter
    compute: Compute
    batch_size: int

    @torch.no_grad()
    def importance(self, codes_L: Codes, output: int, advance: Callable[[float], None]) -> Values:
        """The answer less the answer without the base: float64 (L,), NaN at bases without a known token.

        Answers are log-odds of a class against all others or of a label (nats), or a quantity in its own units. Long
        sequences are read in windows; each base is hidden in the one in which it is farthest from a cut.

        Args:
            codes_L: A checked sequence (``check_sequences``).
            output: Which output to explain, from 0.
            advance: Told the number of bases done.
        """
        found_L = np.full(len(codes_L), np.nan)
        for piece in self.cutter.pieces(0, codes_L):
            window = piece.window
            self._explain(piece, output, found_L[window.start : window.end])
            advance(window.own_end - window.own_start)
        return found_L

    def _explain(self, piece: Piece, output: int, found_L: Values) -> None:
        """Fill in the window's own bases."""
        window = piece.window
        first, last = window.own_start - window.start, window.own_end - window.start
        rows = list(hidden_rows(self.cutter.tokens, piece.ids_S, first, last))
        answers = np.concatenate(list(self._answers([piece.ids_S, *(row.ids_S for row in rows)], output)))
        for row, answer in zip(rows, answers[1:], strict=True):
            found_L[row.bases] = answers[0] - answer

    def _answers(self, rows: list[np.ndarray], output: int) -> Iterator[Values]:
        for first in range(0, len(rows), self.batch_size):
            ids_BS, attention_BS = self.cutter.inputs(rows[first : first + self.batch_size], self.compute)
            with self.compute.autocast():
                logits_BC = self.model(ids_BS, attention_BS)
            yield answer(logits_BC.double(), output, self.head).cpu().numpy()


def answer(logits_BC: Tensor, output: int, head: Head) -> Tensor:
    """The number that is explained, (B,): log-odds (nats), or a quantity.

    Logits of classes mean something only relative to each other, so a class is asked for its log-odds:
    log p - log(1 - p). The logit of a label is its log-odds, and a quantity is what it is.
    """
    chosen_B = logits_BC[:, output]
    if head != "classification":
        return chosen_B
    others_BC = logits_BC.clone()
    others_BC[:, output] = -torch.inf
    return chosen_B - others_BC.logsumexp(1)

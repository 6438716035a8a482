"""How much each base matters: what becomes of the answer when it is hidden.

Every token over the base is masked and the model asked again, one forward pass a base (a token, where tokens do not
overlap). Positive numbers speak for the answer, negative ones against it. A masked language model is asked for the base
itself: log p(base | all others), see cmgems.inference.pseudo_likelihood.

Shape suffixes: B rows of a batch, C outputs, L bases.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmgems.genome.alphabet import Codes
from cmgems.inference.cutter import Piece
from cmgems.inference.engine import Advance, Engine, ignore
from cmgems.inference.spread import Values, hidden_rows
from cmgems.models import Head


def occlude(engine: Engine, codes_L: Codes, output: int, advance: Advance = ignore) -> Values:
    """The answer less the answer without the base: float64 (L,), NaN at bases without a known token.

    Answers are log-odds of a class against all others or of a label (nats), or a quantity in its own units. Long
    sequences are read in windows; each base is hidden in the one in which it is farthest from a cut.

    Args:
        engine: Of a fine-tuned model of sequences.
        codes_L: A checked sequence (``check_sequences``).
        output: Which output to explain, from 0.
        advance: Told the number of bases done.
    """
    found_L = np.full(len(codes_L), np.nan)
    for piece in engine.cutter.pieces(0, codes_L):
        window = piece.window
        _explain(engine, piece, output, found_L[window.start : window.end])
        advance(window.own_end - window.own_start)
    return found_L


def _explain(engine: Engine, piece: Piece, output: int, found_L: Values) -> None:
    """Fill in the window's own bases."""
    window = piece.window
    first, last = window.own_start - window.start, window.own_end - window.start
    rows = list(hidden_rows(engine.cutter.tokens, piece.ids_S, first, last))
    answers = np.concatenate(list(_answers(engine, [piece.ids_S, *(row.ids_S for row in rows)], output)))
    for row, without in zip(rows, answers[1:], strict=True):
        found_L[row.bases] = answers[0] - without


@torch.no_grad()
def _answers(engine: Engine, rows: list[npt.NDArray[np.int32]], output: int) -> Iterator[Values]:
    for first in range(0, len(rows), engine.batch_size):
        ids_BS, attention_BS = engine.inputs(rows[first : first + engine.batch_size])
        with engine.compute.autocast():
            logits_BC = engine.network(ids_BS, attention_BS)
        yield answer(logits_BC.double(), output, engine.head).cpu().numpy()


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

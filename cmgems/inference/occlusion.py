"""How much each base matters: what becomes of the answer when it is hidden.

Every token over the base is masked and the model asked again, one forward pass a base (a token, where tokens do not
overlap). Positive numbers speak for the answer, negative ones against it. A masked language model is asked for the base
itself: log p(base | all others), see cmgems.inference.pseudo_likelihood.

Shape suffixes: B rows, C outputs, L bases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from cmgems.inference.cutter import Piece, own_bases
from cmgems.inference.engine import Advance, Engine, ignore
from cmgems.inference.sequences import NamedSequence
from cmgems.inference.spread import HiddenBases, Values, hidden_rows
from cmgems.models import Head


def occlude(
    engine: Engine, sequences: Sequence[NamedSequence], outputs: Sequence[int], advance: Advance = ignore
) -> Iterator[Values]:
    """The answer less the answer without each base: of each sequence float64 (L,), NaN at bases without a known token.

    Answers are log-odds of a class against all others or of a label (nats), or a quantity in its own units. Long
    sequences are read in windows; each base is hidden in the one in which it is farthest from a cut.

    Args:
        engine: Of a fine-tuned model of sequences.
        sequences: Checked ones (``usable_sequences``).
        outputs: Which output to explain of each, from 0.
        advance: Told the number of bases done.
    """
    work = partial(_answers, engine, outputs)
    for sequence, windows in engine.through(sequences, work, advance, pass_a_base=True):
        found_L = np.full(len(sequence.codes), np.nan)
        for piece, own_L in windows:
            found_L[piece.window.own_start : piece.window.own_end] = own_L
        yield found_L


def _answers(
    engine: Engine, outputs: Sequence[int], pieces: Sequence[Piece], advance: Advance
) -> list[Values]:
    """For the own bases of each window."""
    nothing = slice(0, 0)
    rows: list[tuple[int, HiddenBases]] = []
    for i, piece in enumerate(pieces):
        own = piece.window.own
        hidden = hidden_rows(engine.cutter.tokens, piece.ids_S, own.start, own.stop)
        rows += [(i, row) for row in (HiddenBases(piece.ids_S, nothing), *hidden)]
    values = np.empty(len(rows))
    output_of = np.array([outputs[pieces[i].sequence] for i, _ in rows])
    left = own_bases(piece.window for piece in pieces)
    for chosen, logits_BC in engine.passes(
        [row.ids_S for _, row in rows],
        lambda _, ids_BS, attention_BS: engine.network(ids_BS, attention_BS).float(),
    ):
        asked_B = torch.from_numpy(output_of[chosen])
        values[chosen] = answer(torch.from_numpy(logits_BC).double(), asked_B, engine.head).numpy()
        done = sum(rows[n][1].bases.stop - rows[n][1].bases.start for n in chosen)
        advance(done)
        left -= done
    advance(left)  # bases without a known token

    found = [np.full(piece.window.end - piece.window.start, np.nan) for piece in pieces]
    with_all = float("nan")
    for (i, row), value in zip(rows, values.tolist(), strict=True):
        if row.bases == nothing:
            with_all = value
        found[i][row.bases] = with_all - value
    return [found_L[piece.window.own] for piece, found_L in zip(pieces, found, strict=True)]


def answer(logits_BC: Tensor, outputs_B: Tensor, head: Head) -> Tensor:
    """The number that is explained, (B,): log-odds (nats), or a quantity.

    Logits of classes mean something only relative to each other, so a class is asked for its log-odds:
    log p - log(1 - p). The logit of a label is its log-odds, and a quantity is what it is.

    Args:
        logits_BC: What the model says.
        outputs_B: int64, which output of each row.
        head: What they mean.
    """
    chosen_B1 = logits_BC.gather(1, outputs_B[:, None])
    if head != "classification":
        return chosen_B1[:, 0]
    others_BC = logits_BC.scatter(1, outputs_B[:, None], -torch.inf)
    return chosen_B1[:, 0] - others_BC.logsumexp(1)

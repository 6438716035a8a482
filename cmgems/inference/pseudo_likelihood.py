"""The probability of each base given all others, from a masked language model.

With overlapping k-mers a base lies in k tokens, and hiding one of them hides nothing: its neighbours spell it out. So
all k are masked. Each of them then predicts the base: of the k-mers that could stand there, the four that agree with
every other base are compared with each other,

    p_j(b) = P(w_j with b) / sum over the four bases b' of P(w_j with b'),

and the k answers are averaged, p(b) = mean over j of p_j(b). docs/method.md gives the reasons. Tokens side by side hold
a base once: that token is masked, and j has one value. Tokens with an ambiguous base are masked but not asked.

Shape suffixes: B rows of a batch, S tokens of a row, E (token, base) pairs asked, L bases, 4 = A, T, C, G.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from cmgems.genome.alphabet import BASES, COMPLEMENT, Codes
from cmgems.inference.cutter import Piece, own_bases
from cmgems.inference.engine import Advance, Engine, ignore
from cmgems.inference.sequences import NamedSequence
from cmgems.inference.strands import on_both_strands
from cmgems.inference.tables import open_csv
from cmgems.tokenization import TokenMap

Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MaskedRow:
    """A row of tokens, some masked, and what is asked of it.

    Attributes:
        ids_S: int32, masked.
        positions_E: int64, position in the row of each token asked.
        bases_E: int64, the base it is asked for.
        candidates_E4: int32, the tokens that put A, T, C or G there and agree with every other base.
    """

    ids_S: npt.NDArray[np.int32]
    positions_E: npt.NDArray[np.int64]
    bases_E: npt.NDArray[np.int64]
    candidates_E4: npt.NDArray[np.int32]


def masked_rows(
    tokens: TokenMap, ids_S: npt.NDArray[np.int32], start: int, first: int, last: int
) -> Iterator[MaskedRow]:
    """The rows that ask for the bases ``[first, last)``: one a base, or one a token if tokens lie side by side.

    Args:
        tokens: The bases behind the ids.
        ids_S: A window, without padding.
        start: Where the window starts; ``first``, ``last`` and the rows' ``bases_E`` are counted as it is (bp).
        first: First base to ask for.
        last: One past the last. Bases without a known token get no row.

    Raises:
        CmgemsError: if the tokens differ in length.
    """
    body_T = tokens.body(ids_S)
    spans_T2 = tokens.spans(ids_S[body_T])
    lengths_T = spans_T2[:, 1] - spans_T2[:, 0]
    token_E = np.repeat(np.arange(len(body_T)), lengths_T)
    offset_E = np.arange(len(token_E)) - np.repeat(np.cumsum(lengths_T) - lengths_T, lengths_T)
    base_E = start + spans_T2[token_E, 0] + offset_E
    candidates_E4 = tokens.substitutions[ids_S[body_T[token_E]], offset_E]

    asked_E = np.flatnonzero((base_E >= first) & (base_E < last))
    row_E = base_E if tokens.overlapping else token_E
    asked_E = asked_E[np.argsort(row_E[asked_E], kind="stable")]
    borders = np.flatnonzero(np.diff(row_E[asked_E])) + 1
    for pairs in np.split(asked_E, borders):
        known = pairs[candidates_E4[pairs, 0] >= 0]
        if len(known):
            masked_S = ids_S.copy()
            masked_S[body_T[token_E[pairs]]] = tokens.tokenizer.mask_id
            yield MaskedRow(masked_S, body_T[token_E[known]], base_E[known], candidates_E4[known])


@dataclass(frozen=True, eq=False)
class Score:
    """How well a masked language model predicts the bases of a sequence.

    Attributes:
        name: Of the sequence.
        bases: Upper-case, N where ambiguous.
        log_likelihoods: float64 (L,), log p of the base that is there, given all others (nats); NaN where there is no
            known token.
        probabilities: float64 (L, 4), p of A, C, G and T; NaN likewise.
    """

    name: str
    bases: str
    log_likelihoods: npt.NDArray[np.float64]
    probabilities: Probabilities

    @property
    def mean(self) -> float:
        """Nats a base, over the bases that have a value; NaN if none has."""
        known_L = self.log_likelihoods[~np.isnan(self.log_likelihoods)]
        return float(known_L.mean()) if len(known_L) else float("nan")


def score_sequences(
    engine: Engine,
    sequences: Iterable[NamedSequence],
    advance: Advance = ignore,
    *,
    both_strands: bool = False,
) -> Iterator[Score]:
    """The score of each sequence in turn.

    Args:
        engine: Of a masked language model.
        sequences: Checked ones (``usable_sequences``), any number.
        advance: Told the number of bases done.
        both_strands: Read the reverse complement too, and take the mean of the two probabilities of each base.
    """
    order = [BASES.index(base) for base in "ACGT"]
    answer = partial(base_probabilities, engine, advance=advance)
    found = on_both_strands(sequences, answer, _of_other_strand) if both_strands else answer(sequences)
    for sequence, probabilities_L4 in found:
        found_L = log_likelihoods(probabilities_L4, sequence.codes)
        yield Score(sequence.name, sequence.bases, found_L, probabilities_L4[:, order])


def base_probabilities(
    engine: Engine, sequences: Iterable[NamedSequence], advance: Advance = ignore
) -> Iterator[tuple[NamedSequence, Probabilities]]:
    """Each sequence in turn with p(base | all others): float64 (L, 4), NaN at bases without a known token.

    Long sequences are read in windows; each base is asked for in the one in which it is farthest from a cut.

    Args:
        engine: Of a masked language model.
        sequences: Checked ones (``usable_sequences``), any number.
        advance: Told the number of bases done.
    """
    for sequence, windows in engine.through(sequences, partial(_answers, engine), advance, pass_a_base=True):
        found_L4 = np.full((len(sequence.codes), 4), np.nan)
        for piece, own_L4 in windows:
            found_L4[piece.window.own_start : piece.window.own_end] = own_L4
        yield sequence, found_L4


def _of_other_strand(probabilities_L4: Probabilities) -> Probabilities:
    """Probabilities of the bases of a reverse complement as those of the bases across."""
    return probabilities_L4[::-1, COMPLEMENT]


def _answers(engine: Engine, pieces: Sequence[Piece], advance: Advance) -> list[Probabilities]:
    """p(base | all others) of the own bases of each window; all of them, one window after the other, are L bases."""
    ends = np.cumsum([own_bases([piece.window]) for piece in pieces])
    rows: list[MaskedRow] = []
    for piece, end in zip(pieces, ends.tolist(), strict=True):
        window = piece.window
        start = end - window.own_end + window.start  # so that the own bases end at ``end``
        rows += masked_rows(engine.cutter.tokens, piece.ids_S, start, end - own_bases([window]), end)
    sums_L4, counts_L = np.zeros((ends[-1], 4)), np.zeros(ends[-1])
    for chosen, answers_E4 in ask(engine, rows):
        bases_E = np.concatenate([rows[i].bases_E for i in chosen])
        np.add.at(sums_L4, bases_E, answers_E4)
        np.add.at(counts_L, bases_E, 1)
        advance(len(np.unique(bases_E)))
    advance(int(np.count_nonzero(counts_L == 0)))
    with np.errstate(invalid="ignore"):
        return np.split(sums_L4 / counts_L[:, None], ends[:-1])


def ask(engine: Engine, rows: Sequence[MaskedRow]) -> Iterator[tuple[list[int], Probabilities]]:
    """(numbers of its rows, p_j(b) of every pair they ask for, in that order: float64 (E, 4)) of each batch."""

    def call(chosen: list[int], ids_BS: Tensor, attention_BS: Tensor | None) -> Tensor:
        width = ids_BS.shape[1]
        positions_E = np.concatenate([b * width + rows[i].positions_E for b, i in enumerate(chosen)])
        candidates_E4 = np.concatenate([rows[i].candidates_E4 for i in chosen])
        move = engine.compute.move
        logits_EV: Tensor = engine.network(ids_BS, attention_BS, move(positions_E))
        return logits_EV.gather(1, move(candidates_E4).long()).double().softmax(-1)

    return engine.passes([row.ids_S for row in rows], call)


def log_likelihoods(probabilities_L4: Probabilities, codes_L: Codes) -> npt.NDArray[np.float64]:
    """log p of the base that is there (nats): float64 (L,), NaN at ambiguous bases and where p is."""
    known_L = codes_L < 4
    found_L = np.full(len(codes_L), np.nan)
    found_L[known_L] = np.log(probabilities_L4[known_L, codes_L[known_L]])
    return found_L


@dataclass(frozen=True)
class ScoreTotals:
    """What was scored.

    Attributes:
        sequences: How many sequences there were.
        bases: How many bases there were.
        scored: How many of them have a value.
        mean: Of their log-likelihoods (nats a base); NaN if none has one.
    """

    sequences: int
    bases: int
    scored: int
    mean: float

    def text(self) -> str:
        """In words: "2 sequences, 108 of 109 bases scored, -1.4021 nats a base"."""
        counts = f"{self.sequences:,} sequences, {self.scored:,} of {self.bases:,} bases scored"
        return f"{counts}, {self.mean:.4f} nats a base"


def write_scores(path: Path, scores: Iterable[Score]) -> ScoreTotals:
    """Write scores as CSV, whole or not at all: a row a base, positions from 1; cells without a value are empty.

    Args:
        path: File to write.
        scores: Written as they come.
    """
    sequences, bases, scored, total = 0, 0, 0, 0.0
    with open_csv(
        path, ["name", "position", "base", "log_likelihood", "p_A", "p_C", "p_G", "p_T"]
    ) as writerows:
        for score in scores:
            writerows(_cells(score))
            sequences += 1
            bases += len(score.bases)
            scored += int(np.count_nonzero(~np.isnan(score.log_likelihoods)))
            total += float(np.nansum(score.log_likelihoods))
    return ScoreTotals(sequences, bases, scored, total / scored if scored else float("nan"))


def _cells(score: Score) -> Iterator[list[object]]:
    rows = zip(score.bases, score.log_likelihoods, score.probabilities, strict=True)
    for position, (base, found, p_4) in enumerate(rows, start=1):
        cells = [""] * 5 if np.isnan(found) else [f"{value:.6f}" for value in (found, *p_4)]
        yield [score.name, position, base, *cells]

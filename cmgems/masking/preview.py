"""Sequences as the masking strategies mask them, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmgems.genome.alphabet import decode
from cmgems.genome.pieces import NamedCodes, first_pieces, named_codes
from cmgems.masking.ranks import RankBy
from cmgems.masking.stats import HIDDEN, PARTLY, states_of
from cmgems.masking.strategies import needs_ranks
from cmgems.masking.trial import Trial, base_name, chosen_tokenizer
from cmgems.pmi import PMITable


@dataclass(frozen=True)
class MaskedSequence:
    """A sequence under one mask.

    Attributes:
        name: What it is called.
        bases: Its letters.
        states: uint8, a state (VISIBLE, PARTLY or HIDDEN of ``cmgems.masking.stats``) for each base.
        tenths: The tenth of the NPMI ranking, 0 = most tightly bound, of the token, or k-mer of single bases, that
            starts at each base, as a digit; " " where there is none; "" without a table.
    """

    name: str
    bases: str
    states: npt.NDArray[np.uint8]
    tenths: str

    def summary(self) -> str:
        """How much of it is hidden, in words."""
        hidden, partly = (np.count_nonzero(self.states == state) for state in (HIDDEN, PARTLY))
        return f"{hidden} of {len(self.bases)} bases hidden whole, {partly} partly"


@dataclass(frozen=True)
class MaskPreview:
    """The sequences under one strategy.

    Attributes:
        strategy: Its name.
        rank_by: How ranks were looked up; None if the strategy looks at none.
        share: Share of the maskable tokens that are masked.
        sequences: The sequences with their masks.
    """

    strategy: str
    rank_by: RankBy | None
    share: float
    sequences: tuple[MaskedSequence, ...]

    @property
    def title(self) -> str:
        """The strategy and how it ranks, in words."""
        return self.strategy if self.rank_by is None else f"{self.strategy} (ranked by {self.rank_by})"

    @property
    def note(self) -> str:
        """The share of masked tokens, in words."""
        return f"{100 * self.share:.1f} % of the tokens masked"


def mask_preview(
    sequences: str | Path | Sequence[str | NamedCodes],
    table: PMITable | Path | None = None,
    strategies: Sequence[str] | None = None,
    *,
    k: int | None = None,
    tokenizer: str | Path | None = None,
    rate: float | None = None,
    target_rate: float | None = None,
    seed: int = 0,
    rank_by: RankBy = "token",
    max_bp: int = 200,
    count: int = 3,
) -> list[MaskPreview]:
    """Mask sequences with each strategy.

    Args:
        sequences: A sequence or several (strings, or ``(name, uint8[L] codes)``), shown whole; or the path of a FASTA
            file, of which the beginnings of the first sequences are shown.
        table: PMI table that ranks the k-mers, or its path.
        strategies: Names of strategies, with options of theirs after a ``+`` (`random_span+wider=4`); None for all of
            ours, without a table those that need none, with a rate those that have none of their own.
        k: Length of the tokens (bp): k-mers, 3 to 6, or 1 for single bases, whose k-mers are those of the table; None
            for 6.
        tokenizer: Other tokens: the name of a tokenizer, or a BPE ``tokenizer.json``.
        rate: Nominal rate, as in the papers; None for 0.15.
        target_rate: Share of tokens to mask in fact, instead of ``rate``; solved for on windows of ``sequences``.
        seed: Another seed, another mask.
        rank_by: "token", or "position" as the code released with the papers ranks.
        max_bp: Of a FASTA file, the bases shown of a sequence.
        count: Of a FASTA file, the sequences shown.

    Raises:
        CmgemsError: if a name is unknown, an option is out of range, or a table is missing or of another k.
        DataError: if there is no sequence.
    """
    source = sequences if isinstance(sequences, Path) else named_codes(sequences)
    tokens = chosen_tokenizer(k, tokenizer)
    trial = Trial(source, table, strategies, tokenizer=tokens, rate=rate, target_rate=target_rate, seed=seed)
    named = first_pieces(source, max_bp, count) if isinstance(source, Path) else source
    return [_preview(trial, name, named, rank_by) for name in trial.strategies]


def _preview(trial: Trial, name: str, named: Sequence[NamedCodes], rank_by: RankBy) -> MaskPreview:
    batch = trial.batch([codes for _, codes in named], name, rank_by)
    mask_BS = trial.strategies[name].select(batch)
    states_BL = states_of(batch, mask_BS)
    sequences = tuple(
        MaskedSequence(title, decode(codes), states_L[: len(codes)], _tenths(trial, ids_S, len(codes)))
        for (title, codes), states_L, ids_S in zip(named, states_BL, batch.ids_BS, strict=True)
    )
    share = np.count_nonzero(mask_BS) / max(1, int(np.count_nonzero(batch.maskable_BS)))
    return MaskPreview(name, rank_by if needs_ranks(base_name(name)) else None, share, sequences)


def _tenths(trial: Trial, ids_S: npt.NDArray[np.int32], bases: int) -> str:
    """A digit for each base of a sequence; see ``MaskedSequence``."""
    if not trial.ranked:
        return ""
    tokens = trial.ranks.tokens
    body_T = tokens.body(ids_S)
    ranks_T = trial.ranks.look_up(ids_S[None])[0, body_T]
    known_T = trial.ranks.maskable(ids_S[body_T]) & (ranks_T <= trial.ranks.worst)
    digits_L = np.full(bases, " ")
    digits_L[tokens.spans(ids_S[body_T])[known_T, 0]] = trial.ranks.tenths(ranks_T[known_T]).astype(str)
    return "".join(digits_L)

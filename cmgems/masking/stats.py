"""What a strategy does to sequences: how much it hides, where, and how hard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from cmgems.genome.pieces import NamedCodes, named_codes
from cmgems.masking.batch import Strategy, TokenBatch
from cmgems.masking.ranks import TENTHS, RankBy
from cmgems.masking.strategies import needs_ranks
from cmgems.masking.trial import Trial, base_name, chosen_tokenizer
from cmgems.pmi import PMITable
from cmgems.tokenization import overlapping

# States of a base.
VISIBLE, PARTLY, HIDDEN = 0, 1, 2


@dataclass(frozen=True)
class MaskStats:
    """Figures of one strategy.

    Attributes:
        strategy: Its name.
        rank_by: What ranks were looked up by; None if it does not look at ranks.
        sequences: Sequences masked.
        token_share: Share of the maskable tokens masked.
        hidden_share: Share of the bases in maskable tokens that are hidden whole: no token left shows them.
        positions: Token positions of the longest sequence.
        positions_covered: How many of them were masked in any sequence.
        mean_rank: Mean NPMI rank of the masked tokens (by token, whatever the strategy looked at); None without
            ranks.
        histogram: Share of the masked tokens in each tenth of the ranking, best tenth first; None without ranks.
    """

    strategy: str
    rank_by: RankBy | None
    sequences: int
    token_share: float
    hidden_share: float
    positions: int
    positions_covered: int
    mean_rank: float | None
    histogram: tuple[float, ...] | None


def base_states(
    mask_BS: npt.NDArray[np.bool_], maskable_BS: npt.NDArray[np.bool_], k: int, stride: int = 1
) -> npt.NDArray[np.uint8]:
    """What a mask leaves of each base.

    Args:
        mask_BS: Masked positions; rows are ``[CLS]`` tokens ``[SEP] [PAD]...``
        maskable_BS: Positions of known tokens; an [UNK] shows nothing of its bases.
        k: Bases in a token.
        stride: Bases from one token to the next.

    Returns:
        uint8 (B, L), L = (S - 3) * stride + k: HIDDEN if every token over the base is masked, PARTLY if some are,
        VISIBLE if none is or there is no token over it.
    """
    rows, tokens = mask_BS.shape[0], mask_BS.shape[1] - 2
    length = (tokens - 1) * stride + k
    over_BL, masked_BL = np.zeros((2, rows, length), np.int16)
    for offset in range(k):
        bases = slice(offset, offset + (tokens - 1) * stride + 1, stride)
        over_BL[:, bases] += maskable_BS[:, 1:-1]
        masked_BL[:, bases] += mask_BS[:, 1:-1]
    states_BL = np.full((rows, length), VISIBLE, np.uint8)
    states_BL[masked_BL > 0] = PARTLY
    states_BL[(masked_BL > 0) & (masked_BL == over_BL)] = HIDDEN
    return states_BL


def states_of(batch: TokenBatch, mask_BS: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """As ``base_states``, of a batch of any tokens; VISIBLE beyond the end of a shorter row.

    A base of tokens that share none is hidden with its token.
    """
    tokens = batch.ranks.tokens
    if tokens.overlapping:
        return base_states(mask_BS, batch.maskable_BS, batch.k, tokens.tokenizer.stride)
    rows = []
    for ids_S, mask_S in zip(batch.ids_BS, mask_BS, strict=True):
        body_T = tokens.body(ids_S)
        rows.append(np.repeat(np.where(mask_S[body_T], HIDDEN, VISIBLE), tokens.lengths[ids_S[body_T]]))
    states_BL = np.full((len(rows), max(map(len, rows))), VISIBLE, np.uint8)
    for states_L, row_L in zip(states_BL, rows, strict=True):
        states_L[: len(row_L)] = row_L
    return states_BL


def strategy_stats(
    sequences: str | Path | Sequence[str | NamedCodes],
    table: PMITable | Path | None = None,
    strategies: Sequence[str] | None = None,
    *,
    k: int | None = None,
    tokenizer: str | Path | None = None,
    rate: float | None = None,
    target_rate: float | None = None,
    seed: int = 0,
    count: int = 400,
) -> list[MaskStats]:
    """Measure each strategy on windows of up to 510 bp; what looks at ranks, by token and by position.

    Args:
        sequences: A sequence or several (strings, or ``(name, uint8[L] codes)``), or the path of a genome store or
            FASTA file.
        table: PMI table that ranks the k-mers, or its path.
        strategies: Names of strategies, with options of theirs after a ``+`` (`random_span+wider=4`); None for all of
            ours, without a table those that need none, with a rate those that have none of their own.
        k: Length of the tokens (bp): k-mers, 3 to 6, or 1 for single bases, whose k-mers are those of the table; None
            for 6.
        tokenizer: Other tokens: the name of a tokenizer, or a BPE ``tokenizer.json``.
        rate: Nominal rate, as in the papers; None for 0.15.
        target_rate: Share of tokens to mask in fact, instead of ``rate``; solved for on windows of ``sequences``.
        seed: Decides the windows and the masks.
        count: Windows to mask, at most.

    Raises:
        CmgemsError: if a name is unknown, an option is out of range, or a table is missing or of another k.
        DataError: if there is no window.
    """
    source = sequences if isinstance(sequences, Path) else named_codes(sequences)
    tokens = chosen_tokenizer(k, tokenizer)
    trial = Trial(source, table, strategies, tokenizer=tokens, rate=rate, target_rate=target_rate, seed=seed)
    windows = trial.windows(count)
    rows = []
    for name, strategy in trial.strategies.items():
        ranks = needs_ranks(base_name(name))
        for rank_by in get_args(RankBy) if ranks and overlapping(tokens) else ("token",):
            rows.append(
                mask_stats(trial.batch(windows, name, rank_by), name, strategy, rank_by if ranks else None)
            )
    return rows


def mask_stats(batch: TokenBatch, name: str, strategy: Strategy, rank_by: RankBy | None = None) -> MaskStats:
    """Mask a batch with a strategy and measure what it hid.

    Args:
        batch: Its ``ranks_BS`` are looked up as ``rank_by`` says.
        name: Of the strategy.
        strategy: Chooses the tokens.
        rank_by: What to report; None if the strategy does not look at ranks.
    """
    mask_BS = strategy.select(batch)
    masked = int(np.count_nonzero(mask_BS))
    every_BS = batch.maskable_BS
    hidden = np.count_nonzero(states_of(batch, mask_BS) == HIDDEN)
    known = np.count_nonzero(states_of(batch, every_BS) == HIDDEN)
    mean_rank, histogram = None, None
    if batch.worst_rank and masked:
        ranks_M = batch.ranks.look_up(batch.ids_BS)[mask_BS]
        mean_rank = float(ranks_M.mean())
        counts = np.bincount(batch.ranks.tenths(ranks_M), minlength=TENTHS)
        histogram = tuple((counts / masked).tolist())
    return MaskStats(
        strategy=name,
        rank_by=rank_by,
        sequences=len(mask_BS),
        token_share=masked / max(1, int(np.count_nonzero(every_BS))),
        hidden_share=hidden / max(1, int(known)),
        positions=int(np.count_nonzero(every_BS.any(0))),
        positions_covered=int(np.count_nonzero(mask_BS.any(0))),
        mean_rank=mean_rank,
        histogram=histogram,
    )

"""Trying strategies on a few sequences, outside a run: what the preview and the statistics share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmgems.config import Component, component, load_config
from cmgems.config.recipe_settings import Values, nested
from cmgems.errors import CmgemsError
from cmgems.genome.alphabet import Codes
from cmgems.genome.pieces import NamedCodes, random_windows
from cmgems.masking.batch import STRATEGIES, Strategy, TokenBatch
from cmgems.masking.calibration import Calibration
from cmgems.masking.masker import MaskingConfig
from cmgems.masking.ranks import RankBy, Ranks, check_rank_by
from cmgems.masking.strategies import (
    check_side_by_side,
    has_own_rate,
    is_side_by_side,
    needs_ranks,
    needs_table,
    own_rate_error,
)
from cmgems.pmi import PMITable
from cmgems.tokenization import (
    TOKENIZERS,
    BaseTokenizer,
    BpeTokenizer,
    KmerTokenizer,
    Tokenizer,
    overlapping,
)

EASY_TO_HARD = ("uniform", "random_span", "uniform_rate", "pmi_spans", "genemask", "annealed", "global_pmi")
WINDOW_BP = 510
CALIBRATION_WINDOWS = 400


class Trial:
    """Strategies, and what they need to mask any sequences.

    Args:
        source: Folder of a genome store, FASTA file, or sequences: where windows come from.
        table: Ranks the k-mers; a table, its path, or None.
        strategies: Each as for ``strategy_of``; None for all of ours, without a table those that need none, with a
            rate those that have none of their own.
        tokenizer: Of the tokens to mask (``chosen_tokenizer``).
        rate: Nominal rate, as in the papers; None for 0.15.
        target_rate: Share of tokens to mask in fact, instead of ``rate``; solved for on windows of ``source``.
        seed: Of the masks.

    Raises:
        CmgemsError: if a name is unknown, an option is out of range, or a table is missing or of another k.
    """

    def __init__(
        self,
        source: Path | Sequence[NamedCodes],
        table: PMITable | Path | None,
        strategies: Sequence[str] | None,
        *,
        tokenizer: Tokenizer,
        rate: float | None,
        target_rate: float | None,
        seed: int,
    ) -> None:
        if rate is not None and target_rate is not None:
            raise CmgemsError("`rate` and `target_rate` are both set", fix="give one of them")
        config = MaskingConfig(target_rate=target_rate) if rate is None else MaskingConfig(rate=rate)
        self.seed, self._rate, self._target_rate = seed, config.rate, target_rate
        self.tokenizer = tokenizer
        self.ranked = table is not None
        given = "rate" if rate is not None else "target_rate" if target_rate is not None else ""
        usable = [
            name
            for name in EASY_TO_HARD
            if (self.ranked or not needs_ranks(name))
            and not (overlapping(tokenizer) and is_side_by_side(name))
        ]
        names = strategies or [name for name in usable if not (given and has_own_rate(name))]
        self.strategies = {name: strategy_of(name) for name in names}
        for name in self.strategies:
            check_side_by_side(base_name(name), self.tokenizer, "strategies (--strategy)")
            if given and has_own_rate(base_name(name)):
                raise own_rate_error(name, given)
            if needs_ranks(base_name(name)) and not self.ranked:
                raise needs_table(name, "table (--table)", "give it")
        loaded = PMITable.load(table) if isinstance(table, Path) else table
        self.ranks = Ranks.of(loaded, self.tokenizer)
        self._source = source
        self._calibrations: dict[RankBy, Calibration] = {}

    def windows(self, count: int) -> list[Codes]:
        """``count`` windows of the source of up to 510 bp without N, or all it has; uint8[L] codes each."""
        least = self.ranks.tokens.least_bases
        return random_windows(self._source, count, min_bp=least, max_bp=WINDOW_BP, seed=self.seed)

    def batch(self, sequences: Sequence[Codes], name: str, rank_by: RankBy) -> TokenBatch:
        """The unmasked tokens of sequences (uint8[L] codes each) at the nominal rate of the strategy ``name``."""
        check_rank_by(rank_by, self.tokenizer, "rank_by")
        return TokenBatch(
            self._ids(sequences),
            np.arange(len(sequences), dtype=np.uint64),
            self.ranks,
            rate=self._nominal_rate(name, rank_by),
            seed=self.seed,
            rank_by=rank_by,
        )

    def _ids(self, sequences: Sequence[Codes]) -> npt.NDArray[np.int32]:
        lengths_B = np.array([len(codes) for codes in sequences], np.int32)
        codes_BL = np.full((len(sequences), lengths_B.max()), 255, np.uint8)
        for row, codes in zip(codes_BL, sequences, strict=True):
            row[: len(codes)] = codes
        tokens = self.tokenizer.token_count(int(lengths_B.max()))
        return self.tokenizer.encode_batch(codes_BL, lengths_B, tokens)

    def _nominal_rate(self, name: str, rank_by: RankBy) -> float:
        if self._target_rate is None:
            return self._rate
        target = self._target_rate
        if rank_by not in self._calibrations:
            ids = [self._ids(self.windows(CALIBRATION_WINDOWS))]
            self._calibrations[rank_by] = Calibration(ids, self.ranks, (target, target), self.seed, rank_by)
        return self._calibrations[rank_by].rate(name, self.strategies[name], target)


@dataclass(frozen=True)
class _Chosen:
    strategy: Component = component(STRATEGIES, "random_span")


def chosen_tokenizer(k: int | None, tokenizer: str | Path | None) -> Tokenizer:
    """The tokenizer that a user asks for.

    Args:
        k: Length of k-mers (bp), 3 to 6, or 1 for single bases; None for 6.
        tokenizer: In its place the name of a registered one, or the path of a BPE ``tokenizer.json``.

    Raises:
        CmgemsError: if both are given, k is out of range, or there is no such tokenizer or file.
    """
    if tokenizer is None:
        return BaseTokenizer() if k == 1 else KmerTokenizer(6 if k is None else k)
    if k is not None:
        raise CmgemsError("`k` and `tokenizer` are both set", fix="give one of them")
    named = str(tokenizer)
    is_file = "/" in named or named.endswith(".json")
    return BpeTokenizer(Path(named)) if is_file else TOKENIZERS.get(named, "tokenizer (--tokenizer)")


def base_name(text: str) -> str:
    """The name alone of what ``strategy_of`` takes."""
    return text.partition("+")[0]


def strategy_of(text: str) -> Strategy:
    """The strategy ``NAME``, or ``NAME+option=value+…`` with options of its own: `random_span+wider=4`.

    Raises:
        CmgemsError: if there is no such strategy or option, or the strategy refuses a value.
    """
    name, *options = text.split("+")
    prototype = STRATEGIES.get(name)
    if not options:
        return prototype
    layers: list[Values] = [{"strategy": name}]
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            fix = f"write {name}+option=value"
            raise CmgemsError(f"option without a value: {option!r}", where=f"strategy {text}", fix=fix)
        layers.append(nested(f"strategy.{key}", value))
    return load_config(_Chosen, None, values=layers).strategy.build(STRATEGIES)

"""Masking strategies: which positions of a batch are to be guessed.

Sources: DNABERT (Ji et al., Bioinformatics 2021) for `random_span`; GeneMask (Roy et al., ECAI 2023) for
`genemask`; CM-GEMS (Roy et al., ECAI 2024, doi 10.3233/FAIA240864) for `global_pmi`; D3LM (arXiv 2603.01780) for
`uniform_rate`; PMI-Masking (Levine et al., ICLR 2021, arXiv 2010.01825) and DNAZEN (arXiv 2505.02206) for `pmi_spans`.
docs/method.md says where the released code departs from the papers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cmgems.errors import CmgemsError
from cmgems.masking import kernels
from cmgems.masking.batch import STRATEGIES, TokenBatch
from cmgems.masking.ranks import TENTHS
from cmgems.tokenization import Tokenizer, overlapping

# With fewer than this many better centres GeneMask widens all of them.
GENEMASK_FEW = 5


def _centre_probability(batch: TokenBatch, width: float) -> float:
    return min(batch.rate / width, 1.0)


def needs_table(name: str, where: str, how: str) -> CmgemsError:
    """The error for a ranking strategy without a PMI table; ``how`` says how to give one."""
    return CmgemsError(
        f"masking strategy {name!r} needs a PMI table",
        where=where,
        why="it is not set",
        fix=f"make one with `cmgems pmi build STORE -o pmi.safetensors` and {how}",
    )


@STRATEGIES.register("uniform")
@dataclass(frozen=True)
class Uniform:
    """Single tokens at random: plain BERT masking. Overlapping neighbours of a k-mer still show its bases."""

    needs_ranks: ClassVar[bool] = False

    def select(self, batch: TokenBatch) -> np.ndarray:
        mask_BS: np.ndarray = kernels.random_span(
            batch.maskable_BS, np.uint64(batch.seed), batch.samples_B, _centre_probability(batch, 1), 0, 0
        )
        return mask_BS


@STRATEGIES.register("random_span")
@dataclass(frozen=True)
class RandomSpan:
    """DNABERT: each centre hides k neighbouring k-mers, so that one base is hidden completely; else single tokens.

    Of single bases it hides as many neighbours, which are a k-mer.

    Attributes:
        wider: Tokens that a span has beyond that, half of them on either side, of an odd number one more on the right.
    """

    needs_ranks: ClassVar[bool] = False

    wider: int = 0

    def __post_init__(self) -> None:
        if self.wider < 0:
            raise CmgemsError(f"`wider` must be 0 or more, but is {self.wider}")

    def select(self, batch: TokenBatch) -> np.ndarray:
        low, high = batch.span
        low, high = low - self.wider // 2, high + (self.wider + 1) // 2
        probability = _centre_probability(batch, high - low + 1)
        mask_BS: np.ndarray = kernels.random_span(
            batch.maskable_BS, np.uint64(batch.seed), batch.samples_B, probability, low, high
        )
        return mask_BS


@STRATEGIES.register("uniform_rate")
@dataclass(frozen=True)
class UniformRate:
    """Masked diffusion (D3LM): single tokens at random, at a rate drawn for each sequence; at least one token of each.

    The loss is the mean over the masked tokens of a step as ever. Masked diffusion as a model of sequences would divide
    that of each sequence by its rate.

    Attributes:
        lowest: The least rate drawn.
        highest: The greatest. From 0 to 0.3 masks as many tokens as a rate of 0.15.
    """

    needs_ranks: ClassVar[bool] = False
    own_rate: ClassVar[bool] = True

    lowest: float = 0.0
    highest: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.lowest <= self.highest <= 1:
            raise CmgemsError(
                "`lowest` and `highest` must be from 0 to 1, in this order, "
                f"but are {self.lowest} and {self.highest}"
            )

    def select(self, batch: TokenBatch) -> np.ndarray:
        mask_BS: np.ndarray = kernels.uniform_rate(
            batch.maskable_BS, np.uint64(batch.seed), batch.samples_B, self.lowest, self.highest
        )
        return mask_BS


@STRATEGIES.register("genemask")
@dataclass(frozen=True)
class GeneMask:
    """GeneMask: random spans; the best-ranked half also hides every token that shares a base with its best k-mer."""

    def select(self, batch: TokenBatch) -> np.ndarray:
        low, high = batch.span
        first, last = batch.wide_span
        # As wide as a span and what its best k-mer adds, wherever in the span that is.
        widened = [max(high, best + last) - min(low, best + first) + 1 for best in range(low, high + 1)]
        width = (high - low + 1 + sum(widened) / len(widened)) / 2
        mask_BS: np.ndarray = kernels.genemask(
            batch.maskable_BS,
            batch.ranks_BS,
            np.uint64(batch.seed),
            batch.samples_B,
            _centre_probability(batch, width),
            low,
            high,
            first,
            last,
            GENEMASK_FEW,
        )
        return mask_BS


@STRATEGIES.register("loss_weighted")
@dataclass(frozen=True)
class LossWeighted:
    """`random_span` with centres in proportion to the weights of the tenths of the ranking that they fall into.

    Attributes:
        weights: Of each tenth, most tightly bound first; 0 or more and finite. Only their ratios matter, and equal ones
            are `random_span`.
    """

    weights: tuple[float, ...] = (1.0,) * TENTHS

    def __post_init__(self) -> None:
        if len(self.weights) != TENTHS or not all(0 <= weight < math.inf for weight in self.weights):
            raise CmgemsError(
                f"`weights` must be {TENTHS} numbers, 0 or more and finite, but are {list(self.weights)}"
            )

    def select(self, batch: TokenBatch) -> np.ndarray:
        low, high = batch.span
        mask_BS: np.ndarray = kernels.weighted_span(
            batch.maskable_BS,
            batch.ranks_BS,
            np.uint64(batch.seed),
            batch.samples_B,
            _centre_probability(batch, high - low + 1),
            low,
            high,
            np.array(self.weights),
            batch.worst_rank,
        )
        return mask_BS


@STRATEGIES.register("pmi_spans")
@dataclass(frozen=True)
class PMISpans:
    """Whole spans of neighbouring tokens that NPMI binds: PMI-Masking, for tokens that share no base.

    Two neighbours belong together if the k-mer across their border is one of the most tightly bound. Each span is
    hidden with the probability of the rate, so their lengths do not change the share of masked tokens.

    Attributes:
        tightest: Share of all k-mers, most tightly bound first, that bind the tokens they lie across; 0 is `uniform`.
        longest: Tokens of a span, at most; a longer one is cut.
    """

    side_by_side: ClassVar[bool] = True

    tightest: float = 0.25
    longest: int = 6

    def __post_init__(self) -> None:
        if not 0 <= self.tightest <= 1:
            raise CmgemsError(f"`tightest` must be from 0 to 1, but is {self.tightest}")
        if self.longest < 1:
            raise CmgemsError(f"`longest` must be 1 or more, but is {self.longest}")

    def select(self, batch: TokenBatch) -> np.ndarray:
        mask_BS: np.ndarray = kernels.bound_spans(
            batch.ids_BS,
            batch.maskable_BS,
            batch.ranks.codes,
            batch.ranks.tokens.lengths,
            batch.ranks.of_kmers,
            batch.ranks.k,
            np.uint64(batch.seed),
            batch.samples_B,
            _centre_probability(batch, 1),
            round(self.tightest * 4**batch.ranks.k),
            self.longest,
        )
        return mask_BS


@STRATEGIES.register("global_pmi")
@dataclass(frozen=True)
class GlobalPMI:
    """CM-GEMS' hard phase: the best-ranked k-mers of the whole sequence, each with every token that shares a base."""

    def select(self, batch: TokenBatch) -> np.ndarray:
        return _top_ranked(batch, temperature=0.0)


@STRATEGIES.register("annealed")
@dataclass(frozen=True)
class Annealed:
    """Centres drawn in proportion to exp(-rank / temperature): from uniform (hot) to `global_pmi` (cold).

    Attributes:
        temperature: In ranks, >= 0 and finite; 0 takes the best-ranked positions.
    """

    temperature: float = 1000.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise CmgemsError(f"`temperature` must be 0 or more and finite, but is {self.temperature}")

    def select(self, batch: TokenBatch) -> np.ndarray:
        return _top_ranked(batch, self.temperature)


def _top_ranked(batch: TokenBatch, temperature: float) -> np.ndarray:
    first, last = batch.wide_span
    mask_BS: np.ndarray = kernels.top_ranked(
        batch.maskable_BS,
        batch.ranks_BS,
        np.uint64(batch.seed),
        batch.samples_B,
        _centre_probability(batch, last - first + 1),
        first,
        last,
        temperature,
    )
    return mask_BS


def needs_ranks(name: str) -> bool:
    """Whether the strategy called ``name`` reads NPMI ranks, so that a run needs a PMI table."""
    return bool(getattr(STRATEGIES.get(name), "needs_ranks", True))


def has_own_rate(name: str) -> bool:
    """Whether the strategy called ``name`` masks at a rate of its own, so that a run's rate says nothing about it."""
    return bool(getattr(STRATEGIES.get(name), "own_rate", False))


def is_side_by_side(name: str) -> bool:
    """Whether the strategy called ``name`` is for tokens that share no base."""
    return bool(getattr(STRATEGIES.get(name), "side_by_side", False))


def check_side_by_side(name: str, tokenizer: Tokenizer, where: str) -> None:
    """Raise a CmgemsError if tokens that share bases are to be masked by a strategy for others.

    ``where`` names the option that chose it.
    """
    if is_side_by_side(name) and overlapping(tokenizer):
        raise CmgemsError(
            f"masking strategy {name!r} is for tokens that share no base",
            where=where,
            why="overlapping k-mers do",
            fix="take tokenizer=bpe, base or nt_v2, or another strategy",
        )


def own_rate_error(name: str, option: str) -> CmgemsError:
    """The error for an option that sets the rate of a strategy with one of its own."""
    return CmgemsError(
        f"`{option}` says nothing about masking strategy {name!r}",
        why="it masks at a rate of its own",
        fix=f"leave out {option}, or choose another strategy",
    )

"""From a genome store to masked batches: what the pretrain recipe trains and validates on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from cmgems.config import Component, component, free, input_path
from cmgems.errors import CmgemsError, DataError
from cmgems.genome import SAMPLERS, GenomeStore, Split, gather, split_runs, store_content, turn_rows
from cmgems.masking import (
    STRATEGIES,
    MaskedBatch,
    Masker,
    has_own_rate,
    mask_batch,
    micro_batches,
    needs_ranks,
)
from cmgems.masking.calibration import SAMPLE_TOKENS
from cmgems.masking.random import turned_rows
from cmgems.masking.ranks import Ranks
from cmgems.pretraining.nodes import IdBatch, MaskNode, WindowBatch, WindowNode, masked_stream
from cmgems.pretraining.soft_mask import SoftMask
from cmgems.pretraining.species import SpeciesWeights, check_species
from cmgems.tokenization import Tokenizer, overlapping

# Sequences tokenized together where a sample of the genome is wanted, and that go through a model in a validation.
ROWS = 16


@dataclass(frozen=True)
class GenomeData:
    """What to pretrain on.

    Attributes:
        store: Genome store (`cmgems genome build`).
        sampler: How windows are cut from it.
        split: What is held out for validation.
        prefixes: What the names of each species' contigs begin with, in a store of several genomes.
        weights: How often the training windows of each are read in an epoch: 1 for once, 0.2 for a fifth of them.
        reverse_complement: Probability with which a training window is read on the other strand, drawn for each. The
            windows of validation never are.
        pad_multiple: Rows of different lengths are padded to a multiple of this many tokens. With 64 torch.compile sees
            at most 8 widths; in eager mode a smaller one wastes less.
        prefetch: Batches prepared ahead by a thread.
        workers: Threads that tokenize; 0 leaves it to the thread that prefetches, which is enough up to tens of
            millions of tokens a second.
    """

    store: Path = input_path(store_content)
    sampler: Component = component(SAMPLERS, "tiled")
    split: Split = field(default_factory=Split)
    prefixes: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    reverse_complement: float = 0.0
    pad_multiple: int = 64
    prefetch: int = free(4)
    workers: int = free(0)

    def __post_init__(self) -> None:
        check_species(self.prefixes, self.weights)
        if not 0 <= self.reverse_complement <= 1:
            raise CmgemsError(f"`reverse_complement` must be from 0 to 1, but is {self.reverse_complement}")
        if self.pad_multiple < 1:
            raise CmgemsError(f"`pad_multiple` must be 1 or more, but is {self.pad_multiple}")
        for name in ("prefetch", "workers"):
            if getattr(self, name) < 0:
                raise CmgemsError(f"`{name}` must be 0 or more, but is {getattr(self, name)}")


@dataclass(frozen=True)
class FixedValidation:
    """Validation under one mask that never changes, so that perplexities of a run can be compared.

    Attributes:
        every: Optimizer steps between validations.
        sequences: Held-out windows used, at most.
        masking: Strategy of the fixed mask.
        rate: Its nominal share of masked tokens.
    """

    every: int = 500
    sequences: int = 1000
    masking: str = "random_span"
    rate: float = 0.15

    def __post_init__(self) -> None:
        if needs_ranks(self.masking):
            raise CmgemsError(
                f"`masking` must not depend on a PMI table, but is {self.masking!r}",
                fix="use random_span or uniform",
            )
        if has_own_rate(self.masking):
            raise CmgemsError(
                f"`masking` must mask at the rate of this section, but {self.masking!r} has one of its own",
                fix="use random_span or uniform",
            )
        if self.every < 1 or self.sequences < 1:
            raise CmgemsError("`every` and `sequences` must be 1 or more")
        if not 0 < self.rate < 1:
            raise CmgemsError(f"`rate` must be between 0 and 1, but is {self.rate}")


class PretrainingData:
    """A store seen as batches of token ids.

    Args:
        config: The run's data section.
        tokenizer: Makes the ids.
        max_positions: Longest row the model takes, in tokens.
        seed: Decides the split's and the windows' order.

    Raises:
        CmgemsError: if windows are longer than the model's positions, or shorter than a k-mer.
        DataError: if a split has too few windows.
    """

    def __init__(self, config: GenomeData, tokenizer: Tokenizer, max_positions: int, seed: int) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.seed = seed
        self.max_positions = max_positions
        self.sampler = config.sampler.build(SAMPLERS)
        if self.full_tokens > max_positions:
            raise CmgemsError(
                f"windows of {self.sampler.max_bp} bp make up to {self.full_tokens} tokens",
                where="data.sampler.max_bp",
                why=f"the model has {max_positions} positions",
                fix=f"set data.sampler.max_bp={tokenizer.bases_for(max_positions)} or less",
            )
        if self.sampler.max_bp < tokenizer.k:
            raise CmgemsError(
                f"windows of {self.sampler.max_bp} bp hold no token",
                where="data.sampler.max_bp",
                why=f"the tokenizer makes {tokenizer.k}-mers",
                fix=f"set data.sampler.max_bp={tokenizer.k} or more",
            )
        self.store = GenomeStore.open(config.store)
        self.train_runs, self.validation_runs = split_runs(self.store, config.split)
        self._species = (
            SpeciesWeights(self.store, config.prefixes, config.weights) if config.prefixes else None
        )

    def padded_tokens(self, bases: int) -> int:
        """Row width, at most, for a longest window of ``bases`` bp."""
        tokens = self.tokenizer.token_count(bases)
        multiple = self.config.pad_multiple
        return min(-(-tokens // multiple) * multiple, self.max_positions)

    @property
    def held_out(self) -> str:
        """How much of the genome is held out for validation."""
        held, rest = (int(np.diff(runs).sum()) for runs in (self.validation_runs, self.train_runs))
        return f"{held / 1e6:.3g} of {(held + rest) / 1e6:.3g} Mbp held out"

    @property
    def full_tokens(self) -> int:
        """Tokens of the longest windows."""
        return self.tokenizer.token_count(self.sampler.max_bp)

    def epoch_windows(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Training windows of an epoch, in order.

        Raises:
            DataError: if there is none.
        """
        windows = self._windows(self.train_runs, epoch, "training")
        if self._species is None:
            return windows
        read = self._species.read(*windows, self.seed, epoch)
        if not len(read[0]):
            raise DataError("no training window is read", where="data.weights", fix="raise them")
        return read

    def _windows(self, runs: np.ndarray, epoch: int, part: str) -> tuple[np.ndarray, np.ndarray]:
        starts_N, lengths_N = self.sampler.windows(self.store, runs, self.seed, epoch)
        # A window shorter than k has nothing to mask, or single bases alone.
        usable = lengths_N >= self.tokenizer.k
        if not usable.any():
            raise DataError(
                f"no {part} window", where=self.config.store, fix="use a larger genome or other windows"
            )
        return starts_N[usable], lengths_N[usable]

    def tokenize(self, batch: WindowBatch) -> IdBatch:
        """Gather and tokenize a batch of windows."""
        codes_BL = np.empty((len(batch.starts_B), int(batch.lengths_B.max())), np.uint8)
        gather(self.store.codes, batch.starts_B, batch.lengths_B, codes_BL)
        if batch.turned_B is not None:
            turn_rows(codes_BL, batch.lengths_B, batch.turned_B)
        ids_BS = self.tokenizer.encode_batch(codes_BL, batch.lengths_B, batch.tokens)
        if not overlapping(self.tokenizer):
            ids_BS = self._without_empty_columns(ids_BS)
        return IdBatch(ids_BS, batch.samples_B)

    def training_ids(self, batch: WindowBatch, soft_mask: SoftMask | None = None) -> IdBatch:
        """``tokenize``, with some of the rows read on the other strand, and with the soft-masked tokens if asked for.

        A pure function of the seed and the arguments.
        """
        turned_B = turned_rows(self.seed, batch.samples_B, self.config.reverse_complement)
        batch = replace(batch, turned_B=turned_B)
        ids = self.tokenize(batch)
        return ids if soft_mask is None else replace(ids, soft_BS=soft_mask.tokens(batch, ids.ids_BS))

    def soft_mask(self, masker: Masker) -> SoftMask | None:
        """What tells soft-masked tokens; None if they are masked like any other.

        Raises:
            CmgemsError: if the genome store does not keep them.
        """
        return SoftMask(self.store, self.tokenizer) if masker.config.soft_mask < 1 else None

    def _without_empty_columns(self, ids_BS: np.ndarray) -> np.ndarray:
        """Rows of the least padded width: tokens that do not overlap may need far fewer positions than allowed for."""
        width, multiple = ids_BS.shape[1], self.config.pad_multiple
        while width > multiple:
            last = (width - 1) // multiple * multiple  # where the last block of columns starts
            if (ids_BS[:, last:width] != self.tokenizer.pad_id).any():
                break
            width = last
        return np.ascontiguousarray(ids_BS[:, :width])

    def sample_ids(self, tokens: int) -> Iterator[np.ndarray]:
        """Unmasked training batches, int32 (B, S), with at least ``tokens`` maskable tokens; always the same."""
        return (batch.ids_BS for batch in self.sample(tokens))

    def sample(self, tokens: int, soft_mask: SoftMask | None = None) -> Iterator[IdBatch]:
        """The same, as ``training_ids`` makes them."""
        epoch = found = 0
        while found < tokens:
            starts_N, lengths_N = self.epoch_windows(epoch)
            for first in range(0, len(starts_N), ROWS):
                if found >= tokens:
                    return
                starts_B, lengths_B = starts_N[first : first + ROWS], lengths_N[first : first + ROWS]
                samples_B = np.arange(first, first + len(starts_B), dtype=np.uint64)
                width = self.padded_tokens(int(lengths_B.max()))
                batch = self.training_ids(WindowBatch(starts_B, lengths_B, samples_B, width), soft_mask)
                found += max(1, int(np.count_nonzero(np.isin(batch.ids_BS, self.tokenizer.known_ids))))
                yield batch
            epoch += 1

    def stream(self, masker: Masker, sequences: int, rank: int = 0, world: int = 1) -> MaskNode:
        """Endless masked training batches, each of the ``sequences`` of a step; this rank's rows of them.

        Raises:
            CmgemsError: if the masker's target rate cannot be reached, the store does not keep the soft-masked bases
                that it asks for, or there are more processes than rows.
        """
        if world > sequences:
            raise CmgemsError(
                f"{world} processes share steps of {sequences} sequences",
                where="sequences",
                fix=f"set sequences={world} or more, or start fewer processes",
            )
        tokenize = partial(self.training_ids, soft_mask=self.soft_mask(masker))
        if masker.config.target_rate is not None:
            masker.calibrate(self.sample_ids(SAMPLE_TOKENS))
        windows = WindowNode(self.epoch_windows, sequences, self.padded_tokens, rank, world)
        return masked_stream(windows, tokenize, masker, self.config.prefetch, self.config.workers)

    def validation_batches(self, config: FixedValidation) -> list[MaskedBatch]:
        """Held-out batches under the fixed mask, the same at every validation of every run with this seed.

        Raises:
            DataError: if nothing is masked.
        """
        starts_N, lengths_N = self._windows(self.validation_runs, 0, "validation")
        order = np.argsort(lengths_N[: config.sequences], kind="stable")
        named = config.masking, STRATEGIES.get(config.masking)
        no_ranks = Ranks.of(None, self.tokenizer)
        batches = []
        for first in range(0, len(order), ROWS):
            rows = order[first : first + ROWS]
            width = self.padded_tokens(int(lengths_N[rows].max()))
            samples_B = rows.astype(np.uint64)
            ids = self.tokenize(WindowBatch(starts_N[rows], lengths_N[rows], samples_B, width))
            batch = mask_batch(ids.ids_BS, samples_B, no_ranks, named, rate=config.rate, seed=self.seed)
            if len(batch.positions_M):
                batches += micro_batches(batch, 1, self.full_tokens, self.config.pad_multiple)
        if not batches:
            raise DataError(
                "no token of the validation windows is masked",
                where=self.config.store,
                why=f"{config.masking} masks none of {len(order)} windows",
                fix="hold out more, or raise validation.sequences or validation.rate",
            )
        return batches

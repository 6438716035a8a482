"""A trained model as one object: predictions, vectors, base probabilities, variants, attention and importance.

Every method takes sequences of any length; those longer than the model are read in overlapping windows. Methods that
start with ``iter`` compute as they are read, so that results may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from cmgems.errors import CheckpointError, CmgemsError
from cmgems.genome import GenomeStore
from cmgems.inference.attention import AttentionMaps, AttentionReader
from cmgems.inference.cutter import Cutter
from cmgems.inference.embed import Embedder, Pool, Vectors
from cmgems.inference.engine import Advance, Engine, ignore
from cmgems.inference.explain import ExplainedSequence, answers, check_answer, explain, importance
from cmgems.inference.predictions import Prediction, predictions
from cmgems.inference.pseudo_likelihood import Score, score_sequences
from cmgems.inference.sequences import (
    Contigs,
    NamedSequence,
    Sequences,
    check_sequences,
    named_sequences,
    open_store,
)
from cmgems.inference.spread import Values
from cmgems.inference.variants import Allele, check_variants, score_alleles
from cmgems.inference.vcf import Variant, read_vcf
from cmgems.models import SavedModel
from cmgems.models.base import UNLABELLED
from cmgems.progress import progress as show_progress
from cmgems.tokenization import TokenMap
from cmgems.training import ComputeConfig, start_compute

Device = Literal["auto", "cpu", "cuda"]
Store: TypeAlias = str | Path | GenomeStore
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Model(Engine):
    """A trained model, ready to use; ``cmgems.load`` reads one.

    ``sequences`` is everywhere a string of bases, several, a file (FASTA, CSV with a column ``sequence``, or BED with
    ``store``), or named sequences; answers come in their order. ``progress`` shows progress on stderr. Layers and heads
    count from 1; layers also from the end, -1.

    Every method raises a CmgemsError for a sequence that cannot be read or is too short for a token, and for a model
    that has no such answer.
    """

    @classmethod
    def of(
        cls, saved: SavedModel, *, device: Device = "auto", batch_size: int = 64, overlap: int | None = None
    ) -> Model:
        """A saved model on a device, in fp32 for the same answer on every machine.

        Args:
            saved: The model; its weights are moved to the device.
            device: "auto" takes the GPU if there is one.
            batch_size: Rows in a forward pass.
            overlap: What neighbouring windows of a long sequence share at least (bp); None for half a window.

        Raises:
            CmgemsError: if there is no such device, or an option is out of range.
        """
        if batch_size < 1:
            raise CmgemsError(f"`batch_size` must be 1 or more, but is {batch_size}")
        # Started, not only resolved: without freed memory kept, a CPU is a fifth slower.
        with torch.random.fork_rng(devices=[]):  # leave the caller's random numbers alone
            compute = start_compute(ComputeConfig(device=device, precision="fp32"), seed=0)
        cutter = Cutter(TokenMap(saved.tokenizer), saved.config.max_positions, overlap)
        network = saved.model.to(compute.device)
        return cls(network, cutter, compute, batch_size, saved.head, tuple(saved.labels), str(saved.folder))

    def read(self, sequences: Sequences, *, store: Store | None = None) -> list[NamedSequence]:
        """The sequences, checked for this model."""
        named = named_sequences(sequences, None if store is None else open_store(store))
        check_sequences(named, self.cutter.tokens.least_bases)
        return named

    def predict(
        self, sequences: Sequences, *, store: Store | None = None, progress: bool = False
    ) -> list[Prediction]:
        """The class, labels or quantities of each sequence, or the class of each of its bases."""
        return list(self.iter_predict(sequences, store=store, progress=progress))

    def iter_predict(
        self, sequences: Sequences, *, store: Store | None = None, progress: bool = False
    ) -> Iterator[Prediction]:
        """As ``predict``, one by one."""
        self.check_fine_tuned()
        named = self.read(sequences, store=store)
        return _shown("predicting", named, progress, lambda advance: predictions(self, named, advance))

    def embed(
        self,
        sequences: Sequences,
        *,
        layer: int = -1,
        pool: Literal["mean", "cls"] = "mean",
        store: Store | None = None,
        progress: bool = False,
    ) -> npt.NDArray[np.float32]:
        """One vector for each sequence: float32 (N, D).

        Args:
            sequences: N of them.
            layer: 0 is the embeddings, before the first layer.
            pool: ``mean`` over the tokens that stand for known bases; or ``cls``, the first position.
            store: Genome store of a BED file.
            progress: Show it.
        """
        if pool not in ("mean", "cls"):
            raise CmgemsError(
                f"`pool` must be mean or cls, but is {pool!r}", fix="vectors of tokens are from embed_tokens"
            )
        parts = self.iter_embed(sequences, layer=layer, pool=pool, store=store, progress=progress)
        return np.concatenate([part.vectors for part in parts])

    def embed_tokens(
        self, sequences: Sequences, *, layer: int = -1, store: Store | None = None, progress: bool = False
    ) -> Vectors:
        """One vector for each token that stands for bases, float32 (R, D), with its sequence, bases and place."""
        parts = list(self.iter_embed(sequences, layer=layer, pool="none", store=store, progress=progress))
        columns = {key: [cell for part in parts for cell in part.columns[key]] for key in parts[0].columns}
        vectors = np.concatenate([part.vectors for part in parts])
        return Vectors(columns, vectors, sum(part.sequences for part in parts))

    def iter_embed(
        self,
        sequences: Sequences,
        *,
        layer: int = -1,
        pool: Pool = "mean",
        store: Store | None = None,
        progress: bool = False,
    ) -> Iterator[Vectors]:
        """As ``embed``, or for ``none`` as ``embed_tokens``, some sequences at a time."""
        embedder = Embedder(self, layer, pool)
        embedder.check()
        named = self.read(sequences, store=store)
        return _shown("embedding", named, progress, lambda advance: embedder.embed(named, advance))

    def score(
        self, sequences: Sequences, *, store: Store | None = None, progress: bool = False
    ) -> list[Score]:
        """The probability of every base given all others, from a masked language model; a forward pass a base."""
        return list(self.iter_score(sequences, store=store, progress=progress))

    def iter_score(
        self, sequences: Sequences, *, store: Store | None = None, progress: bool = False
    ) -> Iterator[Score]:
        """As ``score``, one by one."""
        self._check_masked_lm()
        named = self.read(sequences, store=store)
        return _shown("scoring", named, progress, lambda advance: score_sequences(self, named, advance))

    def variants(
        self,
        variants: str | Path | Sequence[Variant],
        store: Store,
        *,
        both_strands: bool = False,
        progress: bool = False,
    ) -> list[Allele]:
        """Each alternative allele with log p(alternative) - log p(reference) (nats), from a masked language model.

        Args:
            variants: A VCF file, plain or compressed, or its records.
            store: Genome store the variants were called on.
            both_strands: The mean of the scores of both strands; twice the work.
            progress: Show it.

        Returns:
            In the order of the records. Alleles that are not one changed base have no score, and say why.
        """
        self._check_masked_lm()
        contigs = Contigs(open_store(store))
        records = read_vcf(Path(variants)) if isinstance(variants, str | Path) else variants
        alleles = check_variants(records, contigs)
        with _watched("scoring", len(alleles), "variants", progress) as advance:
            return score_alleles(self, alleles, contigs, both_strands=both_strands, advance=advance)

    def attention(
        self,
        sequences: Sequences,
        *,
        layer: int = -1,
        head: int | None = None,
        store: Store | None = None,
        progress: bool = False,
    ) -> list[Values]:
        """What [CLS] attends to: for each sequence float64 (L,), 1 where attention is even.

        Args:
            sequences: N of them.
            layer: Which layer's attention.
            head: Which head's; None for the mean over all.
            store: Genome store of a BED file.
            progress: Show it.
        """
        reader = self.attention_reader(layer, head)
        named = self.read(sequences, store=store)
        return list(_shown("reading", named, progress, lambda advance: reader.bases(named, advance)))

    def attention_maps(self, sequence: str, *, layer: int = -1) -> AttentionMaps:
        """The attention of every token to every token, of one sequence that fits the model in one window."""
        reader = self.attention_reader(layer)
        (named,) = self.read([sequence])
        if (tokens := len(self.cutter.encode(named.codes))) > self.cutter.max_positions:
            raise CmgemsError(
                "too long for attention maps",
                where="sequence",
                why=f"it has {tokens:,} tokens, the model takes {self.cutter.max_positions:,}",
                fix="give a shorter one",
            )
        return reader.maps(named)

    def importance(
        self,
        sequences: Sequences,
        *,
        label: str | None = None,
        store: Store | None = None,
        progress: bool = False,
    ) -> list[Values]:
        """How much each base matters to the answer: for each sequence float64 (L,); a forward pass a base.

        Of a class or label: what its log-odds lose when the base is hidden (nats); of a quantity: what it loses; of a
        masked language model: the log-probability of the base (nats). NaN at bases without a known token.

        Args:
            sequences: N of them.
            label: The class, label or quantity; None for the likeliest of each sequence, or the first quantity.
            store: Genome store of a BED file.
            progress: Show it.
        """
        check_answer(self, label)
        named = self.read(sequences, store=store)
        asked = answers(self, named, label)
        return list(
            _shown("hiding", named, progress, lambda advance: importance(self, named, asked, advance))
        )

    def iter_explain(
        self,
        sequences: Sequences,
        *,
        layer: int = -1,
        head: int | None = None,
        label: str | None = None,
        with_importance: bool = True,
        mapped: int = 20,
        store: Store | None = None,
        progress: bool = False,
    ) -> Iterator[ExplainedSequence]:
        """Attention and importance together, with all that a page about them shows, one sequence after the other.

        Args:
            sequences: N of them.
            layer: As for ``attention``.
            head: As for ``attention``.
            label: As for ``importance``.
            with_importance: Without it there is no forward pass a base.
            mapped: Of how many sequences, counted from the first, attention maps are wanted; those of more than 128
                tokens have none.
            store: Genome store of a BED file.
            progress: Show it.
        """
        if label is not None and not with_importance:
            raise label_without_importance()
        reader = self.attention_reader(layer, head)
        if with_importance:
            check_answer(self, label)
        named = self.read(sequences, store=store)
        asked = answers(self, named, label) if with_importance else None
        return _shown(
            "explaining",
            named,
            progress,
            lambda advance: explain(reader, named, asked, mapped, advance),
            passes=1 + with_importance,
        )

    def attention_reader(self, layer: int = -1, head: int | None = None) -> AttentionReader:
        """What reads the attention of a layer and head, once it is sure that the model has them."""
        reader = AttentionReader(self, layer, head)
        reader.check()
        return reader

    def check_fine_tuned(self) -> None:
        """Check that the model was fine-tuned.

        Raises:
            CheckpointError: if it was only pretrained.
        """
        if self.head in UNLABELLED:
            raise CheckpointError(
                "not a fine-tuned model",
                where=self.name,
                why="it has an encoder only" if self.head == "encoder" else "it was only pretrained",
                fix="run `cmgems run finetune` first",
            )

    def _check_masked_lm(self) -> None:
        if self.head != "masked_lm":
            raise CheckpointError(
                "not a masked language model",
                where=self.name,
                why="it has an encoder only" if self.head == "encoder" else f"its head is {self.head}",
                fix="give the pretrained model",
            )


def label_without_importance() -> CmgemsError:
    """The error for a label where only attention is asked for."""
    return CmgemsError(
        "a label without importance",
        why="attention is not of one answer",
        fix="leave the label out, or ask for importance",
    )


def _watched(label: str, total: float, unit: str, show: bool) -> AbstractContextManager[Advance]:
    return show_progress(label, total, unit) if show else nullcontext(ignore)


def _shown(
    label: str,
    named: Sequence[NamedSequence],
    show: bool,
    work: Callable[[Advance], Iterator[T]],
    passes: int = 1,
) -> Iterator[T]:
    """What ``work`` yields, with its progress over the bases of the sequences, each counted ``passes`` times."""
    total = passes * sum(len(sequence.codes) for sequence in named)
    with _watched(label, total, "bp", show) as advance:
        yield from work(advance)

"""A trained model as one object: predictions, vectors, base probabilities, variants, attention and importance.

Every method takes sequences of any length; those longer than the model are read in overlapping windows. Methods that
start with ``iter`` compute as they are read, so that results may be larger than memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict, TypeVar, Unpack

import numpy as np
import numpy.typing as npt
import torch

from cmgems.errors import CheckpointError, CmgemsError
from cmgems.genome import Contigs, GenomeStore
from cmgems.inference.attention import AttentionMaps, AttentionReader
from cmgems.inference.cutter import Cutter
from cmgems.inference.embed import Embedder, Pool, Vectors
from cmgems.inference.engine import Advance, Engine, ignore
from cmgems.inference.explain import ExplainedSequence, answers, check_answer, explain, importance
from cmgems.inference.predictions import Prediction, predictions
from cmgems.inference.pseudo_likelihood import Score, score_sequences
from cmgems.inference.sequences import SEQUENCE, NamedSequence, Sequences, named_sequences, usable_sequences
from cmgems.inference.spread import Values
from cmgems.inference.variants import Allele, check_variants, score_alleles
from cmgems.inference.vcf import Variant, read_vcf
from cmgems.models import SavedModel
from cmgems.models.base import UNLABELLED
from cmgems.progress import progress as show_progress
from cmgems.reading import Invalid
from cmgems.tokenization import TokenMap
from cmgems.training import ComputeConfig, start_compute

Device = Literal["auto", "cpu", "cuda"]
Store: TypeAlias = str | Path | GenomeStore
T = TypeVar("T")


class Reading(TypedDict, total=False):
    """How sequences are read.

    Attributes:
        store: Genome store that the intervals of a BED file lie in.
        aliases: Table of other names of its contigs (``cmgems.genome.read_aliases``).
        column: Which column of a table holds the sequences; ``sequence`` if left out.
        skip_invalid: Leave sequences out that cannot be used, with a warning that counts them; an ``Invalid`` lists
            them, without a warning.
    """

    store: Store | None
    aliases: str | Path | None
    column: str
    skip_invalid: bool | Invalid


@dataclass(frozen=True, eq=False)
class Model(Engine):
    """A trained model, ready to use; ``cmgems.load`` reads one.

    ``sequences`` is everywhere a string of bases, several, a file (FASTA, a table with a column ``sequence``, or BED
    with ``store``), or named sequences; answers come in their order. ``reading`` are the arguments of ``Reading``:
    ``store``, ``aliases``, ``column``, ``skip_invalid``. ``progress`` shows progress on stderr. Layers and heads count
    from 1; layers also from the end, -1.

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

    def read(
        self,
        sequences: Sequences,
        *,
        store: Store | None = None,
        aliases: str | Path | None = None,
        column: str = SEQUENCE,
        skip_invalid: bool | Invalid = False,
    ) -> list[NamedSequence]:
        """The sequences that this model can read; the arguments are those of ``Reading``."""
        if aliases is not None and store is None:
            fix = "give both with a BED file (--aliases, --store)"
            raise CmgemsError("names of contigs without a genome store", where=aliases, fix=fix)
        contigs = None if store is None else Contigs.of(store, aliases)
        with _judged(skip_invalid) as invalid:
            named = named_sequences(sequences, contigs, invalid, column)
            found = list(usable_sequences(named, self.cutter.tokens.least_bases, invalid))
        if not found:
            raise invalid.none_left("sequences", sequences if isinstance(sequences, str | Path) else "")
        return found

    def predict(
        self, sequences: Sequences, *, progress: bool = False, **reading: Unpack[Reading]
    ) -> list[Prediction]:
        """The class, labels or quantities of each sequence, or the class of each of its bases."""
        return list(self.iter_predict(sequences, progress=progress, **reading))

    def iter_predict(
        self, sequences: Sequences, *, progress: bool = False, **reading: Unpack[Reading]
    ) -> Iterator[Prediction]:
        """As ``predict``, one by one."""
        self.check_fine_tuned()
        named = self.read(sequences, **reading)
        return _shown("predicting", named, progress, lambda advance: predictions(self, named, advance))

    def embed(
        self,
        sequences: Sequences,
        *,
        layer: int = -1,
        pool: Literal["mean", "cls"] = "mean",
        progress: bool = False,
        **reading: Unpack[Reading],
    ) -> npt.NDArray[np.float32]:
        """One vector for each sequence: float32 (N, D).

        Args:
            sequences: N of them.
            layer: 0 is the embeddings, before the first layer.
            pool: ``mean`` over the tokens that stand for known bases; or ``cls``, the first position.
            progress: Show it.
            **reading: As ``Reading``.
        """
        if pool not in ("mean", "cls"):
            raise CmgemsError(
                f"`pool` must be mean or cls, but is {pool!r}", fix="vectors of tokens are from embed_tokens"
            )
        parts = self.iter_embed(sequences, layer=layer, pool=pool, progress=progress, **reading)
        return np.concatenate([part.vectors for part in parts])

    def embed_tokens(
        self, sequences: Sequences, *, layer: int = -1, progress: bool = False, **reading: Unpack[Reading]
    ) -> Vectors:
        """One vector for each token that stands for bases, float32 (R, D), with its sequence, bases and place."""
        parts = list(self.iter_embed(sequences, layer=layer, pool="none", progress=progress, **reading))
        columns = {key: [cell for part in parts for cell in part.columns[key]] for key in parts[0].columns}
        vectors = np.concatenate([part.vectors for part in parts])
        return Vectors(columns, vectors, sum(part.sequences for part in parts))

    def iter_embed(
        self,
        sequences: Sequences,
        *,
        layer: int = -1,
        pool: Pool = "mean",
        progress: bool = False,
        **reading: Unpack[Reading],
    ) -> Iterator[Vectors]:
        """As ``embed``, or for ``none`` as ``embed_tokens``, some sequences at a time."""
        embedder = Embedder(self, layer, pool)
        embedder.check()
        named = self.read(sequences, **reading)
        return _shown("embedding", named, progress, lambda advance: embedder.embed(named, advance))

    def score(
        self, sequences: Sequences, *, progress: bool = False, **reading: Unpack[Reading]
    ) -> list[Score]:
        """The probability of every base given all others, from a masked language model; a forward pass a base."""
        return list(self.iter_score(sequences, progress=progress, **reading))

    def iter_score(
        self, sequences: Sequences, *, progress: bool = False, **reading: Unpack[Reading]
    ) -> Iterator[Score]:
        """As ``score``, one by one."""
        self._check_masked_lm()
        named = self.read(sequences, **reading)
        return _shown("scoring", named, progress, lambda advance: score_sequences(self, named, advance))

    def variants(
        self,
        variants: str | Path | Sequence[Variant],
        store: Store,
        *,
        both_strands: bool = False,
        aliases: str | Path | None = None,
        skip_invalid: bool | Invalid = False,
        progress: bool = False,
    ) -> list[Allele]:
        """Each alternative allele with log p(alternative) - log p(reference) (nats), from a masked language model.

        Args:
            variants: A VCF file, plain or compressed, or its records.
            store: Genome store the variants were called on.
            both_strands: The mean of the scores of both strands; twice the work.
            aliases: As in ``Reading``.
            skip_invalid: As in ``Reading``, of records.
            progress: Show it.

        Returns:
            In the order of the records. Alleles that are not one changed base have no score, and say why.
        """
        self._check_masked_lm()
        contigs = Contigs.of(store, aliases)
        with _judged(skip_invalid) as invalid:
            is_file = isinstance(variants, str | Path)
            records = read_vcf(Path(variants), invalid) if isinstance(variants, str | Path) else variants
            alleles = check_variants(records, contigs, invalid)
        if not alleles:
            raise invalid.none_left("variants", variants if is_file else "")
        with _watched("scoring", len(alleles), "variants", progress) as advance:
            return score_alleles(self, alleles, contigs, both_strands=both_strands, advance=advance)

    def attention(
        self,
        sequences: Sequences,
        *,
        layer: int = -1,
        head: int | None = None,
        progress: bool = False,
        **reading: Unpack[Reading],
    ) -> list[Values]:
        """What [CLS] attends to: for each sequence float64 (L,), 1 where attention is even.

        Args:
            sequences: N of them.
            layer: Which layer's attention.
            head: Which head's; None for the mean over all.
            progress: Show it.
            **reading: As ``Reading``.
        """
        reader = self.attention_reader(layer, head)
        named = self.read(sequences, **reading)
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
        progress: bool = False,
        **reading: Unpack[Reading],
    ) -> list[Values]:
        """How much each base matters to the answer: for each sequence float64 (L,); a forward pass a base.

        Of a class or label: what its log-odds lose when the base is hidden (nats); of a quantity: what it loses; of a
        masked language model: the log-probability of the base (nats). NaN at bases without a known token.

        Args:
            sequences: N of them.
            label: The class, label or quantity; None for the likeliest of each sequence, or the first quantity.
            progress: Show it.
            **reading: As ``Reading``.
        """
        check_answer(self, label)
        named = self.read(sequences, **reading)
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
        progress: bool = False,
        **reading: Unpack[Reading],
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
            progress: Show it.
            **reading: As ``Reading``.
        """
        if label is not None and not with_importance:
            raise label_without_importance()
        reader = self.attention_reader(layer, head)
        if with_importance:
            check_answer(self, label)
        named = self.read(sequences, **reading)
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


@contextmanager
def _judged(skip_invalid: bool | Invalid) -> Iterator[Invalid]:
    """What judges records; warns at the end of those it left out, unless the caller has brought it."""
    if isinstance(skip_invalid, Invalid):
        yield skip_invalid
        return
    invalid = Invalid("skip_invalid=True", skip_invalid)
    yield invalid
    if invalid.skipped:
        where, reason = invalid.skipped[0]
        count = f"{len(invalid.skipped):,} left out that cannot be used"
        warnings.warn(f"{count}; the first: {where}: {reason}", stacklevel=4)


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

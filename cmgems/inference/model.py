"""A trained model as one object: predictions, vectors, base probabilities, variants, attention and importance.

Every method takes sequences of any length; those longer than the model are read in overlapping windows. Methods that
start with ``iter`` compute as they are read, so that results may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
import numpy.typing as npt

from cmgems.distributed import ALONE
from cmgems.errors import CmgemsError
from cmgems.genome import Contigs
from cmgems.inference.attention import AttentionMaps, AttentionReader
from cmgems.inference.embed import Embedder, Pool, Vectors
from cmgems.inference.engine import Advance
from cmgems.inference.explain import (
    ExplainedSequence,
    answers,
    check_answer,
    explain,
    importance,
    label_without_importance,
)
from cmgems.inference.predictions import Prediction, predictions
from cmgems.inference.pseudo_likelihood import Score, score_sequences
from cmgems.inference.ready import ReadyEngine
from cmgems.inference.sequences import NamedSequence, Sequences
from cmgems.inference.source import Reading, Store, checked_alleles
from cmgems.inference.spread import Values
from cmgems.inference.variants import Allele, score_alleles
from cmgems.inference.vcf import Variant
from cmgems.reading import Invalid


@dataclass(frozen=True, eq=False)
class Model(ReadyEngine):
    """A trained model, ready to use; ``cmgems.load`` reads one.

    ``sequences`` is everywhere a string of bases, several, a file (FASTA, a table with a column ``sequence``, or BED
    with ``store``), or named sequences; answers come in their order. ``reading`` are the arguments of ``Reading``:
    ``store``, ``aliases``, ``column``, ``skip_invalid``. ``progress`` shows progress on stderr. Layers and heads count
    from 1, layers also from the end, -1; of ``embed`` layer 0 is the embeddings.

    Every method raises a CmgemsError for a sequence that cannot be read or is too short for a token, and for a model
    that has no such answer.
    """

    def read(self, sequences: Sequences, **reading: Unpack[Reading]) -> list[NamedSequence]:
        """The sequences that this model can read."""
        return list(self._checked(sequences, False, **reading))

    def predict(
        self,
        sequences: Sequences,
        *,
        both_strands: bool = False,
        progress: bool = False,
        **reading: Unpack[Reading],
    ) -> list[Prediction]:
        """The class, labels or quantities of each sequence, or the class of each of its bases.

        Args:
            sequences: Any number.
            both_strands: The mean of the probabilities, or quantities, of both strands; twice the work.
            progress: Show it.
            **reading: As ``Reading``.
        """
        return list(self.iter_predict(sequences, both_strands=both_strands, progress=progress, **reading))

    def iter_predict(
        self,
        sequences: Sequences,
        *,
        both_strands: bool = False,
        progress: bool = False,
        **reading: Unpack[Reading],
    ) -> Iterator[Prediction]:
        """As ``predict``, one by one."""
        self.check_fine_tuned()
        named = self._checked(sequences, progress, **reading)
        return self._shown(
            "predicting",
            named,
            progress,
            lambda advance: predictions(self, named, advance, both_strands=both_strands),
            passes=1 + both_strands,
        )

    def embed(
        self,
        sequences: Sequences,
        *,
        layer: int = -1,
        pool: Literal["mean", "cls"] = "mean",
        both_strands: bool = False,
        progress: bool = False,
        **reading: Unpack[Reading],
    ) -> npt.NDArray[np.float32]:
        """One vector for each sequence: float32 (N, D).

        Args:
            sequences: N of them.
            layer: 0 is the embeddings, before the first layer.
            pool: ``mean`` over the tokens that stand for known bases; or ``cls``, the first position.
            both_strands: The mean of the vectors of both strands; twice the work.
            progress: Show it.
            **reading: As ``Reading``.
        """
        if pool not in ("mean", "cls"):
            raise CmgemsError(
                f"`pool` must be mean or cls, but is {pool!r}", fix="vectors of tokens are from embed_tokens"
            )
        parts = self.iter_embed(
            sequences, layer=layer, pool=pool, both_strands=both_strands, progress=progress, **reading
        )
        return np.concatenate([part.vectors for part in parts])

    def embed_tokens(
        self, sequences: Sequences, *, layer: int = -1, progress: bool = False, **reading: Unpack[Reading]
    ) -> Vectors:
        """One vector for each token that stands for bases, float32 (R, D), with its sequence, bases and place."""
        return Vectors.joined(
            list(self.iter_embed(sequences, layer=layer, pool="none", progress=progress, **reading))
        )

    def iter_embed(
        self,
        sequences: Sequences,
        *,
        layer: int = -1,
        pool: Pool = "mean",
        both_strands: bool = False,
        progress: bool = False,
        **reading: Unpack[Reading],
    ) -> Iterator[Vectors]:
        """As ``embed``, or for ``none`` as ``embed_tokens``, some sequences at a time."""
        embedder = Embedder(self, layer, pool, both_strands)
        embedder.check()
        named = self._checked(sequences, progress, **reading)
        return self._shown(
            "embedding",
            named,
            progress,
            lambda advance: embedder.embed(named, advance),
            passes=1 + both_strands,
        )

    def score(
        self,
        sequences: Sequences,
        *,
        both_strands: bool = False,
        progress: bool = False,
        **reading: Unpack[Reading],
    ) -> list[Score]:
        """The probability of every base given all others, from a masked language model; a forward pass a base.

        Args:
            sequences: Any number.
            both_strands: The mean of the probabilities of both strands; twice the work.
            progress: Show it.
            **reading: As ``Reading``.
        """
        return list(self.iter_score(sequences, both_strands=both_strands, progress=progress, **reading))

    def iter_score(
        self,
        sequences: Sequences,
        *,
        both_strands: bool = False,
        progress: bool = False,
        **reading: Unpack[Reading],
    ) -> Iterator[Score]:
        """As ``score``, one by one."""
        self._check_masked_lm()
        named = self._checked(sequences, progress, **reading)
        return self._shown(
            "scoring",
            named,
            progress,
            lambda advance: score_sequences(self, named, advance, both_strands=both_strands),
            passes=1 + both_strands,
        )

    def variants(
        self,
        variants: str | Path | Sequence[Variant],
        store: Store,
        *,
        both_strands: bool = False,
        swapped: bool = False,
        aliases: str | Path | None = None,
        skip_invalid: bool | Invalid = False,
        progress: bool = False,
    ) -> list[Allele]:
        """Each alternative allele with log p(alternative) - log p(reference) (nats), from a masked language model.

        Args:
            variants: A VCF file or table of variants (``read_variants``), or its records.
            store: Genome store the variants were called on.
            both_strands: The mean of the scores of both strands; twice the work.
            swapped: Score records whose only alternative is the store's base, and not the reference, as they are
                written.
            aliases: As in ``Reading``.
            skip_invalid: As in ``Reading``, of records.
            progress: Show it.

        Returns:
            In the order of the records. Alleles that are not one changed base have no score, and say why.
        """
        return list(self.iter_variants(
            variants, store, both_strands=both_strands, swapped=swapped, aliases=aliases, skip_invalid=skip_invalid,
            progress=progress,
        ))  # fmt: skip

    def iter_variants(
        self,
        variants: str | Path | Sequence[Variant],
        store: Store,
        *,
        both_strands: bool = False,
        swapped: bool = False,
        aliases: str | Path | None = None,
        skip_invalid: bool | Invalid = False,
        progress: bool = False,
    ) -> Iterator[Allele]:
        """As ``variants``, one by one."""
        self._check_masked_lm()
        contigs = Contigs.of(store, aliases)
        shown = progress and self.world.is_main
        alleles = checked_alleles(variants, contigs, skip_invalid, shown, swapped=swapped)
        return self._shown(
            "scoring",
            alleles,
            progress,
            lambda advance: score_alleles(self, alleles, contigs, both_strands=both_strands, advance=advance),
            unit="variants",
        )

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
        named = self._checked(sequences, progress, **reading)
        found = self._shown("reading", named, progress, lambda advance: reader.bases(named, advance))
        return [values_L for _, values_L in found]

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
        named, alone = self._checked(sequences, progress, **reading), replace(self, world=ALONE)

        def work(_: int, some: list[NamedSequence], advance: Advance) -> list[Values]:
            return list(importance(alone, some, answers(alone, some, label), advance))

        return list(
            self._shown("hiding", named, progress, lambda advance: self.in_groups(named, work, advance))
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
        named, alone = self._checked(sequences, progress, **reading), replace(self, world=ALONE)
        reader = replace(reader, engine=alone)

        def work(first: int, some: list[NamedSequence], advance: Advance) -> list[ExplainedSequence]:
            asked = answers(alone, some, label) if with_importance else None
            return list(explain(reader, some, asked, mapped - first, advance))

        passes = 1 + with_importance
        return self._shown(
            "explaining",
            named,
            progress,
            lambda advance: self.in_groups(named, work, advance, passes, pass_a_base=with_importance),
            passes=passes,
        )

    def attention_reader(self, layer: int = -1, head: int | None = None) -> AttentionReader:
        """What reads the attention of a layer and head, once it is sure that the model has them."""
        reader = AttentionReader(self, layer, head)
        reader.check()
        return reader

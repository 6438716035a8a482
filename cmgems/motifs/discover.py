"""Motifs where a model looks: its signal over the positive sequences, searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Unpack

from cmgems.errors import CmgemsError
from cmgems.inference.explain import check_answer, commonest, label_without_importance
from cmgems.inference.model import Model
from cmgems.inference.sequences import NamedSequence, Sequences
from cmgems.inference.source import Reading
from cmgems.motifs.motif import Motif, MotifConfig
from cmgems.motifs.search import find_motifs

Signal = Literal["attention", "importance"]


@dataclass(frozen=True, eq=False)
class Discovery:
    """The motifs of a set of sequences.

    Attributes:
        motifs: Best first; may be none.
        positives: The sequences they are of.
        negatives: Those they were compared with.
        config: How they were searched.
        signal: Where the model was looked at, in words.
    """

    motifs: list[Motif]
    positives: list[NamedSequence]
    negatives: list[NamedSequence]
    config: MotifConfig
    signal: str


def discover_motifs(
    model: Model,
    positives: Sequences,
    negatives: Sequences,
    config: MotifConfig | None = None,
    *,
    by: Signal = "attention",
    layer: int = -1,
    head: int | None = None,
    label: str | None = None,
    progress: bool = False,
    **reading: Unpack[Reading],
) -> Discovery:
    """The motifs that lie where a model looks, enriched in the positive sequences.

    Args:
        model: Of any head for attention; fine-tuned on whole sequences for importance.
        positives: Sequences that have what is looked for.
        negatives: Sequences like them that have not.
        config: How motifs are searched; None for the defaults.
        by: Look where attention is high, or where hiding a base matters (a forward pass a base).
        layer: Whose attention, from 1; -1 for the last.
        head: Which head, from 1; None for the mean over all.
        label: Whose importance; None for the answer that most positives get.
        progress: Show it on stderr.
        **reading: As ``cmgems.inference.Reading``, of both.

    Raises:
        CmgemsError: for a label without importance, a model without the signal, or several processes.
        DataError: for sequences that cannot be read or have no region of high signal.
    """
    if model.world.size > 1:
        why = "all sequences are compared with all others"
        raise CmgemsError("motifs are found in one process", why=why, fix="start it without torchrun")
    config = config or MotifConfig()
    if by == "importance":
        model.check_fine_tuned()
        check_answer(model, label)
    elif label is not None:
        raise label_without_importance()
    inside, outside = model.read(positives, **reading), model.read(negatives, **reading)
    if by == "importance":
        label = label or commonest(model, inside)
        signals = model.importance(inside, label=label, progress=progress)
        signal = f"Importance for {label}."
    else:
        signals = model.attention(inside, layer=layer, head=head, progress=progress)
        signal = model.attention_reader(layer, head).describe()
    found = find_motifs(
        [sequence.codes for sequence in inside], [sequence.codes for sequence in outside], signals, config
    )
    return Discovery(found, inside, outside, config, signal)

"""Which answer is explained, and both signals for many sequences.

Shape suffixes: C outputs, L bases.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cmgems.errors import CmgemsError
from cmgems.inference.attention import AttentionMaps, AttentionReader
from cmgems.inference.classify import class_logits
from cmgems.inference.engine import Advance, Engine, ignore
from cmgems.inference.occlusion import occlude
from cmgems.inference.pseudo_likelihood import score_sequences
from cmgems.inference.sequences import NamedSequence
from cmgems.inference.spread import Values
from cmgems.models import Head
from cmgems.registry import did_you_mean
from cmgems.tasks import activate

MAP_TOKENS = 128  # longer sequences have no map from token to token


@dataclass(frozen=True)
class Answer:
    """What is explained of one sequence.

    Attributes:
        output: Which of the model's outputs, from 0; None from a masked LM, which is asked for every base.
        label: Its name.
        value: Probability, or quantity.
    """

    output: int | None = None
    label: str = ""
    value: float = float("nan")

    def text(self) -> str:
        """For a reader: the name and the number; empty for a masked LM."""
        return f"{self.label}: {self.value:.4g}" if self.label else ""


@dataclass(frozen=True, eq=False)
class ExplainedSequence:
    """What a model looks at in one sequence, and what matters to its answer.

    Attributes:
        name: What it is called.
        bases: Its letters.
        note: The answer that is explained, in words; empty if none is.
        attention_L: float64, 1 is even attention; NaN where unknown.
        importance_L: float64, NaN where unknown; None if it was not asked for.
        meaning: What importance is, with its unit.
        level: The importance of a base that makes no difference.
        maps: None if the sequence is too long for them, or they were not asked for.
    """

    name: str
    bases: str
    note: str
    attention_L: Values
    importance_L: Values | None
    meaning: str
    level: float
    maps: AttentionMaps | None


def check_answer(engine: Engine, label: str | None) -> None:
    """Check that the model has an answer to explain.

    Raises:
        CmgemsError: if it classifies every base or nothing, or has no output called ``label``.
    """
    if engine.head == "token_classification":
        raise CmgemsError(
            "no importance",
            where=engine.name,
            why="it classifies every base, and has no single answer that a base could matter to",
            fix="give a model of whole sequences, or ask for attention only",
        )
    if engine.head == "encoder":
        raise CmgemsError(
            "no importance",
            where=engine.name,
            why="it has an encoder only, and no answer that a base could matter to",
            fix="fine-tune it first, or ask for attention only",
        )
    if engine.head == "masked_lm":
        _ = engine.cutter.tokens.substitutions  # raises if its tokens have no probabilities of bases
    if label is not None and label not in engine.labels:
        names = ", ".join(engine.labels)
        raise CmgemsError(
            f"no output {label!r}",
            where=engine.name,
            why=f"its outputs are {names}" if names else "a masked language model has none",
            fix=did_you_mean(label, list(engine.labels)) if names else "give a fine-tuned model",
        )


def label_without_importance() -> CmgemsError:
    """The error for a label where only attention is asked for."""
    return CmgemsError(
        "a label without importance",
        why="attention is not of one answer",
        fix="leave the label out, or ask for importance",
    )


def meaning(head: Head) -> str:
    """What importance is, with its unit."""
    if head == "masked_lm":
        return "log-probability of the base given all others (nats); the line is a guess among four"
    if head == "regression":
        return "what the predicted quantity loses when the base is hidden"
    return "what the log-odds of the answer lose when the base is hidden (nats)"


def level(head: Head) -> float:
    """The importance of a base that makes no difference: 0, or the log-probability of a guess."""
    return -math.log(4) if head == "masked_lm" else 0.0


def answers(engine: Engine, sequences: Sequence[NamedSequence], label: str | None = None) -> list[Answer]:
    """The model's answer for each sequence: the output called ``label``; else the likeliest, the first quantity."""
    if engine.head == "masked_lm":
        return [Answer()] * len(sequences)
    found: list[Answer] = []
    for _, logits_C in class_logits(engine, sequences):
        values_C = activate(logits_C, engine.head)
        if label is None and engine.head != "regression":
            output = int(values_C.argmax())
        else:
            output = engine.labels.index(label) if label else 0
        found.append(Answer(output, engine.labels[output], float(values_C[output])))
    return found


def commonest(engine: Engine, sequences: Sequence[NamedSequence]) -> str:
    """The name of the answer that most of the sequences get."""
    return Counter(answer.label for answer in answers(engine, sequences)).most_common(1)[0][0]


def importance(
    engine: Engine, sequences: Sequence[NamedSequence], asked: Sequence[Answer], advance: Advance = ignore
) -> Iterator[Values]:
    """How much each base of each sequence speaks for its answer, float64 (L,), see cmgems.inference.occlusion.

    Args:
        engine: The model; ``check_answer`` has passed.
        sequences: Checked ones (``usable_sequences``).
        asked: The answer for each, from ``answers``.
        advance: Told the number of bases done.
    """
    outputs = [answer.output for answer in asked if answer.output is not None]
    if outputs:
        return occlude(engine, sequences, outputs, advance)
    return (score.log_likelihoods for score in score_sequences(engine, sequences, advance))


def explain(
    reader: AttentionReader,
    sequences: Sequence[NamedSequence],
    asked: Sequence[Answer] | None,
    mapped: int,
    advance: Advance = ignore,
) -> Iterator[ExplainedSequence]:
    """Attention and importance of each sequence in turn.

    Args:
        reader: Reads the attention of the model.
        sequences: Checked ones (``usable_sequences``).
        asked: The answer for each, from ``answers``; None leaves importance out.
        mapped: Of how many sequences, counted from the first, attention maps are wanted; those of more than 128 tokens
            have none.
        advance: Told the number of bases done, once for attention and once for importance.
    """
    engine, cutter = reader.engine, reader.engine.cutter
    weighed = None if asked is None else importance(engine, sequences, asked, advance)
    for number, (sequence, attention_L) in enumerate(reader.bases(sequences, advance)):
        fits = number < mapped and len(cutter.encode(sequence.codes)) <= min(MAP_TOKENS, cutter.max_positions)
        yield ExplainedSequence(
            name=sequence.name,
            bases=sequence.bases,
            note="" if asked is None else asked[number].text(),
            attention_L=attention_L,
            importance_L=None if weighed is None else next(weighed),
            meaning="" if asked is None else meaning(engine.head),
            level=level(engine.head),
            maps=reader.maps(sequence) if fits else None,
        )

"""Which answer is explained, and both signals for many sequences.

Shape suffixes: L bases.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cmgems.errors import CmgemsError
from cmgems.inference.batches import Cutter
from cmgems.inference.classify import class_logits
from cmgems.inference.occlusion import Occlusion
from cmgems.inference.pseudo_likelihood import PseudoLikelihood, log_likelihoods
from cmgems.inference.sequences import NamedSequence
from cmgems.inference.spread import Values
from cmgems.models import SavedModel
from cmgems.registry import did_you_mean
from cmgems.tasks import activate
from cmgems.training import Compute

Advance = Callable[[float], None]


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


@dataclass(frozen=True)
class Explainer:
    """Measures how much the bases of sequences matter to a saved model.

    Attributes:
        saved: The model, already on the device of ``compute``.
        cutter: Cuts sequences to what it takes.
        compute: Device and precision.
        batch_size: Rows in a forward pass.
    """

    saved: SavedModel
    cutter: Cutter
    compute: Compute
    batch_size: int

    def check(self, label: str | None) -> None:
        """See that the model has an answer to explain.

        Raises:
            CmgemsError: if it classifies every base, or has no output called ``label``.
        """
        if self.saved.head == "token_classification":
            raise CmgemsError(
                "no importance",
                where=self.saved.folder,
                why="it classifies every base, and has no single answer that a base could matter to",
                fix="give a model of whole sequences, or ask for attention only",
            )
        if self.saved.head == "masked_lm":
            _ = self.cutter.tokens.substitutions  # says so if its tokens have no probabilities of bases
        if label is not None and label not in self.saved.labels:
            names = ", ".join(self.saved.labels)
            raise CmgemsError(
                f"no output {label!r}",
                where=self.saved.folder,
                why=f"its outputs are {names}" if names else "a masked language model has none",
                fix=did_you_mean(label, self.saved.labels) if names else "give a fine-tuned model",
            )

    def meaning(self) -> str:
        """What importance is, with its unit."""
        if self.saved.head == "masked_lm":
            return "log-probability of the base given all others (nats); the line is a guess among four"
        if self.saved.head == "regression":
            return "what the predicted quantity loses when the base is hidden"
        return "what the log-odds of the answer lose when the base is hidden (nats)"

    def level(self) -> float:
        """The importance of a base that says nothing: 0, or the log-probability of a guess."""
        return -math.log(4) if self.saved.head == "masked_lm" else 0.0

    def answers(self, sequences: Sequence[NamedSequence], label: str | None) -> list[Answer]:
        """The model's answer for each sequence: the output called ``label``; else the likeliest, the first quantity."""
        head, labels = self.saved.head, self.saved.labels
        if head == "masked_lm":
            return [Answer()] * len(sequences)
        model = self.saved.model
        logits_NC = class_logits(model, sequences, self.cutter, self.compute, self.batch_size, lambda _: None)
        values_NC = activate(logits_NC, head)
        if label is None and head != "regression":
            chosen = values_NC.argmax(1).tolist()
        else:
            chosen = [labels.index(label) if label else 0] * len(sequences)
        return [Answer(c, labels[c], float(row_C[c])) for c, row_C in zip(chosen, values_NC, strict=True)]

    def commonest(self, sequences: Sequence[NamedSequence]) -> str:
        """The name of the answer that most of the sequences get."""
        return Counter(answer.label for answer in self.answers(sequences, None)).most_common(1)[0][0]

    def importance(
        self, sequences: Sequence[NamedSequence], answers: Sequence[Answer], advance: Advance
    ) -> Iterator[Values]:
        """How much each base of each sequence speaks for its answer, float64 (L,), see cmgems.inference.occlusion.

        Args:
            sequences: Checked ones (``check_sequences``).
            answers: One each, from :meth:`answers`.
            advance: Told the number of bases done.
        """
        model, head = self.saved.model, self.saved.head
        scorer = PseudoLikelihood(model, self.cutter, self.compute, self.batch_size)
        occlusion = Occlusion(model, head, self.cutter, self.compute, self.batch_size)
        for sequence, answer in zip(sequences, answers, strict=True):
            if answer.output is None:
                probabilities_L4 = scorer.base_probabilities(sequence.codes, advance)
                yield log_likelihoods(probabilities_L4, sequence.codes)
            else:
                yield occlusion.importance(sequence.codes, answer.output, advance)


BASE_COLUMNS = ("name", "position", "base", "attention", "importance")


def base_rows(
    sequence: NamedSequence, attention_L: Values, importance_L: Values | None
) -> Iterator[tuple[str, int, str, str, str]]:
    """A row for every base: position (bp, from 1), base, attention, importance; these empty where unknown."""
    for i, base in enumerate(sequence.bases):
        importance = "" if importance_L is None else _cell(importance_L[i])
        yield sequence.name, i + 1, base, _cell(attention_L[i]), importance


def _cell(value: float) -> str:
    return f"{value:.6g}" if value == value else ""

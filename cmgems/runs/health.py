"""What a pretraining run has learnt: its fixed-mask validation beside guesses made without a model.

The guesses are values of the run's folder, made once by ``cmgems.pretraining.baselines``; here they are read and put
into words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

ORDERS = range(1, 6)
Row = tuple[str, float | None, float | None, str]
UNIGRAM, NEIGHBOURS = "unigram", "neighbours"


def markov(order: int) -> str:
    """The key of the Markov chain of an order."""
    return f"markov_{order}"


# From the least that can be known to the most.
LABELS = {
    UNIGRAM: "frequencies of the tokens",
    **{markov(order): f"Markov chain of order {order}" for order in ORDERS},
    NEIGHBOURS: "reading off the overlapping tokens",
}
NOT_APPLICABLE = {
    **{markov(order): "tokens are no k-mers" for order in ORDERS},
    NEIGHBOURS: "tokens share no bases",
}


@dataclass(frozen=True)
class Guesses:
    """How well masked tokens were guessed.

    Attributes:
        loss: Mean cross-entropy (nats a token).
        accuracy: Share of them whose likeliest guess is right; NaN if it was not recorded.
    """

    loss: float
    accuracy: float = math.nan


@dataclass(frozen=True)
class Health:
    """A run's validation and its baselines.

    Attributes:
        model: Of the last validation.
        baselines: By their keys in ``LABELS``; None if one does not apply to the tokenizer.
    """

    model: Guesses
    baselines: Mapping[str, Guesses | None]

    @classmethod
    def of(cls, loss: object, accuracy: object, baselines: object) -> Health | None:
        """From values that a run has recorded; None if its loss or all baselines are not among them."""
        model = _guesses({"loss": loss, "accuracy": accuracy})
        given = baselines if isinstance(baselines, dict) else {}
        known = {key: _guesses(given[key]) for key in LABELS if key in given}
        return Health(model, known) if model and any(known.values()) else None

    @property
    def rows(self) -> list[Row]:
        """(label, loss, accuracy, remark) of each baseline and, last, of the model; what is not known is None."""
        rows: list[Row] = [
            (LABELS[key], *_figures(found), "") for key, found in self.baselines.items() if found
        ]
        for reason in dict.fromkeys(NOT_APPLICABLE.values()):
            absent = [key for key in self.absent if NOT_APPLICABLE.get(key) == reason]
            if absent:
                rows.append((_listed(absent).removeprefix("the "), None, None, f"not applicable: {reason}"))
        return [
            *rows,
            ("this model", *_figures(self.model), "" if self.recorded else "accuracy not recorded"),
        ]

    @property
    def absent(self) -> list[str]:
        """Keys of the baselines that do not apply."""
        return [key for key, found in self.baselines.items() if not found]

    @property
    def recorded(self) -> bool:
        """Whether the model's accuracy is known; earlier versions did not record it."""
        return not math.isnan(self.model.accuracy)

    @property
    def passed(self) -> list[str]:
        """Keys of the baselines with a higher loss than the model's."""
        return [key for key, found in self.baselines.items() if found and self.model.loss < found.loss]

    def in_words(self) -> str:
        """Which baselines the model's loss is below, and which not."""
        passed = self.passed
        ahead = [key for key, found in self.baselines.items() if found and key not in passed]
        if not passed:
            return f"Not yet as good as {_listed(ahead)}: under this mask it makes no use of the context."
        if not ahead:
            return f"Better than {_listed(passed)}."
        return f"Better than {_listed(passed)}; not yet as good as {_listed(ahead)}."


def mean_health(runs: Sequence[Health]) -> Health | None:
    """The means over runs with the same tokens; None of none."""
    if not runs:
        return None
    keys = [key for key in runs[0].baselines if all(key in run.baselines for run in runs)]
    baselines = {key: _mean([run.baselines[key] for run in runs]) for key in keys}
    model = _mean([run.model for run in runs])
    return Health(model, baselines) if model else None


def _mean(guesses: Sequence[Guesses | None]) -> Guesses | None:
    known = [found for found in guesses if found]
    if len(known) < len(guesses):
        return None
    return Guesses(fmean(found.loss for found in known), fmean(found.accuracy for found in known))


def _guesses(values: object) -> Guesses | None:
    """From the values of a file that may hold anything."""
    given = values if isinstance(values, dict) else {}
    guesses = Guesses(_number(given.get("loss")), _number(given.get("accuracy")))
    return None if math.isnan(guesses.loss) else guesses


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else math.nan


def _figures(guesses: Guesses) -> tuple[float | None, float | None]:
    return guesses.loss, None if math.isnan(guesses.accuracy) else guesses.accuracy


def _listed(keys: Sequence[str]) -> str:
    """Keys in words; chains of neighbouring orders are one item."""
    orders = [order for order in ORDERS if markov(order) in keys]
    words: list[str] = []
    for key in keys:
        if key not in (markov(order) for order in orders[1:]):
            words.append(_chains(orders) if orders and key == markov(orders[0]) else f"the {LABELS[key]}")
    words = [word.replace("the reading", "reading") for word in words]
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


def _chains(orders: Sequence[int]) -> str:
    if len(orders) == 1:
        return f"the {LABELS[markov(orders[0])]}"
    if len(orders) > 2 and list(orders) == list(range(orders[0], orders[-1] + 1)):
        return f"Markov chains of order {orders[0]} to {orders[-1]}"
    return f"Markov chains of order {', '.join(map(str, orders[:-1]))} and {orders[-1]}"

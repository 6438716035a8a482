"""The runs on one dataset: seeds, and draws of few training examples."""

from __future__ import annotations

from dataclasses import dataclass

from cmgems.data import count_draws
from cmgems.data.columns import Columns
from cmgems.evaluation.benchmarks import Dataset


@dataclass(frozen=True)
class Repeat:
    """One of the runs on a dataset.

    Attributes:
        seed: Decides the weights of the head and the order, and the few-shot draw if none is published.
        draw: Which published draw; None where there are none.
    """

    seed: int
    draw: int | None = None

    @property
    def name(self) -> str:
        """'seed0', 'draw3-seed0'."""
        return f"seed{self.seed}" if self.draw is None else f"draw{self.draw}-seed{self.seed}"

    def training_set(self, shots: int | None) -> str:
        """What tells apart the training sets of a dataset: 'draw3', 'seed3' of draws of our own, '' for the whole one.

        Args:
            shots: Training examples of each class; None for the whole training set.
        """
        if shots is None:
            return ""
        return f"seed{self.seed}" if self.draw is None else f"draw{self.draw}"


def repeats(
    dataset: Dataset, seeds: int, draws: int, part: int = 0, columns: Columns | None = None
) -> list[Repeat]:
    """The runs on a dataset.

    A whole set is run with each of ``seeds`` seeds. Of published draws, ``draws`` (or as many as there are) are run
    with each seed. Draws of our own are made by the seed, so there are ``draws`` runs.

    Args:
        dataset: From ``find_datasets``.
        seeds: Seeds of a run.
        draws: Few-shot training sets.
        part: Seeds and draws are numbered from ``part`` times their count, so that parts share none; published draws
            start again from the first when they are used up.
        columns: Those of the file of published draws.

    Raises:
        DataError: if the file of published draws is bad.
    """
    seed_range = range(part * seeds, (part + 1) * seeds)
    numbers = range(part * draws, (part + 1) * draws)
    if dataset.shots is None:
        return [Repeat(seed) for seed in seed_range]
    if not dataset.drawn:
        return [Repeat(number) for number in numbers]
    published = count_draws(dataset.folder, dataset.shots, columns)
    return [Repeat(seed, number % published) for number in numbers[:published] for seed in seed_range]

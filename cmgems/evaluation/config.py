"""The part of a config that says on what a model is evaluated, and how."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cmgems.config import RecipeSettings
from cmgems.config.recipe_settings import Values
from cmgems.data import LabelledConfig
from cmgems.data.columns import Columns
from cmgems.errors import CmgemsError
from cmgems.runs import LogConfig
from cmgems.training import ComputeConfig


@dataclass(frozen=True)
class DatasetsConfig:
    """Where the datasets are, and how they are read.

    Attributes:
        dir: Folder of datasets, at any depth.
        store, aliases, window, sequence, labels, invalid: As in the finetune recipe, for every dataset; null for what
            it has.
    """

    dir: Path
    store: Path | None = None
    aliases: Path | None = None
    window: int | None = None
    sequence: str | None = None
    labels: tuple[str, ...] | None = None
    invalid: Literal["stop", "skip"] | None = None

    @property
    def columns(self) -> Columns:
        """Those of the files."""
        return LabelledConfig(self.dir, **self._given()).columns()

    def values(self) -> Values:
        """Those of the finetune recipe's config that are set."""
        return {
            "data": {
                key: str(value) if isinstance(value, Path) else value for key, value in self._given().items()
            }
        }

    def _given(self) -> dict[str, Any]:
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in fields.items() if name != "dir" and value is not None}


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How a model is evaluated.

    Attributes:
        data: Where the datasets are.
        benchmark: `gue` takes GUE's 28 datasets and no others, `nt_tasks` the 18 of the Nucleotide Transformer,
            `genomic_benchmarks` those of Genomic Benchmarks; null every one there is.
        datasets: `NAME` for a whole set, `NAME@10` for ten training examples of each class. NAME is a name, its last
            parts, or a glob (`prom*`).
        seeds: Runs of each whole set, and of each published draw.
        draws: Few-shot training sets, published or drawn.
        exclude_leaks: Score without the test rows that are in train; they are counted either way.
        keep_models: Keep weights and checkpoints of finished runs.
        finetune: The recipe of every run, and values of its config that replace the benchmark's.
        compute, log: Those of every run.
    """

    data: DatasetsConfig
    benchmark: Literal["gue", "nt_tasks", "genomic_benchmarks"] | None = None
    datasets: tuple[str, ...] = ("*",)
    seeds: int = 1
    draws: int = 10
    exclude_leaks: bool = False
    keep_models: bool = False
    finetune: RecipeSettings = field(default_factory=lambda: RecipeSettings("finetune"))
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    log: LogConfig = field(default_factory=lambda: LogConfig(every=100))

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.draws < 1:
            raise CmgemsError("`seeds` and `draws` must be 1 or more")
        if not self.datasets:
            raise CmgemsError("`datasets` must name one or more")

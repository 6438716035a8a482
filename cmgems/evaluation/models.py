"""The models of a comparison: masking strategies and seeds as pretraining runs, and the fine-tuning runs from each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmgems.config import RecipeSettings, config_dict, load_config
from cmgems.config.recipe_settings import Values, nested
from cmgems.errors import CmgemsError
from cmgems.evaluation.runs import Evaluation, FineTuning
from cmgems.files import is_there
from cmgems.masking import CURRICULA
from cmgems.registry import did_you_mean
from cmgems.runs.layout import SUMMARY

# The strategy of models that are not pretrained here.
UNTRAINED = "none"


@dataclass(frozen=True)
class Model:
    """A model of the comparison.

    OUT/pretrain/cm_gems-seed0/                                   its pretraining run
    OUT/finetune/cm_gems-seed0/prom/prom_core_tata/seed0/         a fine-tuning run from its weights

    Attributes:
        strategy: How it masks, see ``masking_values``; ``none`` if it is what pretraining starts from.
        seed: Of the pretraining.
        config: Of the pretrain recipe.
        run_folder: Of its pretraining run.
        runs: The fine-tuning runs from it.
    """

    strategy: str
    seed: int
    config: Any
    run_folder: Path
    runs: tuple[FineTuning, ...]

    @property
    def is_trained(self) -> bool:
        """Whether it is pretrained here."""
        return self.strategy != UNTRAINED

    @property
    def finished(self) -> bool:
        """Whether none of its runs is left to do."""
        pretrained = not self.is_trained or is_there(self.run_folder / SUMMARY)
        return pretrained and all(run.finished for run in self.runs)

    def untrained(self) -> Values:
        """The values of the finetune recipe's config that start from what pretraining starts from."""
        config = config_dict(self.config)
        return {key: config[key] for key in ("model", "tokenizer") if key in config}

    def start(self) -> Values:
        """The values of the finetune recipe's config that start from this model."""
        return {"model": str(self.run_folder)} if self.is_trained else self.untrained()


def plan_models(
    pretrain: RecipeSettings,
    strategies: Sequence[str],
    seeds: int,
    evaluation: Evaluation,
    out: Path,
    pretrained: Path | None = None,
) -> list[Model]:
    """Every strategy with every seed, seed by seed.

    Args:
        pretrain: What all pretraining runs share.
        strategies: As for ``masking_values``, or ``none``.
        seeds: Seeds from 0.
        evaluation: How each model is evaluated.
        out: The folder of the comparison.
        pretrained: The folder of the comparison that has the pretraining runs; None for ``out``.

    Raises:
        CmgemsError: if there is no such strategy.
        ConfigError: if the pretrain recipe refuses a value.
    """
    pretraining_runs = (pretrained or out) / "pretrain"
    models = []
    for seed in range(seeds):
        for strategy in strategies:
            config, name = pretrain_config(pretrain, strategy, seed), f"{strategy}-seed{seed}"
            runs = tuple(evaluation.runs(out / "finetune" / name, seed))
            models.append(Model(strategy, seed, config, pretraining_runs / name, runs))
    return models


def pretrain_config(settings: RecipeSettings, strategy: str, seed: int) -> Any:
    """The pretrain recipe's config for a strategy and a seed.

    Args:
        settings: What all pretraining runs share; ``{seed}`` in a value stands for the run's seed.
        strategy: As for ``masking_values``, or ``none``.
        seed: Of the run.

    Raises:
        CmgemsError: if there is no such strategy.
        ConfigError: if the recipe refuses a value.
    """
    masking = [] if strategy == UNTRAINED else masking_values(strategy)
    layers = [with_seed(settings.values, seed), *masking, {"seed": seed}]
    return load_config(settings.load().config_schema, settings.config_path(), values=layers)


def masking_values(strategy: str) -> list[Values]:
    """The config values for ``NAME`` or ``NAME+key=value+…``, with keys of the section ``masking``; later ones win.

    NAME is a curriculum, or a strategy that masks from the first step to the last. `cm_gems+rank_by=position`,
    `random_span+rate=0.3` and `cm_gems+curriculum.threshold=20` are strategies of their own.

    Raises:
        CmgemsError: if there is no such curriculum or strategy, or an option has no ``=``.
    """
    name, *options = strategy.split("+")
    known = [known for known in CURRICULA.names() if known != "fixed"]
    if name not in known:
        fix = did_you_mean(name, [*known, UNTRAINED])
        raise CmgemsError(f"unknown strategy {name!r}", where="strategies", fix=fix)
    # `fixed` first: a new name drops the options that the base config gives to its own curriculum.
    layers: list[Values] = [{"masking": {"curriculum": value}} for value in ("fixed", name)]
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            where = f"strategies, {strategy}"
            raise CmgemsError(f"option without a value: {option!r}", where=where, fix="write NAME+key=value")
        layers.append(nested(f"masking.{key}", value))
    return layers


def with_seed(values: Any, seed: int) -> Any:
    """Nested values with the seed in place of ``{seed}`` in every text."""
    if isinstance(values, Mapping):
        return {key: with_seed(value, seed) for key, value in values.items()}
    if isinstance(values, list):
        return [with_seed(value, seed) for value in values]
    return values.replace("{seed}", str(seed)) if isinstance(values, str) else values

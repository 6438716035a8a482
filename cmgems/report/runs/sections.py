"""The sections of a pretraining run's config that say what it read and masked, read again.

Only these are read, so that a run of a copied recipe with settings of its own can be reported too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from cmgems.config import Component, component, load_config
from cmgems.errors import ConfigError, DataError
from cmgems.masking import MaskingConfig
from cmgems.models import MODELS
from cmgems.pretraining import GenomeData
from cmgems.report.runs.logged import LoggedRun
from cmgems.runs.layout import CONFIG
from cmgems.tokenization import TOKENIZERS


@dataclass(frozen=True, kw_only=True)
class Sections:
    """Fields as in the recipe `pretrain`."""

    steps: int = 10_000
    seed: int = 0
    model: Component = component(MODELS, "logo", or_folder=True)
    tokenizer: Component | None = component(TOKENIZERS, "kmer6", owner="model")
    data: GenomeData
    masking: MaskingConfig = field(default_factory=MaskingConfig)


def load_sections(run: LoggedRun) -> Sections:
    """The sections of a run.

    Raises:
        DataError: if the config is missing, or not one of pretraining.
    """
    kept = {field.name: run.config[field.name] for field in fields(Sections) if field.name in run.config}
    if len(kept) < len(fields(Sections)):
        raise DataError("no config of a pretraining run", where=run.folder / CONFIG)
    try:
        return load_config(Sections, None, values=[kept])
    except ConfigError as error:
        raise DataError(error.what, where=run.folder / CONFIG, why=error.why) from error

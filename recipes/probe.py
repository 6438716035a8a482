"""Probe a model that is not trained: logistic or ridge regression on its vectors, frozen as they are.

The sequences are embedded once, all layers in one pass. Which layer and how strong a penalty counts is chosen on dev;
without one, or with few examples, by cross-validation of train. The test set is scored once. The same command again
goes on with the vectors that are there. Labels are as in the finetune recipe, but for those of bases.
"""

from __future__ import annotations

import csv
import io
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from cmgems.config import Component, component, free
from cmgems.data import LabelledConfig, LabelledSet, data_notes, draw_shots, read_splits
from cmgems.errors import CmgemsError
from cmgems.files import write_text
from cmgems.inference import Cutter, Engine
from cmgems.inference.layers import KeptVectors, LayersEmbedder, kept_vectors, numbered_layers
from cmgems.models import MODELS, ModelSource, model_content
from cmgems.progress import progress
from cmgems.runs import layout, open_run, summary
from cmgems.tasks import TASKS
from cmgems.tasks.test_set import collapse_warning, summarise_test
from cmgems.tokenization import TOKENIZERS, TokenMap
from cmgems.training import ComputeConfig, start_compute
from cmgems.yardsticks.probe import Probe, fit_probe

LAYERS_FILE = "layers.csv"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a probe depends on.

    Attributes:
        model: A run, checkpoint or model folder, which brings its weights, config and tokenizer; or a registered model
            with random weights.
        tokenizer: That of a registered model; beside a folder it must be the folder's own.
        data: As in the finetune recipe. Sequences longer than the model are read in windows, not cut.
        task: As in the finetune recipe, without weights and smoothing.
        layers: Layers to choose from: 0 is the embeddings, -1 the last; null for all.
        pool: `mean` over the tokens that stand for known bases, or `cls`, the first position.
        both_strands: Take the mean of the vectors of a sequence and of its reverse complement.
        seed: Decides random weights and the few-shot draw.
        vectors: Folder that keeps the vectors, for other runs on the same sequences; null for the run folder, until the
            run has finished.
    """

    model: Component = component(MODELS, "logo", or_folder=True, content=model_content)
    tokenizer: Component | None = component(TOKENIZERS, "kmer6", owner="model")
    data: LabelledConfig
    task: Component = component(TASKS, "classification")
    layers: tuple[int, ...] | None = None
    pool: Literal["mean", "cls"] = "mean"
    both_strands: bool = False
    seed: int = 0
    vectors: Path | None = free(None)
    compute: ComputeConfig = field(default_factory=ComputeConfig)

    def __post_init__(self) -> None:
        if self.layers == ():
            raise CmgemsError("`layers` must name one or more, or be null for all")
        if self.data.max_tokens is not None or self.data.reverse_complement:
            raise CmgemsError(
                "`data` must have no max_tokens and no reverse_complement: nothing is cut or turned"
            )
        built = self.task.build(TASKS)
        if built.labels.per_base:
            raise CmgemsError("`task` must be of whole sequences, not of bases")
        if built != TASKS.build(self.task.name, metric=built.metric):
            raise CmgemsError("`task` must have no option but its metric")


def read_data(config: Config, source: ModelSource, folder: Path) -> tuple[dict[str, LabelledSet], int]:
    """The sets, and how many rows were left out; dev only where whole sets are trained on."""
    invalid = config.data.unusable_rows()
    kind = config.task.build(TASKS).labels
    splits = read_splits(config.data, source.tokenizer, sys.maxsize, kind, invalid)
    skipped = invalid.report(folder / layout.SKIPPED)
    notes = data_notes(config.data, splits, "the layer is chosen by cross-validation of train")
    for note in [*([skipped] if skipped else []), *notes]:
        print(f"warning: {note}", file=sys.stderr)
    drawn = draw_shots(config.data, splits["train"], splits["test"], config.seed)
    dev = {"dev": splits["dev"]} if "dev" in splits and config.data.shots is None else {}
    return {"train": drawn, **dev, "test": splits["test"]}, len(invalid.skipped)


def embedder(config: Config, source: ModelSource) -> LayersEmbedder:
    """What makes the vectors."""
    compute = start_compute(config.compute, config.seed)
    network = source.with_head("encoder", 0).to(compute.device).eval()
    cutter = Cutter(TokenMap(source.tokenizer), source.config.max_positions)
    engine = Engine(network, cutter, compute, head="encoder", name=config.model.name)
    layers = numbered_layers(engine, config.layers)
    return LayersEmbedder(engine, pool=config.pool, both_strands=config.both_strands, layers=layers)


def embed(made_by: LayersEmbedder, splits: dict[str, LabelledSet], folder: Path) -> dict[str, KeptVectors]:
    """The vectors of each split."""
    found = {}
    for name, split in splits.items():
        bases = sum(map(len, split.bases)) * (1 + made_by.both_strands)
        with progress(f"embedding {name}", bases, "bp") as advance:
            found[name] = kept_vectors(made_by, split.bases, folder, advance)
    return found


def write_layers(probe: Probe, metric: str, path: Path) -> None:
    """Write the score of every layer with its best penalty."""
    text = io.StringIO()
    rows: Sequence[Sequence[object]] = [("layer", "penalty", f"{probe.chosen_on} {metric}"), *probe.tried]
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())


def main(config: Config, out: Path) -> None:
    """Embed what is not embedded yet, fit the probe, score the test set."""
    with open_run(out, config, "probe") as run:
        if run.summary is not None:
            print(f"{out} has finished already", file=sys.stderr)
            return
        source = ModelSource.of(config.model, config.tokenizer)
        splits, skipped = read_data(config, source, out)
        task = config.task.build(TASKS)
        folder = config.vectors or out / "vectors"
        vectors = embed(embedder(config, source), splits, folder)
        pairs = {name: (vectors[name], split.targets) for name, split in splits.items()}
        probe = fit_probe(task, len(splits["train"].names), pairs["train"], pairs.get("dev"))
        predictions_NC = probe.predict(vectors["test"].of_layer(probe.layer)).astype(np.float32)
        report = summarise_test(task, splits["train"], splits["test"], predictions_NC, splits.get("dev"))
        if warning := collapse_warning(report):
            print(f"warning: {warning}", file=sys.stderr)
        if probe.tried:
            write_layers(probe, task.metric, out / LAYERS_FILE)
        run.finish(
            {
                summary.TRAIN_SEQUENCES: len(splits["train"]),
                summary.DEV_SEQUENCES: len(splits["dev"]) if "dev" in splits else 0,
                summary.SEQUENCES_SKIPPED: skipped,
                "layer": probe.layer,
                "probe": str(probe.learner),
                "chosen_on": probe.chosen_on,
                **report,
            }
        )
        if config.vectors is None:
            shutil.rmtree(folder)

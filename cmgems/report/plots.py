"""The plot of a pretraining run."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.figure import Figure

from cmgems.report.figure import BLUE, GREY, SKY_BLUE, VERMILLION, save_png

TRAIN, VALIDATION, SWITCH, ENTROPY = SKY_BLUE, BLUE, VERMILLION, GREY


def plot_pretraining(metrics: Path, path: Path, unigram_entropy: float | None = None) -> None:
    """Draw a pretraining run's loss with the curriculum's switch marked.

    Args:
        metrics: The run's `metrics.jsonl`.
        path: PNG to write.
        unigram_entropy: Nats; drawn as a line that a model blind to context hardly passes.
    """
    from cmgems.runs.metric_log import read_metric_log

    records = read_metric_log(metrics)
    train = [(r["step"], r["loss"]) for r in records if "loss" in r]
    validation = [(r["step"], r["validation_loss"]) for r in records if "validation_loss" in r]
    switches = [(r["step"], r["switch"]) for r in records if "switch" in r]

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(*zip(*train, strict=True), color=TRAIN, linewidth=1, label="training loss (current masking)")
    axes.plot(
        *zip(*validation, strict=True),
        color=VALIDATION,
        marker="o",
        markersize=4,
        label="validation loss (fixed mask)",
    )
    if unigram_entropy is not None:
        axes.axhline(unigram_entropy, color=ENTROPY, linestyle=":", label="unigram entropy")
    for step, strategy in switches:
        axes.axvline(step, color=SWITCH, linestyle="--", label=f"switch to {strategy} at step {step}")
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("cross-entropy (nats per masked token)")
    axes.spines[["top", "right"]].set_visible(False)
    perplexity = axes.twinx()
    perplexity.spines[["top"]].set_visible(False)
    perplexity.set_ylim(axes.get_ylim())
    ticks = [t for t in axes.get_yticks() if axes.get_ylim()[0] <= t <= axes.get_ylim()[1]]
    perplexity.set_yticks(ticks, [f"{math.exp(t):.0f}" for t in ticks])
    perplexity.set_ylabel("perplexity")
    axes.legend(frameon=False)
    save_png(figure, path)

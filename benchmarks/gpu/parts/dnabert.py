"""DNABERT, 125 sequences, with its dropout of the attention weights and without, and Hugging Face's, compiled.

The dropout of the hidden states stays, so losses of the first step differ by its draws.
"""

from __future__ import annotations

from dataclasses import replace

from setting import arguments, start
from steps import FULL, MIXED, measure, ours, rows_of, say_kernels, say_losses, theirs

from cmgems.models import MODELS, BertConfig
from cmgems.training import Compute

ROWS = 125
# Lengths, side, dropout of the attention weights; the most valuable first, for compiling takes most of the time.
SIDES = (
    (FULL, "cmgems, compiled", 0.1),
    (MIXED, "cmgems, packed", 0.1),
    (MIXED, "Hugging Face, compiled", 0.1),
    (FULL, "Hugging Face, compiled", 0.1),
    (FULL, "Hugging Face, eager", 0.1),
    (FULL, "cmgems, compiled", 0.0),
)


def compute_of(side: str, compute: Compute) -> Compute:
    """How a side runs."""
    if side.endswith("eager"):
        return replace(compute, compiled=False)
    return replace(compute, packing="auto") if side.endswith("packed") else compute


def main() -> None:
    setting = start(arguments(__doc__))
    preset = MODELS.get("dnabert")
    assert isinstance(preset, BertConfig)
    preset = replace(preset, layers=setting.pick(preset.layers, 2))
    still = replace(preset, hidden_dropout=0.0, attention_dropout=0.0)
    say_losses(still, setting.compute, rows_of(FULL, ROWS, 1)[0][0], parts=5, model="dnabert")
    for lengths, side, dropout in SIDES:
        config = replace(preset, attention_dropout=dropout)
        build = ours if side.startswith("cmgems") else theirs
        made = rows_of(lengths, ROWS, setting.pick(8, 2))
        names = {"model": "dnabert", "rows": ROWS, "lengths": lengths, "attention_dropout": dropout}
        step = measure(
            setting,
            config,
            lambda config=config, build=build, side=side: build(config, compute_of(side, setting.compute)),
            made,
            **names,
            side=side,
        )
        if build is ours and dropout:
            say_kernels(step, made, **names)


if __name__ == "__main__":
    main()

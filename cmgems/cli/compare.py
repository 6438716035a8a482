"""``cmgems compare``: masking strategies against each other at equal compute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.recipes import Plugins


def compare(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", help="Values of the pretraining config; {seed} is the run's seed."
        ),
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            "--strategies",
            help="Parted by commas; options of `masking` after a +: cm_gems,genemask+rate=0.3.",
        ),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", help="What the others are held against [default: the first].")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Pretraining steps of each run.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs of each strategy.")] = 3,
    config: Annotated[
        str, typer.Option("--config", "-c", metavar="NAME|FILE", help="Pretraining config they share.")
    ] = "logo",
    tasks: Annotated[
        str, typer.Option("--tasks", help="Parted by commas; NAME, or NAME@10 for 10 examples of each class.")
    ] = "",
    data: Annotated[Path, typer.Option("--data", help="Folder of the labelled sets.")] = Path("data"),
    draws: Annotated[int, typer.Option("--draws", min=1, help="Few-shot training sets for each seed.")] = 1,
    finetune: Annotated[
        list[str] | None, typer.Option("--finetune", metavar="KEY=VALUE", help="Values of every fine-tuning.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything.")] = Path("runs/compare"),
    plugin: Plugins = None,
) -> None:
    """Pretrain with each masking strategy, fine-tune on the same tasks, and write one report.

    The same command again goes on with what is missing. Start it several times, on one GPU or core each, to share the
    runs among them.

    Example: cmgems compare --strategies random_span,genemask,cm_gems --steps 1000 --tasks prom_core_tata --data GUE
    data.store=store masking.table=pmi.safetensors -o runs/compare
    """
    from dataclasses import replace

    from cmgems.plugins import load_plugins
    from cmgems.recipes import load_recipe

    load_plugins(plugin or [])
    recipe = load_recipe("compare")
    defaults = recipe.config_schema()
    names = _parted(strategies) if strategies is not None else defaults.strategies
    shared = [*(overrides or []), *([f"steps={steps}"] if steps is not None else [])]
    values = replace(
        defaults,
        strategies=names,
        baseline=baseline or next(iter(names), ""),
        seeds=seeds,
        pretrain=replace(defaults.pretrain, config=config, overrides=tuple(shared)),
        finetune=replace(
            defaults.finetune, dir=data, tasks=_parted(tasks), draws=draws, overrides=tuple(finetune or ())
        ),
    )
    recipe.main(values, out)


def _parted(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())

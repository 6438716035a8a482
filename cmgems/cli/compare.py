"""``cmgems compare``: masking strategies compared at equal compute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmgems.cli.recipes import Plugins


def compare(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", help="Values of the pretraining config; {seed} is the seed of the run."
        ),
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            "--strategies",
            help="Separated by commas; options of `masking` after a +: cm_gems,genemask+rate=0.3.",
        ),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", help="What the others are compared with [default: the first].")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Pretraining steps of each run.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Pretraining runs of each strategy.")] = 3,
    config: Annotated[
        str, typer.Option("--config", "-c", metavar="NAME|FILE", help="Pretraining config they share.")
    ] = "logo",
    datasets: Annotated[
        str,
        typer.Option(
            "--datasets",
            help="Separated by commas; NAME, or NAME@10 for 10 training examples of each class. Without, nothing is "
            "evaluated.",
        ),
    ] = "",
    data: Annotated[Path, typer.Option("--data", help="Folder of the datasets.")] = Path("data"),
    draws: Annotated[int, typer.Option("--draws", min=1, help="Few-shot training sets for each seed.")] = 1,
    finetune: Annotated[
        list[str] | None,
        typer.Option("--finetune", metavar="KEY=VALUE", help="Values of the fine-tuning config."),
    ] = None,
    pretrained: Annotated[
        Path | None,
        typer.Option(
            "--pretrained",
            metavar="FOLDER",
            help="The -o of another comparison, whose pretraining runs are evaluated.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything.")] = Path("runs/compare"),
    plugin: Plugins = None,
) -> None:
    """Pretrain with each masking strategy, fine-tune on the same datasets, and write one report.

    The same command again runs what is missing. Start it several times, on one GPU or core each, to share the runs
    among them. `cmgems run compare --config FILE` takes all of it from a file.

    Example: cmgems compare --strategies random_span,genemask,cm_gems --steps 1000 --datasets prom_core_tata --data GUE
    data.store=store masking.table=pmi.safetensors -o runs/compare
    """
    from cmgems.config import load_config
    from cmgems.plugins import load_plugins
    from cmgems.recipes import load_recipe

    load_plugins(plugin or [])
    recipe = load_recipe("compare")
    names = strategies if strategies is not None else ",".join(recipe.config_schema().strategies)
    values = [
        f"strategies=[{names}]",
        f"baseline={baseline or names.split(',')[0].strip()}",
        f"seeds={seeds}",
    ]
    values += [f"pretrain.{text}" for text in [f"config={config}", *(overrides or [])]]
    values += [f"pretrain.steps={steps}"] if steps is not None else []
    values += [f"pretrained={pretrained}"] if pretrained is not None else []
    if datasets:
        evaluate = [f"data.dir={data}", f"datasets=[{datasets}]", f"draws={draws}"]
        evaluate += [f"finetune.{text}" for text in finetune or []]
        values += [f"evaluate.{text}" for text in evaluate]
    recipe.main(load_config(recipe.config_schema, None, values), out)

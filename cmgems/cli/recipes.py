"""``cmgems ls``, ``cp``, ``validate`` and ``run``: recipes and their configs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cmgems.cli import launch
from cmgems.cli.nodes import Nodes

if TYPE_CHECKING:
    from cmgems.recipes import Recipe

Overrides = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Values to override.")]
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", metavar="FILE", help="Python file that adds components.")
]


def ls() -> None:
    """List the recipes and configs that come with cmgems.

    Example: cmgems ls
    """
    from cmgems.recipes import describe, fairseq2_files, shipped_configs, shipped_recipes

    shipped = {"Recipes": shipped_recipes(), "Configs": shipped_configs(), "For fairseq2": fairseq2_files()}
    width = max(len(name) for paths in shipped.values() for name in paths)
    for title, paths in shipped.items():
        typer.echo(f"{title}:")
        for name, path in paths.items():
            typer.echo(f"  {name:<{width}}  {describe(path)}".rstrip())
    typer.echo("Ways to mask: cmgems mask ls")


def cp(
    name: Annotated[str, typer.Argument(help="Recipe or config, as `cmgems ls` shows it.")],
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="File or existing folder.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Copy a recipe or config, to edit it.

    Example: cmgems cp pretrain my_pretrain.py
    """
    from cmgems.files import check_new, is_stdout, write_bytes
    from cmgems.recipes import find_shipped

    source = find_shipped(name)
    target = destination / source.name if destination.is_dir() else destination
    check_new(target, force=force, file=True)
    write_bytes(target, source.read_bytes())
    typer.echo(f"copied {name} to {target}", err=is_stdout(target))


def validate(
    config: Annotated[
        str, typer.Argument(metavar="FILE", help="Config file, or a name from `cmgems ls` (pretrain/tiny).")
    ],
    overrides: Overrides = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", metavar="NAME|FILE", help="Recipe it is for, if the file does not say."),
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Check a config and print every error in it. Of the files that it names only a tokenizer's is read.

    Example: cmgems validate my.yaml optim.lr=1e-4
    """
    from cmgems.config import load_config, recipe_label
    from cmgems.errors import CmgemsError
    from cmgems.plugins import load_plugins
    from cmgems.recipes import find_config, load_recipe

    path = find_config(config, recipe)
    name = recipe or recipe_label(path)
    if name is None:
        raise CmgemsError("no recipe named", where=path, fix="add the line `recipe: NAME`, or give --recipe")
    load_plugins(plugin or [])
    load_config(load_recipe(name).config_schema, path, overrides or [])
    typer.echo(f"{path}: ok")


def run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name from `cmgems ls`, or a .py file.")],
    overrides: Overrides = None,
    config: Annotated[
        str | None, typer.Option("--config", "-c", metavar="NAME|FILE", help="Name or .yaml file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder [default: runs/RECIPE-CONFIG].")
    ] = None,
    plugin: Plugins = None,
    nproc_per_node: Annotated[
        int | None,
        typer.Option("--nproc-per-node", metavar="N", min=1, help="Processes on this machine, one a GPU."),
    ] = None,
    nnodes: Annotated[int, typer.Option("--nnodes", metavar="N", min=1, help="Machines.")] = 1,
    rdzv_endpoint: Annotated[
        str | None, typer.Option("--rdzv-endpoint", metavar="HOST:PORT", help="Where several machines meet.")
    ] = None,
    node_rank: Annotated[
        int | None, typer.Option("--node-rank", metavar="N", help="Of this machine, where they cannot agree.")
    ] = None,
) -> None:
    """Run a recipe; the same command again resumes it, also with another number of processes.

    Example: cmgems run pretrain --config logo data.store=store masking.table=pmi.safetensors -o runs/logo
    """
    from cmgems.config import load_config, recipe_label
    from cmgems.distributed import ALONE, described_world
    from cmgems.plugins import load_plugins
    from cmgems.recipes import find_config, load_recipe

    load_plugins(plugin or [])
    loaded = load_recipe(recipe)
    path = None
    if config is not None:
        path = find_config(config, loaded.name)
        loaded.check_label(recipe_label(path), path)
    values = load_config(loaded.config_schema, path, overrides or [])
    out = out or Path("runs") / f"{loaded.name}-{path.stem if path else 'default'}"
    nodes = Nodes(nnodes, rdzv_endpoint, node_rank)
    processes = nproc_per_node or 1
    launches = processes * nodes.count > 1
    world = ALONE if launches else described_world()
    if launches or world.size > 1:
        loaded.check_parallel()
    if not launches:
        loaded.main(values, out)
        if world.is_main:  # once, also under torchrun
            _show_summary(loaded, out)
        return
    command = ["run", recipe, *(overrides or []), "--out", str(out)]
    command += ["--config", config] if config is not None else []
    for file in plugin or []:
        command += ["--plugin", str(file)]
    raise typer.Exit(launch.launch(command, processes, nodes))


def _show_summary(recipe: Recipe, out: Path) -> None:
    """Show what a run wrote at its end; recipes that write no summary show their results themselves."""
    from cmgems.runs import RunReader, show_summary

    if (summary := RunReader(out).summary) is not None:
        show_summary(f"{recipe.name}: {out}", summary)

"""The functions of ``import cmgems`` that need several rooms: ``load`` and ``run``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cmgems.config import dotted_values, load_config
from cmgems.distributed import ALONE, World
from cmgems.export.read_huggingface import read_huggingface
from cmgems.inference.engine import Precision
from cmgems.inference.model import Model
from cmgems.inference.ready import Device
from cmgems.models import load_model
from cmgems.plugins import load_plugins
from cmgems.recipes import find_config, load_recipe


def load(
    path: str | Path,
    *,
    device: Device = "auto",
    precision: Precision = "auto",
    batch_tokens: int | None = None,
    overlap: int | None = None,
    tokenizer: str | None = None,
    plugins: Sequence[str | Path] = (),
    world: World = ALONE,
) -> Model:
    """A trained model, ready to use.

    Args:
        path: A run folder (its best, final or newest weights), a checkpoint, a model folder, or a Hugging Face folder,
            exported by cmgems or published (DNABERT, DNABERT-2, Nucleotide Transformer).
        device: "auto" takes the GPU if there is one.
        precision: "fp32" gives the same answer on every machine, to rounding. "auto" is that on a CPU; on a GPU the
            factors of matrix products keep 11 of their 24 significant bits (TF32). "bf16" keeps 8.
        batch_tokens: Tokens in a forward pass, padding included; None for 5,120 on a CPU and 65,536 on a GPU. When
            memory is short there are half as many from there on.
        overlap: What neighbouring windows of a sequence longer than the model share at least (bp); None for half a
            window.
        tokenizer: Name of a registered tokenizer, for a Hugging Face folder that does not tell.
        plugins: Python files that register the model or tokenizer.
        world: The processes that share the work (``cmgems.distributed.open_world``): each calls the same methods, the
            answers come out on rank 0.

    Raises:
        CheckpointError: if there is no model, or it is damaged.
        CmgemsError: if its model or tokenizer is not registered, there is no such device, or an option is out of range.
    """
    load_plugins(plugins)
    folder = Path(path)
    is_huggingface = (folder / "config.json").is_file()
    saved = read_huggingface(folder, tokenizer) if is_huggingface else load_model(folder)
    for note in saved.notes if world.is_main else ():
        print(f"note: {note}", file=sys.stderr)
    return Model.of(
        saved,
        device=device,
        precision=precision,
        batch_tokens=batch_tokens,
        overlap=overlap,
        world=world,
    )


def run(
    recipe: str | Path,
    config: str | Path | None = None,
    *,
    out: str | Path,
    overrides: Mapping[str, object] | None = None,
    plugins: Sequence[str | Path] = (),
) -> Path:
    """Run a recipe in this process, as ``cmgems run`` does; the same call again resumes it.

    Args:
        recipe: Name of a recipe ("pretrain"), or a ``.py`` file.
        config: Name of a config ("logo"), or a ``.yaml`` file; None for the recipe's defaults.
        out: The run folder.
        overrides: Values of the config by key ("data.store").
        plugins: Python files that register components.

    Returns:
        The run folder, for ``load``.

    Raises:
        ConfigError: with all problems of the config.
        CmgemsError: if there is no such recipe or config, or the run fails.
    """
    load_plugins(plugins)
    loaded = load_recipe(recipe)
    path = None if config is None else find_config(str(config), loaded.name)
    values = load_config(loaded.config_schema, path, values=dotted_values(overrides or {}))
    loaded.main(values, Path(out))
    return Path(out)

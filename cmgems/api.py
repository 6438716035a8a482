"""What ``import cmgems`` offers beside classes of the rooms below: :func:`load`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cmgems.inference.model import Device, Model
from cmgems.models import load_model
from cmgems.plugins import load_plugins


def load(
    path: str | Path,
    *,
    device: Device = "auto",
    batch_size: int = 64,
    overlap: int | None = None,
    tokenizer: str | None = None,
    plugins: Sequence[Path] = (),
) -> Model:
    """A trained model, ready to use.

    Args:
        path: A run folder (its best, final or newest weights), a checkpoint, a model folder, or a Hugging Face folder,
            exported by cmgems or published (DNABERT, DNABERT-2, Nucleotide Transformer).
        device: "auto" takes the GPU if there is one. Arithmetic is in fp32.
        batch_size: Rows in a forward pass.
        overlap: What neighbouring windows of a sequence longer than the model share at least (bp); None for half a
            window.
        tokenizer: Name of a registered tokenizer, for a Hugging Face folder that does not tell.
        plugins: Python files that register the model or tokenizer.

    Raises:
        CheckpointError: if there is no model, or it is damaged.
        CmgemsError: if its model or tokenizer is not registered, there is no such device, or an option is out of range.
    """
    load_plugins(plugins)
    folder = Path(path)
    if (folder / "config.json").is_file():
        from cmgems.export import read_huggingface

        saved = read_huggingface(folder, tokenizer)
    else:
        saved = load_model(folder)
    return Model.of(saved, device=device, batch_size=batch_size, overlap=overlap)

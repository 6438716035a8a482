"""What the commands that use a model share: options, and opening the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from cmgems.inference import Cutter, NamedSequence
    from cmgems.models import SavedModel
    from cmgems.training import Compute

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Run folder, checkpoint or model folder.")]
Sequences = Annotated[
    Path,
    typer.Argument(
        metavar="SEQUENCES", help="FASTA, CSV with a column `sequence`, or BED of intervals in --store."
    ),
]
Store = Annotated[Path | None, typer.Option("--store", help="Genome store of a BED file.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Rows in a forward pass.")]
Overlap = Annotated[
    int | None,
    typer.Option(
        "--overlap",
        min=0,
        help="Bases that windows of a long sequence share; half a window if left out.",
    ),
]

Wanted = Literal["fine_tuned", "masked_lm"]
WRONG_HEAD: dict[Wanted, tuple[str, str]] = {
    "fine_tuned": ("not a fine-tuned model", "run `cmgems run finetune` first"),
    "masked_lm": ("not a masked language model", "give the pretrained model"),
}


def open_model(path: Path, plugins: list[Path] | None, wanted: Wanted | None) -> SavedModel:
    """The saved model, plugins loaded first.

    Raises:
        CheckpointError: if there is none, or its head is not what is ``wanted``; None takes any.
    """
    from cmgems.errors import CheckpointError
    from cmgems.models import load_model
    from cmgems.plugins import load_plugins

    load_plugins(plugins or [])
    saved = load_model(path)
    found: Wanted = "masked_lm" if saved.head == "masked_lm" else "fine_tuned"
    if wanted is not None and found != wanted:
        what, fix = WRONG_HEAD[wanted]
        why = "it was only pretrained" if saved.head == "masked_lm" else f"its head is {saved.head}"
        raise CheckpointError(what, where=saved.folder, why=why, fix=fix)
    return saved


def open_cutter(saved: SavedModel, overlap: int | None = None) -> Cutter:
    """What cuts sequences for the model."""
    from cmgems.inference import Cutter
    from cmgems.tokenization import TokenMap

    return Cutter(TokenMap(saved.tokenizer), saved.config.max_positions, overlap)


def open_sequences(path: Path, store: Path | None, cutter: Cutter) -> tuple[list[NamedSequence], int]:
    """The sequences, checked, and their bases in all (bp)."""
    from cmgems.inference import check_sequences, read_sequences

    sequences = read_sequences(path, store)
    check_sequences(sequences, cutter.tokens.least_bases)
    return sequences, sum(len(sequence.codes) for sequence in sequences)


def same_everywhere() -> Compute:
    """Device and precision: fp32, for the same answer on every machine."""
    from cmgems.training import ComputeConfig, start_compute

    return start_compute(ComputeConfig(precision="fp32"), seed=0)

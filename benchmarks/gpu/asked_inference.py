"""What a forward pass of each command that uses a model asks of a GPU: kernels, copies and waits.

python benchmarks/gpu/asked_inference.py

It needs a machine where CUDA is counted: stubs of its libraries, whose module `counts` is on the path. There is no GPU
then, so it shows neither numbers nor speed. The models are LOGO with random weights; a first pass of each kind, which
loads kernels, lies before those that are counted.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from counts import Counts, counted

import cmgems
from cmgems.genome import GenomeStore, decode
from cmgems.inference import Model, Variant
from cmgems.models import MODELS, build_model, save_model
from cmgems.models.base import Head
from cmgems.tokenization import TOKENIZERS

sys.path.insert(0, str(Path(__file__).parents[1]))
from side_by_side import table

BASES, READS, READ_BP, LONG_BP = 200_000, 20_000, 30, 100_000
PRECISIONS: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16")
COLUMNS: dict[str, Callable[[Counts], int]] = {
    "kernels": lambda asked: sum(asked[kind] for kind in ("launches", "triton", "gemms", "cudnn")),
    "copies to the GPU, pinned": lambda asked: asked["h2d_pinned"],
    "... pageable": lambda asked: asked["h2d_pageable"],
    "copies to the host, nobody waits for": lambda asked: asked["d2h"],
    "waits for the stream": lambda asked: asked["stream_syncs"] + asked["device_syncs"],
    "waits for the batch before": lambda asked: asked["event_syncs"],
}


def saved(folder: Path, head: Head, *labels: str) -> Path:
    """A model folder of LOGO with random weights."""
    tokenizer = TOKENIZERS.get("kmer6")
    config = MODELS.build("logo", vocab_size=tokenizer.vocab_size)
    save_model(
        folder,
        build_model(config, head, len(labels)),
        model_name="logo",
        config=config,
        head=head,
        tokenizer_name="kmer6",
        tokenizer=tokenizer,
        labels=list(labels),
    )
    return folder


def asked_of(model: Model, work: Callable[[], object]) -> tuple[int, Counts]:
    """Forward passes of ``work``, and what they ask for together."""
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    work()
    handle = model.encoder.register_forward_pre_hook(count)
    with counted() as asked:
        work()
    handle.remove()
    return passes, asked


def works(folder: Path, precision: Literal["fp32", "bf16"]) -> dict[str, tuple[Model, Callable[[], object]]]:
    """Each command's work, with the model that does it."""
    rng = np.random.default_rng(0)
    letters = decode(rng.integers(0, 4, BASES).astype(np.uint8))
    (folder / "genome.fa").write_text(f">chr1\n{letters}\n")
    store = GenomeStore.build([folder / "genome.fa"], folder / f"store-{precision}")
    starts = rng.integers(0, BASES - READ_BP, READS)
    reads = [letters[start : start + READ_BP] for start in starts]
    calls = [
        Variant("chr1", int(p) + 1, "", letters[p], ("ACGT".replace(letters[p], "")[0],), "call")
        for p in starts[:2000]
    ]
    (lm, labels, bases) = (
        cmgems.load(folder / name, device="cuda", precision=precision) for name in ("lm", "labels", "bases")
    )
    return {
        "`embed`, 30 bp": (lm, lambda: lm.embed(reads)),
        "`embed`, 100 kbp": (lm, lambda: lm.embed(letters[:LONG_BP])),
        "`embed --pool none`": (lm, lambda: lm.embed_tokens(letters[:LONG_BP])),
        "`predict`": (labels, lambda: labels.predict(reads)),
        "`predict`, bases": (bases, lambda: bases.predict(letters[:LONG_BP])),
        "`score`": (lm, lambda: lm.score(letters[:2000])),
        "`variants`": (lm, lambda: lm.variants(calls, store, both_strands=True)),
        "`explain`": (labels, lambda: list(labels.iter_explain(letters[:1000], mapped=0))),
    }


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        saved(folder / "lm", "masked_lm")
        saved(folder / "labels", "classification", "a", "b")
        saved(folder / "bases", "token_classification", "a", "b")
        for precision in PRECISIONS:
            for command, (model, work) in works(folder, precision).items():
                passes, asked = asked_of(model, work)
                per_pass = [f"{count(asked) / passes:.3g}" for count in COLUMNS.values()]
                rows.append([command, precision, str(passes), *per_pass])
    print(table(["command", "precision", "passes", *COLUMNS], rows))


if __name__ == "__main__":
    main()

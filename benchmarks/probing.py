"""The vectors of the probe against a bare forward loop.

    python benchmarks/probing.py

Random sequences of 100 bp, as those of GUE's tf sets are. The bare loop has the token ids at hand, equally long, runs
the encoder on as many rows at a time, takes the mean of each layer and keeps the arrays; the probe begins with the
letters and ends with files. Weights are random, on a CPU in fp32.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import torch
from side_by_side import arguments, measure, milliseconds, ratio, report, table

from cmgems.config import Component
from cmgems.inference import Cutter, Engine
from cmgems.inference.layers import LayersEmbedder, kept_vectors, numbered_layers
from cmgems.models import ModelSource
from cmgems.tasks.forward import CPU_TOKENS
from cmgems.tokenization import KmerTokenizer, TokenMap
from cmgems.training import ComputeConfig, start_compute

TOKENIZER = KmerTokenizer(6)
BASES = 100
MODEL_NAMES = ("logo_small", "logo")
BARE, PROBE = "bare loop", "probe"


def embedder(name: str) -> LayersEmbedder:
    compute = start_compute(ComputeConfig(device="cpu", precision="fp32", threads=1), seed=0)
    source = ModelSource.of(Component(name, {}), Component("kmer6", {}))
    network = source.with_head("encoder", 0).eval()
    cutter = Cutter(TokenMap(TOKENIZER), source.config.max_positions)
    engine = Engine(network, cutter, compute, head="encoder", name=name)
    return LayersEmbedder(engine, layers=numbered_layers(engine, None))


@torch.no_grad()
def bare(network: torch.nn.Module, ids_NS: torch.Tensor) -> list[np.ndarray]:
    """The mean of each layer over the tokens of known bases, float32 (layers, B, D) of each batch."""
    found = []
    for ids_BS in ids_NS.split(CPU_TOKENS // ids_NS.shape[1]):
        states = network.outputs(ids_BS, None, hidden_states=True).hidden_states
        found.append(torch.stack([state_BSD[:, 1:-1].mean(1) for state_BSD in states]).numpy())
    return found


def candidates(name: str, sequences: list[str], folder: Path) -> dict[str, Callable[[], object]]:
    made_by, number = embedder(name), count()
    ids_NS = torch.from_numpy(np.stack([TOKENIZER.encode(sequence) for sequence in sequences])).long()
    kept = kept_vectors(made_by, sequences, folder / "first")
    expected = np.concatenate([states_LBD[-1] for states_LBD in bare(made_by.engine.encoder, ids_NS)])
    assert np.allclose(kept.of_layer(kept.layers[-1]), expected, atol=1e-5)
    return {
        BARE: partial(bare, made_by.engine.encoder, ids_NS),
        PROBE: lambda: kept_vectors(made_by, sequences, folder / str(next(number))),
    }


def main() -> None:
    parser = arguments(__doc__ or "", "probing.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rounds, sequences = (2, 20) if options.quick else (options.rounds, 2000)
    letters_NL = np.random.default_rng(0).choice(list("ACGT"), (sequences, BASES))
    rows = []
    for name in MODEL_NAMES:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(candidates(name, ["".join(row) for row in letters_NL], Path(folder)), rounds)
        times = [f"{milliseconds(found, way) / sequences:.3f}" for way in (BARE, PROBE)]
        rows.append([f"`{name}`", *times, f"{ratio(found, PROBE, BARE):.3f}"])
    header = ["", "bare loop, ms a sequence", "probe, ms a sequence", "times as long"]
    note = f"{sequences:,} sequences of {BASES} bp, all layers."
    report(
        options,
        "The probe's vectors",
        "probing.py",
        rounds,
        ["torch", "numpy"],
        note,
        table(header, rows),
    )


if __name__ == "__main__":
    main()

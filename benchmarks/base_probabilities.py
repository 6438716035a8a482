"""Ways to ask a masked language model of overlapping k-mers for one base: the table of docs/method.md.

    python benchmarks/base_probabilities.py RUN [RUN ...] --store STORE

RUN is a pretraining run or a model folder, STORE a genome it has not seen. Each position is the middle of a window as
long as the model reads, with nothing but A, C, G and T in it; all tokens that hold the base are masked.

Shape suffixes: J tokens that hold the base, V vocabulary, k places in a token, N positions, M estimates, 4 bases.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch
from side_by_side import arguments, table, write_page
from torch import Tensor

from cmgems.demo.simulate import write_demo_data
from cmgems.genome import BASES, GenomeStore
from cmgems.genome.alphabet import Codes
from cmgems.inference import Cutter, Engine
from cmgems.inference.pseudo_likelihood import MaskedRow, masked_rows
from cmgems.models import MODELS, load_model
from cmgems.progress import progress
from cmgems.tasks.forward import padded
from cmgems.tokenization import KmerTokenizer, TokenMap
from cmgems.training import Compute, ComputeConfig, start_compute

FOUR = "the four k-mers, "
ESTIMATES = (
    "all k-mers with b there, mean over the tokens",
    FOUR + "token that starts at the base",
    FOUR + "best single token",
    FOUR + "product over the tokens",
    FOUR + "geometric mean over the tokens",
    FOUR + "mean over the tokens",
)
BEST_SINGLE, GEOMETRIC, MEAN = 2, 4, 5
BATCH = 16

Nats = npt.NDArray[np.float64]


def windows(store: GenomeStore, length: int, count: int, seed: int) -> Iterator[Codes]:
    """``count`` windows without N, from anywhere in the genome."""
    rng = np.random.default_rng(seed)
    for _ in range(1000 * count):
        start = int(rng.integers(0, store.bases - length + 1))
        end_of_contig = store.offsets[np.searchsorted(store.offsets, start, "right")]
        codes = np.asarray(store.codes[start : start + length])
        if start + length <= end_of_contig and (codes < 4).all():
            yield codes
            count -= 1
        if not count:
            return
    sys.exit(f"error: the store has too few windows of {length} bp without N")


def nats_of(four_J4: Tensor, all_J4: Tensor, base: int) -> list[float]:
    """log p of ``base`` by each estimate, the best single token's left open, then by each token alone.

    Args:
        four_J4: What each token says by the four k-mers that agree with every other base; the last starts at the base.
        all_J4: What it says by all k-mers that have the base at its place.
        base: The base that is there.
    """
    log_J4 = four_J4.log()
    found_M4 = [
        all_J4.mean(0).log(),
        log_J4[-1],
        torch.full((4,), torch.nan, dtype=log_J4.dtype),
        log_J4.sum(0).log_softmax(0),
        log_J4.mean(0).log_softmax(0),
        four_J4.mean(0).log(),
        *log_J4,
    ]
    return [float(p_4[base]) for p_4 in found_M4]


@torch.no_grad()
def ask(engine: Engine, rows: list[MaskedRow], letters_Vk: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(four_J4, all_J4) of each row, which asks k tokens for one base."""
    limit, pad_id = engine.cutter.max_positions, engine.tokenizer.pad_id
    ids_BS, attention_BS = padded([row.ids_S for row in rows], pad_id, limit, engine.compute)
    positions_E = np.concatenate([b * ids_BS.shape[1] + row.positions_E for b, row in enumerate(rows)])
    positions = torch.from_numpy(positions_E).to(engine.compute.device)
    logits_EV = engine.network(ids_BS, attention_BS, positions).double().cpu()
    # The first of the tokens holds the base at its last place.
    letters_JV = letters_Vk.flip(1).T
    found = []
    for row, logits_JV in zip(rows, logits_EV.split(letters_Vk.shape[1]), strict=True):
        four_J4 = logits_JV.gather(1, torch.from_numpy(row.candidates_E4).long()).softmax(-1)
        p_JV = logits_JV.softmax(-1)
        all_J4 = torch.stack([(p_JV * (letters_JV == letter)).sum(1) for letter in range(4)], dim=1)
        found.append((four_J4, all_J4 / all_J4.sum(1, keepdim=True)))
    return found


def estimates(engine: Engine, store: GenomeStore, count: int, seed: int) -> Nats:
    """log p of the base (nats) by each estimate at each position, (N, M)."""
    tokens = engine.cutter.tokens
    if not tokens.overlapping:
        sys.exit("error: the model's tokens do not overlap: there is one way to ask it")
    length = engine.cutter.window_bp
    middle = length // 2
    known = tokens.tokenizer.known_ids
    letters_Vk = torch.full((len(tokens.vocabulary), tokens.tokenizer.k), -1)
    letters_Vk[known.start : known.stop] = torch.tensor(
        [[BASES.index(base) for base in tokens.vocabulary[i]] for i in known]
    )
    drawn = windows(store, length, count, seed)
    found = []
    with progress("asking", count, "positions") as advance:
        while batch := list(islice(drawn, BATCH)):
            rows = []
            for codes in batch:
                rows += masked_rows(tokens, engine.cutter.encode(codes), 0, middle, middle + 1)
            for codes, (four_J4, all_J4) in zip(batch, ask(engine, rows, letters_Vk), strict=True):
                found.append(nats_of(four_J4, all_J4, int(codes[middle])))
            advance(len(batch))
    nats = np.array(found)
    single = nats[:, len(ESTIMATES) :]
    nats[:, BEST_SINGLE] = single[:, single.mean(0).argmax()]
    return nats[:, : len(ESTIMATES)]


def spread(values_N: Nats) -> str:
    """Mean and its standard error."""
    return f"{values_N.mean():.3f} ± {values_N.std(ddof=1) / len(values_N) ** 0.5:.3f}"


def engine_of(folder: Path, compute: Compute) -> Engine:
    saved = load_model(folder)
    if saved.head != "masked_lm":
        sys.exit(f"error: {folder} is not a masked language model")
    cutter = Cutter(TokenMap(saved.tokenizer), saved.config.max_positions)
    return Engine(saved.model.to(compute.device), cutter, compute)


def tiny(folder: Path, compute: Compute) -> tuple[Engine, GenomeStore]:
    """A model without training and a simulated genome."""
    store = GenomeStore.build([write_demo_data(folder, bases=40_000).genome], folder / "store")
    config = MODELS.get("logo_tiny")
    cutter = Cutter(TokenMap(KmerTokenizer(6)), 64)
    return Engine(config.masked_lm().eval(), cutter, compute), store


def main() -> None:
    parser = arguments(__doc__ or "", "base_probabilities.md")
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--store", type=Path, help="genome store of the positions")
    parser.add_argument("--positions", type=int, default=1600, help="how many (1600)")
    parser.add_argument("--seed", type=int, default=0, help="decides which (0)")
    options = parser.parse_args()
    compute = start_compute(ComputeConfig(precision="fp32"), seed=0)
    count = 20 if options.quick else options.positions
    if options.quick:
        with TemporaryDirectory() as folder:
            engine, store = tiny(Path(folder), compute)
            found = {"untrained": estimates(engine, store, count, options.seed)}
    else:
        if not options.runs or options.store is None:
            parser.error("give a run and --store")
        store = GenomeStore.open(options.store)
        found = {
            run.name: estimates(engine_of(run, compute), store, count, options.seed) for run in options.runs
        }
    rows = [[name, *(spread(nats[:, m]) for nats in found.values())] for m, name in enumerate(ESTIMATES)]
    differences = ", ".join(
        f"{name} {spread(nats[:, GEOMETRIC] - nats[:, MEAN])}" for name, nats in found.items()
    )
    text = (
        "# Base probabilities\n\n"
        "Command: `python benchmarks/base_probabilities.py RUN [RUN ...] --store STORE`\n\n"
        f"Mean log p in nats and its standard error on {count:,} positions, seed {options.seed}. "
        f"Geometric less plain mean, paired: {differences}.\n\n"
    )
    text += table(["estimate", *(f"`{name}`" for name in found)], rows) + "\n"
    write_page(options, text)


if __name__ == "__main__":
    main()

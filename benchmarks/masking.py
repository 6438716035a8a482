"""Masking a batch: ours, Hugging Face's collator, and the papers' loops.

    python benchmarks/masking.py

Random DNA in windows of the reference lengths (half of them 510 bp, the others uniform from 5 to 510), random ranks;
6-mers, and for `pmi_spans`, which is for tokens that share no base, single bases.
Every side takes ids as a tensor and gives tensors back: the corrupted ids, and what is to be guessed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from side_by_side import Seconds, arguments, measure, milliseconds, ratio, report, table
from torch import Tensor
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

from cmgems.masking import STRATEGIES, Ranks, Strategy, is_side_by_side, mask_batch
from cmgems.pmi import PMITable
from cmgems.pmi.definitions import rank
from cmgems.recipes import shipped_tokenizers
from cmgems.tokenization import BaseTokenizer, KmerTokenizer, Tokenizer

STRATEGY_NAMES = (
    "uniform",
    "random_span",
    "uniform_rate",
    "loss_weighted",
    "genemask",
    "global_pmi",
    "annealed",
    "pmi_spans",
)
TOKENS = 512
TOKENIZER = KmerTokenizer(6)
HF = "Hugging Face `torch_mask_tokens`"
PAPERS = "the papers' loop, "


def batch_of(rows: int, tokenizer: Tokenizer) -> Tensor:
    """int32 (B, S) ids, as a collator pads them."""
    rng = np.random.default_rng(rows)
    lengths_B = np.where(rng.random(rows) < 0.5, 510, rng.integers(5, 510, rows)).astype(np.int32)
    codes_BL = rng.integers(0, 4, (rows, 510)).astype(np.uint8)
    return torch.from_numpy(tokenizer.encode_batch(codes_BL, lengths_B, TOKENS))


def ours(
    named: tuple[str, Strategy], ids_BS: Tensor, samples_B: np.ndarray, ranks: Ranks
) -> tuple[Tensor, ...]:
    masked = mask_batch(ids_BS.numpy(), samples_B, ranks, named, rate=0.15, seed=0)
    arrays = masked.ids_BS, masked.attention_BS, masked.positions_M, masked.labels_M
    return tuple(torch.from_numpy(array) for array in arrays)


def hugging_face(
    collator: DataCollatorForLanguageModeling, ids_BS: Tensor, specials_BS: Tensor
) -> tuple[Tensor, Tensor]:
    return collator.torch_mask_tokens(ids_BS.clone(), special_tokens_mask=specials_BS)


# The papers' way: sequence by sequence, token by token; a token's rank is found by decoding it to its k-mer.


def decode_rank(token: int, kmers: list[str], rank_of: dict[str, int]) -> int:
    return rank_of.get(kmers[token], 4**6)


def loop_centres(tokens: list[int], rate: float) -> list[int]:
    return [i for i, token in enumerate(tokens) if token >= 5 and random.random() < rate]


def loop_random_span(tokens: list[int], kmers: list[str], rank_of: dict[str, int]) -> set[int]:
    return {c + offset for c in loop_centres(tokens, 0.15 / 6) for offset in range(-2, 4)}


def loop_genemask(tokens: list[int], kmers: list[str], rank_of: dict[str, int]) -> set[int]:
    masked, best = set(), []
    for centre in loop_centres(tokens, 0.15 / 8.5):
        window = [i for i in range(centre - 2, centre + 4) if 0 <= i < len(tokens) and tokens[i] >= 5]
        masked.update(window)
        ranks = {i: decode_rank(tokens[i], kmers, rank_of) for i in window}
        position = min(ranks, key=lambda i: ranks[i])
        best.append((ranks[position], position))
    half = (len(best) + 1) // 2
    for _, position in sorted(best)[: half if half >= 5 else len(best)]:
        masked.update(range(position - 5, position + 6))
    return masked


def loop_global_pmi(tokens: list[int], kmers: list[str], rank_of: dict[str, int]) -> set[int]:
    count = len(loop_centres(tokens, 0.15 / 11))
    ranks = {i: decode_rank(token, kmers, rank_of) for i, token in enumerate(tokens) if token >= 5}
    masked: set[int] = set()
    for position in sorted(ranks, key=lambda i: ranks[i])[:count]:
        masked.update(range(position - 5, position + 6))
    return masked


LOOPS = {"random_span": loop_random_span, "genemask": loop_genemask, "global_pmi": loop_global_pmi}


def papers(name: str, ids_BS: Tensor, kmers: list[str], rank_of: dict[str, int]) -> tuple[Tensor, Tensor]:
    masked_BS = torch.zeros(ids_BS.shape, dtype=torch.bool)
    for b, tokens in enumerate(ids_BS.tolist()):
        positions = LOOPS[name](tokens, kmers, rank_of)
        masked_BS[b, [i for i in positions if 0 <= i < len(tokens) and tokens[i] >= 5]] = True
    inputs_BS, labels_BS = ids_BS.clone(), ids_BS.clone()
    labels_BS[~masked_BS] = -100
    replaced_BS = torch.bernoulli(torch.full(ids_BS.shape, 0.8)).bool() & masked_BS
    inputs_BS[replaced_BS] = TOKENIZER.mask_id
    random_BS = torch.bernoulli(torch.full(ids_BS.shape, 0.5)).bool() & masked_BS & ~replaced_BS
    inputs_BS[random_BS] = torch.randint(len(kmers), ids_BS.shape, dtype=ids_BS.dtype)[random_BS]
    return inputs_BS, labels_BS


def candidates(rows: int) -> dict[str, Callable[[], object]]:
    scores = np.random.default_rng(0).random(4096)
    table = PMITable(6, "exact", False, np.ones(4096, np.int64), scores, scores, rank(scores))
    kmers = TOKENIZER.vocabulary()
    rank_of = dict(zip(kmers, table.token_ranks(TOKENIZER).tolist(), strict=True))
    ids_BS = batch_of(rows, TOKENIZER)
    long_BS = ids_BS.long()
    stock = PreTrainedTokenizerFast.from_pretrained(shipped_tokenizers()["dnabert6"])
    collator = DataCollatorForLanguageModeling(stock, mlm_probability=0.15)
    found: dict[str, Callable[[], object]] = {HF: partial(hugging_face, collator, long_BS, long_BS < 5)}
    samples_B = np.arange(rows, dtype=np.uint64)
    for name in STRATEGY_NAMES:
        tokenizer = BaseTokenizer() if is_side_by_side(name) else TOKENIZER
        named = name, STRATEGIES.get(name)
        ranks = Ranks.of(table, tokenizer)
        found[name] = partial(ours, named, batch_of(rows, tokenizer), samples_B, ranks)
    for name in LOOPS:
        found[PAPERS + name] = partial(papers, name, long_BS, kmers, rank_of)
    return found


def rows_of(found: Seconds, rows: int) -> list[list[str]]:
    def line(name: str, label: str) -> list[str]:
        ms = milliseconds(found, name)
        over_papers = f"{ratio(found, PAPERS + name, name):.0f}" if name in LOOPS else ""
        return [
            label,
            f"{ms:.3f}",
            f"{rows * TOKENS / ms / 1000:.1f}",
            f"{ratio(found, HF, name):.2f}",
            over_papers,
        ]

    lines = [line(HF, HF)] + [line(name, f"cmgems `{name}`") for name in STRATEGY_NAMES]
    return lines + [line(PAPERS + name, f"the papers' loop, `{name}`") for name in LOOPS]


def main() -> None:
    parser = arguments(__doc__ or "", "masking.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rounds = 2 if options.quick else options.rounds
    parts = []
    for rows in (2, 4) if options.quick else (10, 256):
        found = measure(candidates(rows), rounds, seconds=0.01 if options.quick else 0.2)
        header = ["", "ms a batch", "M tokens/s", "times Hugging Face's speed", "times the papers' loop"]
        parts.append(
            f"## {rows} sequences of up to {TOKENS} tokens\n\n" + table(header, rows_of(found, rows))
        )
    note = (
        "The papers' loops are our own, written from their description: each sequence and each token in turn, ranks by "
        "decoding a token to its k-mer and looking that up. Tokens count padding."
    )
    packages = ["torch", "numpy", "numba", "transformers"]
    report(options, "Masking a batch", "masking.py", rounds, packages, note, *parts)


if __name__ == "__main__":
    main()

"""Forward, and forward and backward, of our models against Hugging Face's with the same weights.

    python benchmarks/models.py

Random DNA, rows without padding, dropout 0 on both sides (else each draws other numbers). Hugging Face's models
use PyTorch's scaled_dot_product_attention. "forward" makes the logits of every token on both sides. "training" is
forward and backward of the loss of 15 % of the tokens: ours computes the head at those alone, as in pretraining;
Hugging Face's computes all logits, as its classes do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from side_by_side import Seconds, arguments, measure, milliseconds, ratio, report, table
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForMaskedLM, EsmConfig, EsmForMaskedLM

from cmgems.models import MODELS, ModelConfig, PublishedModel

# Preset, layers (large models are cut to a few: the ratio is that of a layer), rows, tokens a row.
SIZES = {"logo": (2, 8, 512), "dnabert": (3, 2, 512), "nt_500m": (2, 1, 512)}
CLASSES = {"logo": (BertConfig, BertForMaskedLM), "dnabert": (BertConfig, BertForMaskedLM)}
MASKED_SHARE = 0.15


def pair(name: str, layers: int) -> tuple[nn.Module, nn.Module]:
    """Ours and theirs, with the same weights."""
    config: ModelConfig = replace(MODELS.get(name), layers=layers, hidden_dropout=0.0, attention_dropout=0.0)
    assert isinstance(config, PublishedModel)
    config_class, model_class = CLASSES.get(name, (EsmConfig, EsmForMaskedLM))
    torch.manual_seed(0)
    ours = config.masked_lm()
    info = config.huggingface_config("masked_lm")
    theirs = model_class._from_config(config_class(**info), attn_implementation="sdpa")
    theirs.load_state_dict(config.to_huggingface(ours.state_dict()), strict=False)
    return ours, theirs


def forward(model: nn.Module, ids_BS: Tensor, bf16: bool) -> Tensor:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        output = model(ids_BS)
    return output if isinstance(output, Tensor) else output.logits


def training(model: nn.Module, ids_BS: Tensor, positions_M: Tensor, ours: bool, bf16: bool) -> Tensor:
    model.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        if ours:
            logits_MV = model(ids_BS, None, positions_M)
            loss = cross_entropy(logits_MV.float(), ids_BS.flatten()[positions_M])
        else:
            labels_BS = torch.full_like(ids_BS, -100)
            labels_BS.view(-1)[positions_M] = ids_BS.flatten()[positions_M]
            loss = model(ids_BS, labels=labels_BS).loss
    loss.backward()
    return loss.detach()


def candidates(name: str, layers: int, rows: int, tokens: int, bf16: bool) -> dict[str, Callable[[], Tensor]]:
    ours, theirs = pair(name, layers)
    ids_BS = torch.randint(6, 4100, (rows, tokens))
    positions_M = torch.randperm(rows * tokens)[: int(MASKED_SHARE * rows * tokens)].sort().values
    found: dict[str, Callable[[], Tensor]] = {}
    for mode in ("eager", "compiled"):
        for side, model in (("cmgems", ours), ("Hugging Face", theirs)):
            called = torch.compile(model, dynamic=False) if mode == "compiled" else model
            found[f"forward, {mode}, {side}"] = partial(forward, called.eval(), ids_BS, bf16)
            found[f"training, {mode}, {side}"] = partial(
                training, called, ids_BS, positions_M, side == "cmgems", bf16
            )
    for work in ("forward", "training"):
        sides = [found[f"{work}, eager, {side}"]().float() for side in ("cmgems", "Hugging Face")]
        torch.testing.assert_close(*sides, atol=0.1 if bf16 else 1e-4, rtol=0)
    return found


def rows_of(found: Seconds, name: str, precision: str) -> list[list[str]]:
    lines = []
    for work in ("forward", "training"):
        better = min(
            ("eager", "compiled"), key=lambda mode: milliseconds(found, f"{work}, {mode}, Hugging Face")
        )
        for mode in ("eager", "compiled"):
            ours, theirs = f"{work}, {mode}, cmgems", f"{work}, {mode}, Hugging Face"
            lines.append(
                [
                    f"`{name}`",
                    precision,
                    work,
                    mode,
                    f"{milliseconds(found, ours):.1f}",
                    f"{milliseconds(found, theirs):.1f}",
                    f"{ratio(found, theirs, ours):.2f}",
                    f"{ratio(found, f'{work}, {better}, Hugging Face', ours):.2f}",
                ]
            )
    return lines


def main() -> None:
    options = arguments(__doc__ or "", "models.md").parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rounds = 2 if options.quick else options.rounds
    sizes = {"logo": (1, 1, 16)} if options.quick else SIZES
    rows: list[list[str]] = []
    for name, (layers, batch, tokens) in sizes.items():
        for precision in ("fp32", "bf16"):
            calls = candidates(name, layers, batch, tokens, precision == "bf16")
            if options.quick:  # compiling takes minutes
                calls = {key: calls[key.replace("compiled", "eager")] for key in calls}
            rows += rows_of(measure(calls, rounds, seconds=0.01), name, precision)
            torch.compiler.reset()
    header = [
        "model",
        "precision",
        "work",
        "mode",
        "cmgems, ms",
        "Hugging Face, ms",
        "times as fast",
        "times its better mode",
    ]
    cut = ", ".join(f"`{name}` {layers} layers, {b} x {s} tokens" for name, (layers, b, s) in sizes.items())
    notes = f"Same weights, dropout 0, no padding; {cut}. In training ours computes the head at masked tokens only."
    report(options, "Models", "models.py", rounds, ["torch", "transformers"], notes, table(header, rows))


if __name__ == "__main__":
    main()

"""LoRA (arXiv 2106.09685): fine-tuning a low-rank update of each frozen weight.

A linear layer W x + b becomes W x + b + (alpha / r) B A x. Only A (r rows), B (r columns) and the head
are trained. B starts at zero, so the model is unchanged before the first step. Afterwards (alpha / r) B A is added to
W, and a plain model is saved.

Shape suffixes: I inputs, O outputs of a layer, P adapted parts of it, R = P * r.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear

from cmgems.errors import CmgemsError

Target = Literal["query", "key", "value", "attention_output", "ffn_input", "ffn_output"]
TARGETS: tuple[Target, ...] = get_args(Target)
# Projections that our encoders compute in one matmul, in the order in which they are stacked.
FUSED = {"qkv": ("query", "key", "value")}


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank adapters; the defaults are those the Nucleotide Transformers were fine-tuned with on GUE
    (arXiv 2306.15006, learning rate 1e-4).

    Attributes:
        r: Rank of each update.
        alpha: The update is scaled by alpha / r.
        dropout: Share of an adapter's inputs dropped in training.
        targets: Which layers get one. By default all of a transformer layer, there "query,key,value,dense":
            Hugging Face's classes call the last three "dense".
    """

    r: int = 8
    alpha: float = 16.0
    dropout: float = 0.05
    targets: tuple[Target, ...] = TARGETS

    def __post_init__(self) -> None:
        if self.r < 1:
            raise CmgemsError(f"`r` must be 1 or more, but is {self.r}")
        if self.alpha <= 0:
            raise CmgemsError(f"`alpha` must be above 0, but is {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise CmgemsError(f"`dropout` must be in [0, 1), but is {self.dropout}")
        if not self.targets:
            raise CmgemsError("`targets` must name a layer", fix=f"choose from {', '.join(TARGETS)}")


class LoRALinear(nn.Module):
    """A linear layer with a low-rank update; ``weight`` and ``bias`` keep their names.

    Args:
        layer: The layer; its parameters are taken over.
        config: Rank, scale and dropout.
        adapted: For each of the equal parts stacked in the layer's outputs, whether it gets an update. Each has
            a pair (A, B) of its own, as if the parts were layers of their own; what is dropped is the same for all.
    """

    def __init__(self, layer: nn.Linear, config: LoraConfig, adapted: Sequence[bool] = (True,)) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.scale = config.alpha / config.r
        self.dropout = config.dropout
        self.adapted = tuple(adapted)
        parts, outputs = sum(self.adapted), layer.out_features // len(self.adapted)
        self.lora_a = nn.Parameter(self.weight.new_empty(parts * config.r, layer.in_features))
        self.lora_b = nn.Parameter(self.weight.new_zeros(parts, outputs, config.r))
        # As in the code released with the paper: what PyTorch fills a linear layer with.
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    def forward(self, x_I: Tensor) -> Tensor:
        """Outputs for any leading dimensions."""
        low_R = linear(dropout(x_I, self.dropout, self.training), self.lora_a)
        return linear(x_I, self.weight, self.bias) + self.scale * linear(low_R, self.up())

    def up(self) -> Tensor:
        """The B of all parts in one matrix_OR: block-diagonal, with rows of zeros for parts without an update."""
        pairs = list(self.lora_b.unbind())
        empty = self.lora_b.new_zeros(self.lora_b.shape[1], 0)
        up_OR: Tensor = torch.block_diag(*[pairs.pop(0) if part else empty for part in self.adapted])
        return up_OR

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """A plain layer that computes the same, but for dropout; the sum is made in float32."""
        update_OI = self.scale * (self.up().float() @ self.lora_a.float())
        outputs, inputs = self.weight.shape
        plain = nn.Linear(inputs, outputs, bias=False, device="meta")
        plain.weight = nn.Parameter((self.weight.float() + update_OI).to(self.weight.dtype))
        plain.bias = self.bias
        return plain


def add_lora(model: nn.Module, config: LoraConfig) -> None:
    """Give the layers of ``model.encoder`` their adapters and freeze the rest of it; the head is trained in full.

    Call it before the model is compiled and its optimizer built. The A are drawn from the global generator.

    Raises:
        CmgemsError: if the encoder has none of the targets.
    """
    encoder = model.get_submodule("encoder").requires_grad_(False)
    found = False
    for name, layer in list(encoder.named_modules()):
        own = name.rpartition(".")[2]
        adapted = [part in config.targets for part in FUSED.get(own, (own,))]
        if isinstance(layer, nn.Linear) and any(adapted):
            encoder.set_submodule(name, LoRALinear(layer, config, adapted))
            found = True
    if not found:
        raise CmgemsError(
            "no layer to adapt",
            where="lora.targets",
            why=f"the model has no linear layer named {', '.join((*FUSED, *TARGETS))}",
            fix="fine-tune it without LoRA",
        )


def merge_lora(model: nn.Module) -> nn.Module:
    """A plain copy of ``model``, on the CPU: adapters added to the weights, every tensor under its old name.

    It computes the same up to the rounding of float32.
    """
    # On the CPU, since a GPU may multiply in TF32.
    merged = copy.deepcopy(model).cpu()
    for name, layer in list(merged.named_modules()):
        if isinstance(layer, LoRALinear):
            merged.set_submodule(name, layer.merged())
    return merged.requires_grad_(True)

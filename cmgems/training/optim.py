"""AdamW, linear warm-up and linear decay, as DNABERT and its successors were trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from cmgems.errors import CmgemsError


@dataclass(frozen=True)
class OptimConfig:
    """Optimizer and schedule.

    Attributes:
        lr: Peak learning rate.
        warmup: Steps of linear warm-up.
        weight_decay: Not applied to biases and LayerNorm.
        beta1, beta2, eps: AdamW's.
        clip: Largest norm of the gradient; 0 for no clipping.
    """

    lr: float = 8e-4
    warmup: int = 500
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.98
    eps: float = 1e-6
    clip: float = 1.0

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise CmgemsError(f"`lr` must be above 0, but is {self.lr}")
        if self.warmup < 0 or self.clip < 0 or self.weight_decay < 0:
            raise CmgemsError("`warmup`, `clip` and `weight_decay` must be 0 or more")


def learning_rate(config: OptimConfig, step: int, steps: int) -> float:
    """Learning rate of optimizer step ``step`` (from 0) of ``steps``.

    Rises linearly to ``config.lr`` over the warm-up, then falls linearly to reach 0 after the last step.
    """
    warmup = min(config.warmup, steps)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    return config.lr * (steps - step) / max(1, steps - warmup)


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only (biases and LayerNorm weights are vectors)."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=config.lr, betas=(config.beta1, config.beta2), eps=config.eps, fused=True
    )


def apply_gradients(
    model: nn.Module, optimizer: torch.optim.Optimizer, config: OptimConfig, lr: float
) -> torch.Tensor:
    """Clip, step, clear. Returns the gradient's norm before clipping, a scalar."""
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip or float("inf"))
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm

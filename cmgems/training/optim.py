"""AdamW, linear warm-up and a decay, and smaller steps for lower layers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from cmgems.errors import CmgemsError
from cmgems.training.memory import out_of_memory

_LAYER = re.compile(r"encoder\.layers\.(\d+)\.")


@dataclass(frozen=True)
class OptimConfig:
    """Optimizer and schedule.

    Attributes:
        lr: Peak learning rate.
        warmup: Steps of linear warm-up; below 1 a share of all steps (0.1: the first tenth).
        schedule: What follows: a fall to 0 after the last step, linear as DNABERT and its successors were trained or
            along half a cosine, or `constant`.
        layer_decay: Each layer learns at this share of the rate of the one above it (arXiv 1801.06146); the head
            and the last layer at the full rate, the embeddings below the first. 1 is off.
        weight_decay: Not applied to biases and LayerNorm.
        beta1, beta2, eps: AdamW's.
        clip: Largest norm of the gradient; 0 for no clipping.
    """

    lr: float = 8e-4
    warmup: float = 500
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    layer_decay: float = 1.0
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
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1 and self.eps >= 0):
            raise CmgemsError("`beta1` and `beta2` must be in [0, 1), and `eps` 0 or more")
        if self.warmup > 1 and self.warmup % 1:
            raise CmgemsError(
                f"`warmup` must be a whole number of steps or a share below 1, but is {self.warmup}"
            )
        if not 0 < self.layer_decay <= 1:
            raise CmgemsError(f"`layer_decay` must be above 0 and at most 1, but is {self.layer_decay}")
        if self.warmup >= 1:  # 500, not 500.0, in config.yaml
            object.__setattr__(self, "warmup", int(self.warmup))


def learning_rate(config: OptimConfig, step: int, steps: int) -> float:
    """Learning rate of optimizer step ``step`` (from 0) of ``steps``; parameters of lower layers get a share of it.

    Rises linearly to ``config.lr`` over the warm-up, then follows the schedule.
    """
    warmup = round(config.warmup * steps) if config.warmup < 1 else min(int(config.warmup), steps)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    left = (steps - step) / max(1, steps - warmup)
    return (
        config.lr
        * {"linear": left, "cosine": (1 - math.cos(math.pi * left)) / 2, "constant": 1.0}[config.schedule]
    )


def layer_shares(model: nn.Module, decay: float) -> dict[str, float]:
    """Share of the learning rate of each parameter, by name: ``decay`` to the number of layers above it.

    All ``encoder.layers`` are above the parameters of the embeddings; none is above those of the last layer and of
    what is defined after it, a last LayerNorm and the head.

    Raises:
        CmgemsError: if ``decay`` is not 1 and the model has no ``encoder.layers``.
    """
    names = [name for name, _ in model.named_parameters()]
    layer_of = {name: int(match[1]) for name in names if (match := _LAYER.match(name))}
    if not layer_of and decay != 1:
        raise CmgemsError(
            "no layers to tell apart",
            where="optim.layer_decay",
            why="the model has no encoder.layers",
            fix="set optim.layer_decay=1",
        )
    layers = above = max(layer_of.values(), default=-1) + 1
    shares = {}
    for name in names:  # in the order of their definition
        above = layers - 1 - layer_of[name] if name in layer_of else above
        shares[name] = decay**above
    return shares


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over the parameters that are trained, a group for each layer's learning rate and with and without decay.

    Matrices are decayed, vectors (biases and LayerNorm weights) are not.

    Raises:
        CmgemsError: as ``layer_shares``.
    """
    shares = layer_shares(model, config.layer_decay)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((shares[name], parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": config.weight_decay if decayed else 0.0,
                "lr": config.lr * share,
                "lr_share": share,
            }
            for (share, decayed), parameters in groups.items()
        ],
        betas=(config.beta1, config.beta2),
        eps=config.eps,
        fused=True,
    )


def apply_gradients(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    config: OptimConfig,
    lr: float,
    loss: Tensor | None = None,
) -> Tensor:
    """Clip, step, clear. Nothing but the clearing happens if the loss or the gradient's norm is not finite.

    With a fused optimizer, such as ``build_optimizer``'s, the host waits for nothing: the optimizer itself skips.

    Args:
        model: Holds the gradients.
        optimizer: Updated in place.
        config: For clipping.
        lr: Learning rate of this step; a group with an ``lr_share`` takes that share of it.
        loss: Of this step, a scalar; None to look at the norm alone.

    Returns:
        The gradient's norm before clipping, a float32 scalar; NaN if the loss is not finite.
    """
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip or float("inf"))
    if hasattr(norm, "full_tensor"):  # a DTensor, of a sharded model
        norm = norm.full_tensor()
    if loss is not None:
        norm = torch.where(loss.isfinite(), norm, torch.nan)
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_share", 1.0)
    with out_of_memory("the optimizer's step", "choose a smaller model, or train on several GPUs"):
        if optimizer.defaults.get("fused"):
            setattr(optimizer, "found_inf", (~norm.isfinite()).float())  # noqa: B010 - as GradScaler tells it
            optimizer.step()
        elif norm.isfinite():
            optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm

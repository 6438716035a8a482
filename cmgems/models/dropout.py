"""Dropout with cheap random numbers on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# On a CPU PyTorch draws a number for each element; here 16 bits of a 64-bit number decide for one element.
_LEVELS = 1 << 16
_LOWEST = torch.iinfo(torch.int64).min


class Dropout(nn.Module):
    """Zeroes each element with probability ``p`` in training and scales the others by 1 / (1 - p).

    Args:
        p: In [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape and dtype of ``x``."""
        return dropout(x, self.p) if self.training else x

    def extra_repr(self) -> str:
        """Shown when a model is printed."""
        return f"p={self.p}"


def dropout(x: Tensor, p: float) -> Tensor:
    """``x`` with elements dropped; on a CPU in eager mode ``p`` is rounded to a multiple of 1/65536."""
    if p == 0 or x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, p)
    threshold = min(round(p * _LEVELS), _LEVELS - 1)  # never drop all
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(_LOWEST, None)
    draws = words.view(torch.int16)[: x.numel()].view(x.shape)
    return x * (draws >= threshold - _LEVELS // 2) * (1 / (1 - threshold / _LEVELS))

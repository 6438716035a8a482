"""How much the labels of each class count in a loss.

Shape suffix: C classes or labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from textwrap import shorten
from typing import Literal

import numpy as np
import torch

from cmgems.errors import CmgemsError

Weights = Literal["balanced"] | tuple[float, ...] | None


def check_weights(field: str, weights: Weights) -> None:
    """Check the weights of a config.

    Raises:
        CmgemsError: if one is not above 0.
    """
    if isinstance(weights, tuple) and not all(weight > 0 for weight in weights):
        raise CmgemsError(f"`{field}` must be above 0, but {min(weights)} is among them")


def check_smoothing(share: float) -> None:
    """Check the smoothing of a config.

    Raises:
        CmgemsError: if it is not a share below 1.
    """
    if not 0 <= share < 1:
        raise CmgemsError(f"`label_smoothing` must be in [0, 1), but is {share}")


def fit_weights(
    field: str, weights: Weights, balanced_C: np.ndarray, names: Sequence[str]
) -> tuple[float, ...] | None:
    """The weights of a config as one number for each class, None for none.

    Args:
        field: What the config calls them.
        weights: The weights.
        balanced_C: What they are if they are `balanced`.
        names: What each class is called.

    Raises:
        CmgemsError: if there is not one for each class.
    """
    if weights == "balanced":
        return tuple(balanced_C.tolist())
    if weights is not None and len(weights) != len(names):
        raise CmgemsError(
            f"{len(weights)} weights for {len(names)} classes",
            where=f"task.{field}",
            why="train has " + shorten(", ".join(names), 80, placeholder=" ..."),
            fix="give one for each, in this order, or balanced",
        )
    return weights


def inverse_frequencies(counts_C: np.ndarray) -> np.ndarray:
    """Weights by which all classes that are there count alike, 1 for the mean label; 1 for one that is not there.

    King and Zeng, Political Analysis 2001; scikit-learn's "balanced".
    """
    there_C = counts_C > 0
    mean = counts_C.sum() / there_C.sum()
    return np.where(there_C, mean / np.maximum(counts_C, 1), 1.0)


@lru_cache(maxsize=8)
def as_tensor(weights: Weights, device: torch.device) -> torch.Tensor | None:
    """Fitted weights as float32 (C,) on ``device``, copied there once: a GPU would wait for every copy."""
    return None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)

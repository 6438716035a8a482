"""How much arithmetic training takes, and how much a GPU could do.

Model FLOPs as in PaLM's appendix B (arXiv 2204.02311): a multiply and an add for each weight of a matrix and token
forward, twice that backward, and the two matrix products of attention. Padding and recomputation do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cmgems.masking import MaskedBatch
from cmgems.models import ModelConfig
from cmgems.models.lora import LoRALinear
from cmgems.training.compute import Compute

# Dense bf16 TFLOP/s by NVIDIA's datasheets; the first name that a GPU's own contains counts.
PEAK_TFLOPS = {
    "B200": 2250,
    "H200": 989,
    "H100 PCIe": 756,
    "H100 NVL": 835,
    "H100": 989,
    "H800": 989,
    "A100": 312,
    "A800": 312,
    "A40": 150,
    "A30": 165,
    "L40S": 362,
    "L4": 121,
}


@dataclass(frozen=True)
class TrainingFlops:
    """FLOPs of training a masked language model.

    Attributes:
        token: Of each token, whatever its row.
        pair: Of each pair of tokens of a row, in attention.
        masked: Of each masked token, in the head.
    """

    token: float
    pair: float
    masked: float

    def of(self, batch: MaskedBatch) -> float:
        """FLOPs of a step over this batch."""
        lengths_B = batch.attention_BS.sum(1)
        tokens, pairs = float(lengths_B.sum()), float((lengths_B**2).sum())
        return self.token * tokens + self.pair * pairs + self.masked * len(batch.positions_M)


def training_flops(model: nn.Module, config: ModelConfig) -> TrainingFlops:
    """FLOPs of training all of ``model``, read from its linear layers; those outside the encoder run at masked tokens
    only. LoRA's adapters are not counted.

    Args:
        model: A masked language model; a decoder tied to the token embedding is not counted as a layer.
        config: Its config. One without ``layers`` and ``hidden`` is taken to have no attention.
    """
    sizes: Any = config
    encoder: Any = model.encoder
    in_encoder = set(encoder.modules())
    layers = [module for module in encoder.modules() if isinstance(module, nn.Linear | LoRALinear)]
    encoder_weights = sum(layer.weight.numel() for layer in layers)
    head = [m for m in model.modules() if isinstance(m, nn.Linear) and m not in in_encoder]
    head_weights = sum(module.weight.numel() for module in head)
    if all(module.out_features != config.vocab_size for module in head):
        head_weights += encoder.word.weight.numel()
    attention = getattr(sizes, "layers", 0) * getattr(sizes, "hidden", 0)
    return TrainingFlops(token=6 * encoder_weights, pair=12 * attention, masked=6 * head_weights)


def peak_flops(compute: Compute) -> float | None:
    """FLOP/s of the GPU in bf16 by its datasheet; None for other GPUs, on a CPU and in fp32."""
    if compute.device.type != "cuda" or not compute.bf16:
        return None
    return peak_of(torch.cuda.get_device_name(compute.device))


def peak_of(name: str) -> float | None:
    """FLOP/s of a GPU called ``name`` ('NVIDIA H200')."""
    words = name.replace("-", " ")
    for gpu, tflops in PEAK_TFLOPS.items():
        if f" {gpu} " in f" {words} ":
            return tflops * 1e12
    return None

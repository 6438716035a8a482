"""From the tensors of a file to those of one of our models: wrappers, number formats, tied and spare rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cmgems.errors import CheckpointError, few
from cmgems.models import PublishedModel

# Every encoder of BERT and ESM has this tensor; what stands before it are the names of modules around the encoder.
ANCHOR = "encoder.layer.0.attention.output.dense.weight"
# What PyTorch's own wrappers add to a name, anywhere in it: data parallel, compiled, sharded, recomputed.
WRAPPER = re.compile(r"(?<![^.])(module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
EXACT = (torch.float32, torch.float16, torch.bfloat16)  # float32 has each of their values
FLOATS = (*EXACT, torch.float64)
# A vocabulary is padded to a multiple of one of these, for speed on a GPU.
MULTIPLES = (8, 16, 32, 64, 128)


def unwrap(state: Mapping[str, Tensor], prefix: str, where: Path) -> dict[str, Tensor]:
    """The tensors under the names of the published classes.

    Names of wrappers go, and so does what encloses the whole model: ``module.bert.encoder...`` (DataParallel),
    ``_orig_mod...`` (torch.compile), ``model...`` (Lightning), nested too. An encoder that was saved alone gets its
    ``prefix``.

    Args:
        state: The tensors of a file.
        prefix: What the published names of the encoder begin with ("bert").
        where: Their folder, for messages.

    Raises:
        CheckpointError: if two tensors get the same name, or there are adapters, several encoders, or tensors beside
            what encloses the model.
    """
    if adapters := [name for name in state if ".lora_" in name]:
        fix = "save the model after merge_and_unload()"
        raise CheckpointError("LoRA adapters that are not merged", where=where, why=few(adapters), fix=fix)
    names = {name: WRAPPER.sub("", name) for name in state}
    around = [name.removesuffix(ANCHOR) for name in names.values() if f".{name}".endswith(f".{ANCHOR}")]
    if len(around) > 1:
        fix = "save the one to use alone, with save_pretrained()"
        raise CheckpointError(
            "several encoders", where=where, why=few([f"{name}{ANCHOR}" for name in around]), fix=fix
        )
    if around:
        alone = not f".{around[0]}".endswith(f".{prefix}.")
        outer = around[0] if alone else around[0].removesuffix(f"{prefix}.")
        if beside := [name for name in names.values() if not name.startswith(outer)]:
            raise CheckpointError(
                "unknown tensors",
                where=where,
                why=f"the model is {outer}*, and beside it are {few(beside)}",
                fix="save the model alone, with save_pretrained()",
            )
        added = f"{prefix}." if alone else ""
        names = {name: added + inner.removeprefix(outer) for name, inner in names.items()}
    if twice := [name for name, count in Counter(names.values()).items() if count > 1]:
        fix = "save the model again, with save_pretrained()"
        raise CheckpointError("tensors of the same name", where=where, why=few(twice), fix=fix)
    return {names[name]: tensor for name, tensor in state.items()}


def check_numbers(state: Mapping[str, Tensor], where: Path) -> list[str]:
    """Check that the weights are numbers as they are, and say in which formats they come if not in float32.

    Raises:
        CheckpointError: if they are quantized, or one is not a finite number.
    """
    if quantized := [
        f"{name} is {_format(tensor)}" for name, tensor in state.items() if tensor.dtype not in FLOATS
    ]:
        fix = "give the weights that were quantized"
        raise CheckpointError("quantized weights", where=where, why=few(quantized), fix=fix)
    if broken := [name for name, tensor in state.items() if not tensor.isfinite().all()]:
        fix = "give an earlier checkpoint"
        raise CheckpointError("weights that are NaN or infinite", where=where, why=few(broken), fix=fix)
    formats = {tensor.dtype: _format(tensor) for tensor in state.values() if tensor.dtype != torch.float32}
    return [
        f"weights in {name} {'become float32, exactly' if dtype in EXACT else 'are rounded to float32'}"
        for dtype, name in formats.items()
    ]


def _format(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def settle_decoder(
    config: PublishedModel, info: Mapping[str, Any], theirs: Mapping[str, Tensor], ours: dict[str, Tensor]
) -> None:
    """See that a masked language model has the decoder that its ``config.json`` says; a tied one may be missing.

    Args:
        config: Of the model.
        info: The content of ``config.json``; ``tie_word_embeddings`` is true if it is not there, as in transformers.
        theirs: The tensors under their published names.
        ours: The same under ours; a decoder that is a matrix of its own only here is added.

    Raises:
        CheckpointError: if there is no decoder that should be, or another where it should be the token embedding.
    """
    tied = info.get("tie_word_embeddings", True)
    if "head.dense.weight" not in ours or "encoder.word.weight" not in ours:
        return
    if config.tied and not tied and not any(name.endswith("decoder.weight") for name in theirs):
        raise CheckpointError(
            "no decoder", why="tie_word_embeddings is false", fix="download or save the weights again"
        )
    if tied and not config.tied:
        word_VD = ours["encoder.word.weight"]
        if not torch.equal(ours.setdefault("head.decoder.weight", word_VD), word_VD):
            raise CheckpointError(
                "decoder not tied",
                where="lm_head.decoder.weight",
                why="tie_word_embeddings is true, yet it differs from the token embedding",
                fix="set tie_word_embeddings to false in config.json if it has weights of its own",
            )


def without_spare_rows(state: dict[str, Tensor], rows: int, tokens: int) -> list[str]:
    """Cut the rows that no token has from the embedding and decoder, where a vocabulary was padded, and say so.

    Args:
        state: The tensors under our names; changed.
        rows: Of the model's vocabulary.
        tokens: Of the tokenizer.
    """
    if not is_padded(rows, tokens):
        return []
    for name in ("encoder.word.weight", "head.decoder.weight", "head.bias"):
        if name in state and len(state[name]) == rows:
            state[name] = state[name][:tokens].clone()
    return [f"the last {rows - tokens} of {rows} rows of the vocabulary stand for no token and are left out"]


def is_padded(rows: int, tokens: int) -> bool:
    """Whether ``rows`` is ``tokens`` rounded up."""
    return rows > tokens and any(rows == -(-tokens // multiple) * multiple for multiple in MULTIPLES)

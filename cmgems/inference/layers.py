"""The vectors of several layers from one pass over the sequences, kept in files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from cmgems.errors import CmgemsError
from cmgems.files import atomic_folder
from cmgems.genome import alphabet
from cmgems.inference.embed import Embedder, count_layers
from cmgems.inference.engine import Advance, Engine, ignore
from cmgems.inference.sequences import NamedSequence


@dataclass(frozen=True)
class LayersEmbedder(Embedder):
    """As ``Embedder``, with the vectors of several layers side by side: float32 (N, layers * D).

    Attributes:
        layers: Numbers from 0, the embeddings; ``layer`` is not used.
    """

    layers: tuple[int, ...] = ()

    def _hidden(self, ids_BS: Tensor, attention_BS: Tensor | None) -> Tensor:
        states = self.engine.encoder.outputs(ids_BS, attention_BS, hidden_states=True).hidden_states or ()
        return torch.cat([states[layer].float() for layer in self.layers], dim=-1)


def numbered_layers(engine: Engine, wanted: Sequence[int] | None) -> tuple[int, ...]:
    """Layers by their numbers from 0, the embeddings.

    Args:
        engine: The model.
        wanted: From 0, or from -1, the last; None for all.

    Raises:
        CmgemsError: if there is no such layer, or one twice.
    """
    last = count_layers(engine)
    if wanted is None:
        return tuple(range(last + 1))
    found = tuple(layer + last + 1 if layer < 0 else layer for layer in wanted)
    for layer, number in zip(wanted, found, strict=True):
        if not 0 <= number <= last:
            fix = f"give 0 (the embeddings) to {last}, or -1 (the last) to {-last - 1}"
            raise CmgemsError("no such layer", where="layers", why=f"{layer} of {last} layers", fix=fix)
    if len(set(found)) < len(found):
        raise CmgemsError(
            "a layer twice", where="layers", why=", ".join(map(str, wanted)), fix="give each once"
        )
    return found


@dataclass(frozen=True)
class KeptVectors:
    """The vectors of N sequences, a file for each layer.

    Attributes:
        folder: Holds them.
        layers: Their numbers.
    """

    folder: Path
    layers: tuple[int, ...]

    def of_layer(self, layer: int) -> npt.NDArray[np.float32]:
        """float32 (N, D)."""
        vectors_ND: npt.NDArray[np.float32] = np.load(_file(self.folder, layer))
        return vectors_ND


def kept_vectors(
    embedder: LayersEmbedder, bases: Sequence[str], folder: Path, advance: Advance = ignore
) -> KeptVectors:
    """The vectors of sequences: those in ``folder``, or new ones, which are written there, whole or not at all.

    Args:
        embedder: Makes them.
        bases: N sequences that the model can read.
        folder: Holds vectors of any models and sequences, each in a folder named after what they depend on.
        advance: Told the number of bases done.

    Raises:
        CmgemsError: if they cannot be written.
    """
    place = folder / _digest(embedder, bases)
    if not place.is_dir():
        try:
            with atomic_folder(place) as partial:
                _write(embedder, bases, partial, advance)
        except CmgemsError:
            if not place.is_dir():  # another process was first
                raise
    return KeptVectors(place, embedder.layers)


def _write(embedder: LayersEmbedder, bases: Sequence[str], folder: Path, advance: Advance) -> None:
    """Embed sequences into the files of ``folder``; some rows at a time are in memory."""
    sequences = (NamedSequence(str(i), alphabet.encode(row.encode()), "") for i, row in enumerate(bases))
    files: list[npt.NDArray[np.float32]] = []
    done = 0
    for part in embedder.embed(sequences, advance):
        of_layers = np.split(part.vectors, len(embedder.layers), axis=1)
        if not files:
            shape = len(bases), of_layers[0].shape[1]
            files = [open_memmap(_file(folder, layer), "w+", np.float32, shape) for layer in embedder.layers]
        for file, vectors_ND in zip(files, of_layers, strict=True):
            file[done : done + len(vectors_ND)] = vectors_ND
        done += len(part.vectors)


def _file(folder: Path, layer: int) -> Path:
    return folder / f"layer_{layer:02d}.npy"


def _digest(embedder: LayersEmbedder, bases: Sequence[str]) -> str:
    """What the vectors depend on, as a name: weights, tokenizer, settings and sequences."""
    engine = embedder.engine
    settings = (engine.tokenizer, engine.cutter.max_positions, engine.compute.device.type, engine.compute.bf16,
                embedder.layers, embedder.pool, embedder.both_strands)  # fmt: skip
    digest = hashlib.sha256(repr(settings).encode())
    for name, tensor in engine.encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    for row in bases:
        digest.update(f"{row}\n".encode())
    return digest.hexdigest()[:32]

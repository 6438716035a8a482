"""The files of a published checkpoint, from the Hugging Face Hub."""

from __future__ import annotations

import sys
from pathlib import Path

from cmgems.download.hub import HubFile, HubRepo, choose, fetch_file, find_repo
from cmgems.errors import CheckpointError
from cmgems.export.tensors import FORMATS
from cmgems.progress import human

CONFIG, INDEX = "config.json", ".index.json"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def load_checkpoint(name: str) -> Path:
    """Load what ``read_huggingface`` reads, and no code, into Hugging Face's cache; says on stderr how much it is.

    Args:
        name: "owner/name", or "owner/name@revision".

    Returns:
        The folder.

    Raises:
        CheckpointError: if the repository has no config or no weights.
        DataError: if it is not there, cannot be loaded, or a file is another than the hub says.
    """
    repo = find_repo(name)
    files = choose(repo, (CONFIG, *TOKENIZER)) + _weights(repo)
    if files[0].name != CONFIG:
        raise CheckpointError(f"no {CONFIG}", where=repo.title, fix="name a repository of a model")
    size = human(sum(file.size for file in files))
    print(f"{repo.title}: {', '.join(file.name for file in files)}, {size}B", file=sys.stderr)
    places = [fetch_file(repo, file) for file in files]
    return places[0].parent


def _weights(repo: HubRepo) -> list[HubFile]:
    """The weights in the first format that is there, safetensors before pickles, with all their shards."""
    for name in FORMATS:
        chosen = choose(repo, [name])
        if chosen and name.endswith(INDEX):
            start, _, ending = name.removesuffix(INDEX).rpartition(".")
            chosen += [
                file
                for file in repo.files
                if file.name.startswith(f"{start}-") and file.name.endswith(f".{ending}")
            ]
        if chosen:
            return chosen
    why = f"neither {FORMATS[0]} nor {FORMATS[2]} is there"
    raise CheckpointError("no weights", where=repo.title, why=why, fix="name another repository")

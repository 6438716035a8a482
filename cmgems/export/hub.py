"""Fetching published models from the Hugging Face hub. The only module that knows huggingface_hub.

No code is ever fetched: only the settings, the vocabulary, and the weights that transformers would read, safetensors
before others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cmgems.errors import CheckpointError, CmgemsError
from cmgems.export.tensors import FORMATS

NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
SETTINGS = ("config.json", "vocab.txt", "tokenizer.json")
FIX = "give a folder, or OWNER/NAME of a model on the Hugging Face hub"


@dataclass(frozen=True)
class Source:
    """A Hugging Face folder on this disk.

    Attributes:
        folder: Where.
        origin: What it was: the name of the folder, or OWNER/NAME@COMMIT of the hub.
    """

    folder: Path
    origin: str


def find_source(given: Path, revision: str | None = None) -> Source:
    """A folder; or, if there is none and it reads OWNER/NAME, a model of the hub, fetched into the hub's cache.

    Args:
        given: Folder or name.
        revision: Branch, tag or commit of the hub; None for its main branch.

    Raises:
        CmgemsError: for a revision of a folder; or if the hub has no such model, wants a login, or cannot be reached.
        CheckpointError: if what it has is no model.
    """
    name = str(given)
    if not given.exists() and NAME.fullmatch(name):
        return _fetch(name, revision)
    if revision is not None:
        raise CmgemsError(
            "a revision of a folder", where="--revision", fix="leave it out: the hub has revisions"
        )
    return Source(given, given.resolve().name)


def _fetch(name: str, revision: str | None) -> Source:
    from huggingface_hub import HfApi

    hub = HfApi()
    with _told(name, revision):
        info = hub.model_info(name, revision=revision)

        # By its commit: what is fetched now and after an interruption belongs together.
        def fetch(file: str) -> Path:
            return Path(hub.hf_hub_download(name, file, revision=info.sha))

        files = [sibling.rfilename for sibling in info.siblings or ()]
        wanted = _wanted(name, files)
        for file in wanted:
            path = fetch(file)
        for shard in _shards(path) if path.suffix == ".json" else ():
            fetch(shard)
    return Source(path.parent, f"{name}@{info.sha}")


def _wanted(name: str, files: Sequence[str]) -> list[str]:
    """Which files of a model to fetch, the weights or their index last."""
    weights = next((file for file in FORMATS if file in files), None)
    if weights is None or SETTINGS[0] not in files:
        missing = "no config.json" if weights else f"no {FORMATS[0]} or {FORMATS[2]}"
        raise CheckpointError(
            "not a model", where=name, why=f"the hub has {missing} of it", fix="name another"
        )
    return [*(file for file in SETTINGS if file in files), weights]


def _shards(index: Path) -> list[str]:
    """The files that an index names; they lie beside it."""
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            "cannot read", where=index, why=repr(error), fix="name another model"
        ) from error
    for name in names:
        if (
            not isinstance(name, str)
            or Path(name).name != name
            or Path(name).suffix not in (".safetensors", ".bin")
        ):
            raise CheckpointError(
                "not an index of weights", where=index, why=f"it names {name!r}", fix="name another"
            )
    return names


@contextmanager
def _told(name: str, revision: str | None) -> Iterator[None]:
    """Errors of the hub in one line."""
    from huggingface_hub import errors

    where = name if revision is None else f"{name}@{revision}"
    try:
        yield
    except CmgemsError:
        raise
    except errors.GatedRepoError as error:
        why, fix = "its owner wants to be asked", "ask on its page, then log in with `hf auth login`"
        raise CmgemsError("no access to the model", where=where, why=why, fix=fix) from error
    except errors.RevisionNotFoundError as error:
        raise CmgemsError(
            "no such revision", where=where, fix="name a branch, tag or commit of it"
        ) from error
    except errors.RepositoryNotFoundError as error:
        why = "there is no such folder, and the hub has no such model, or a private one"
        raise CmgemsError("no model", where=where, why=why, fix=FIX) from error
    except Exception as error:  # of requests or httpx, as the hub's version has it
        why = f"there is no such folder, and the hub says: {' '.join(str(error).split())[:200]}"
        raise CmgemsError(
            "cannot fetch the model", where=where, why=why, fix=f"try again, or {FIX}"
        ) from error

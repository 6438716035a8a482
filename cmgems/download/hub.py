"""Models and data sets on the Hugging Face Hub. The only module that knows huggingface_hub.

The library caches and resumes, and takes its settings from the environment: HF_ENDPOINT, HF_HOME, HF_TOKEN, proxies.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cmgems.download.http import TRY_AGAIN, Checksum
from cmgems.errors import DataError

Kind = Literal["model", "dataset"]
# Whose exceptions huggingface_hub lets through, of one release or another.
HTTP_LIBRARIES = ("requests", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2")
NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*(@[\w./-]+)?")


@dataclass(frozen=True)
class HubFile:
    """One file.

    Attributes:
        name: Its path in the repository.
        size: Bytes.
        sha256: Of its content, of large files; None for small ones.
    """

    name: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class HubRepo:
    """A repository at one commit.

    Attributes:
        name: "owner/name".
        kind: What it holds.
        commit: 40 hexadecimal digits.
        files: All of them.
    """

    name: str
    kind: Kind
    commit: str
    files: tuple[HubFile, ...]

    @property
    def title(self) -> str:
        """With the beginning of the commit."""
        return f"{self.name}@{self.commit[:8]}"


def is_hub_name(text: str) -> bool:
    """Whether a text may be "owner/name" or "owner/name@revision" of the hub, and is no path that is there."""
    return NAME.fullmatch(text) is not None and not Path(text).exists()


def find_repo(name: str, kind: Kind = "model") -> HubRepo:
    """What a repository holds.

    Args:
        name: "owner/name", or "owner/name@revision".
        kind: What it is.

    Raises:
        DataError: if there is none, it cannot be seen without a token, or the hub cannot be reached.
    """
    from huggingface_hub import HfApi

    repo, _, revision = name.partition("@")
    with _hub_errors(name):
        api = HfApi(endpoint=_endpoint())
        ask = api.model_info if kind == "model" else api.dataset_info
        info = ask(repo, revision=revision or None, files_metadata=True, timeout=30)
    files = (HubFile(f.rfilename, f.size or 0, f.lfs.sha256 if f.lfs else None) for f in info.siblings or [])
    return HubRepo(repo, kind, str(info.sha), tuple(files))


def fetch_file(repo: HubRepo, file: HubFile) -> Path:
    """Load a file, or take it from Hugging Face's cache, and check its size and checksum; returns where it lies.

    Args:
        repo: Where it is.
        file: One of its files.

    Raises:
        DataError: if it cannot be loaded, or is another than the hub says.
    """
    from huggingface_hub import hf_hub_download

    with _hub_errors(f"{repo.title}/{file.name}"):
        found = hf_hub_download(
            repo.name,
            file.name,
            repo_type=repo.kind,
            revision=repo.commit,
            endpoint=_endpoint(),
        )
    path, source = Path(found), f"{repo.title}/{file.name}"
    if path.stat().st_size != file.size:
        why = f"{path.stat().st_size:,} bytes, the hub says {file.size:,}"
        path.resolve().unlink()
        raise DataError("wrong size", where=source, why=why, fix="run the same command again")
    if file.sha256 is not None:
        Checksum("sha256", file.sha256).check(path, source)
    return path


def choose(repo: HubRepo, names: Sequence[str]) -> list[HubFile]:
    """The files of these names that are there, in their order."""
    by_name = {file.name: file for file in repo.files}
    return [by_name[name] for name in names if name in by_name]


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def _hub_errors(where: str) -> Iterator[None]:
    """One line for what the library raises."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        fix = "ask for access on its page, then set HF_TOKEN"
        raise DataError("access must be asked for", where=where, fix=fix) from error
    except errors.RepositoryNotFoundError as error:
        fix = "check the name, which is no path here either; for one that is not public set HF_TOKEN"
        raise DataError("not on the hub", where=where, fix=fix) from error
    except errors.RevisionNotFoundError as error:
        raise DataError("no such revision", where=where, fix="check the name behind the @") from error
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError, ValueError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError("cannot load from the hub", where=where, why=why, fix=TRY_AGAIN) from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in HTTP_LIBRARIES:
            raise
        why, fix = str(error) or type(error).__name__, "check the network and the proxy (https_proxy)"
        raise DataError("cannot reach the hub", where=where, why=why, fix=fix) from error

"""What ``cmgems download`` knows by name: genomes of UCSC and the field's labelled sets."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from cmgems.download.http import Checksum, fetch, read_text, size_of
from cmgems.download.hub import HubRepo, fetch_file, find_repo, is_hub_name
from cmgems.errors import DataError
from cmgems.files import atomic_folder, check_new
from cmgems.progress import progress
from cmgems.registry import did_you_mean

UCSC = "https://hgdownload.soe.ucsc.edu/goldenPath"
# Assemblies at UCSC, which has the checksums beside them.
GENOMES = {
    "hg38": "human, GRCh38",
    "hg19": "human, GRCh37",
    "hs1": "human, T2T-CHM13 v2.0",
    "mm10": "mouse, GRCm38",
    "mm39": "mouse, GRCm39",
    "rn7": "rat",
    "galGal6": "chicken",
    "danRer11": "zebrafish",
    "dm6": "fruit fly",
    "ce11": "roundworm",
    "sacCer3": "yeast",
}
OTHER_NAMES = {"t2t": "hs1", "chm13": "hs1", "yeast": "sacCer3", "grch38": "hg38", "grch37": "hg19"}
# Labelled sets in repositories of the Hugging Face Hub.
HUB_SETS = {
    "nt_tasks": (
        "InstaDeepAI/nucleotide_transformer_downstream_tasks_revised",
        "the 18 tasks of the Nucleotide Transformer, as revised",
    ),
}
# Zip archives elsewhere, without a published checksum: those inside the archive are checked.
ZIPPED_SETS = {
    "gue": (
        "https://drive.usercontent.google.com/download?id=1GRtbzTe3UXYF1oW27ASNhYX3SZ16D7N2&export=download&confirm=t",
        "GUE, the 28 sets of DNABERT-2 (arXiv 2306.15006)",
    ),
}


@dataclass(frozen=True)
class Found:
    """Something that can be loaded.

    Attributes:
        title: What it is.
        size: Bytes, None if the server does not say.
        target: The file or folder it becomes.
        source: A URL, or a repository of the hub.
        checksum: Of the file at the URL.
        zipped: Whether that is a zip archive, which is unpacked.
    """

    title: str
    size: int | None
    target: Path
    source: str | HubRepo
    checksum: Checksum | None = None
    zipped: bool = False

    def load(self) -> None:
        """Load it, whole or not at all; what has come stays, and the next call goes on.

        Raises:
            DataError: if it cannot be loaded, or is damaged.
            CmgemsError: if it cannot be written.
        """
        if isinstance(self.source, HubRepo):
            _load_repo(self.source, self.target)
        elif self.zipped:
            _load_zip(self.source, self.target, self.size)
        else:
            with progress(f"loading {self.target.name}", self.size, "B") as advance:
                fetch(self.source, self.target, self.checksum, advance)


def known() -> dict[str, str]:
    """All names, and what they stand for."""
    sets = {name: title for name, (_, title) in {**HUB_SETS, **ZIPPED_SETS}.items()}
    return {**GENOMES, **sets}


def find(name: str, folder: Path) -> Found:
    """Ask a server about what ``name`` stands for.

    Args:
        name: One of ``known``, or "owner/name" of a data set on the hub.
        folder: Where it is to go.

    Raises:
        DataError: if the name is unknown, or the server cannot be reached.
        CmgemsError: if the target is there already.
    """
    name = OTHER_NAMES.get(name.lower(), name)
    if name in GENOMES:
        return _genome(name, folder)
    if name in ZIPPED_SETS:
        url, title = ZIPPED_SETS[name]
        check_new(folder / name)
        return Found(title, size_of(url), folder / name, url, zipped=True)
    if name in HUB_SETS or is_hub_name(name):
        repo_name, title = HUB_SETS.get(name, (name, name))
        check_new(folder / name.rpartition("/")[2])
        repo = find_repo(repo_name, "dataset")
        size = sum(file.size for file in repo.files)
        return Found(title, size, folder / name.rpartition("/")[2], repo)
    raise DataError(f"no archive {name!r}", where="NAME", fix=did_you_mean(name, [*known(), *OTHER_NAMES]))


def _genome(name: str, folder: Path) -> Found:
    file = f"{name}.fa.gz"
    check_new(folder / file, file=True)
    where = f"{UCSC}/{name}/bigZips"
    lines = map(str.split, read_text(f"{where}/md5sum.txt").splitlines())
    sums = {line[1]: line[0] for line in lines if len(line) > 1}
    if file not in sums:
        why = f"{where}/md5sum.txt does not have {file}"
        raise DataError(
            "no checksum", where=file, why=why, fix=f"fetch {where}/{file} yourself, if you trust it"
        )
    url = f"{where}/{file}"
    return Found(GENOMES[name], size_of(url), folder / file, url, Checksum("md5", sums[file]))


def _load_repo(repo: HubRepo, target: Path) -> None:
    """All files of a repository; they are in the hub's cache until the folder is whole."""
    with progress(f"loading {repo.title}", sum(file.size for file in repo.files), "B") as advance:
        cached = []
        for file in repo.files:
            cached.append((file.name, fetch_file(repo, file)))
            advance(file.size)
    with atomic_folder(target) as partial:
        for name, path in cached:
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, partial / name)


def _load_zip(url: str, target: Path, size: int | None) -> None:
    archive = target.with_name(f"{target.name}.zip")
    with progress(f"loading {archive.name}", size, "B") as advance:
        fetch(url, archive, None, advance)
    try:
        with zipfile.ZipFile(archive) as packed, atomic_folder(target) as partial:
            packed.extractall(partial)  # which checks the checksums inside, and keeps names inside the folder
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        archive.unlink()
        fix = f"fetch it by hand from {url}"
        raise DataError("not a whole zip archive", where=archive, why=str(error), fix=fix) from error
    archive.unlink()

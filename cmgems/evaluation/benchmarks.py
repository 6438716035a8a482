"""What is evaluated: labelled sets in a folder, and the settings with which benchmarks fine-tune on them.

Settings are keys of the finetune recipe's config. GUE's are those of DNABERT's fine-tuning in arXiv 2306.15006, the
few-shot ones those of GeneMask (arXiv 2307.15933) and CM-GEMS (arXiv 2408.07180).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from cmgems.data.label_files import SPLITS, find_split
from cmgems.errors import DataError
from cmgems.registry import did_you_mean

# Few-shot settings change above this many examples a class.
FEW = 100


def _gue(max_tokens: int, epochs: int, warmup: int = 50, **more: object) -> dict[str, object]:
    return {
        "data.max_tokens": max_tokens,
        "epochs": epochs,
        "optim.warmup": warmup,
        "optim.lr": 3e-5,
        "optim.weight_decay": 0.01,
        "batch_size": 32,
        **more,
    }


_MARKS = "H3 H3K14ac H3K36me3 H3K4me1 H3K4me2 H3K4me3 H3K79me3 H3K9ac H4 H4ac"
GUE: Mapping[str, Mapping[str, object]] = {
    **{f"EMP/{mark}": _gue(512, 3) for mark in _MARKS.split()},
    **{f"mouse/{i}": _gue(110, 5, warmup=30, max_steps=1000) for i in range(5)},
    "prom/prom_300_all": _gue(310, 4),
    "prom/prom_300_notata": _gue(310, 4),
    "prom/prom_300_tata": _gue(310, 10),
    "prom/prom_core_all": _gue(80, 4),
    "prom/prom_core_notata": _gue(80, 4),
    "prom/prom_core_tata": _gue(80, 10),
    "splice/reconstructed": _gue(410, 5),
    **{f"tf/{i}": _gue(110, 3, warmup=30) for i in range(5)},
    "virus/covid": _gue(1024, 9),
}
GUE_METRICS = {"virus/covid": "macro_f1"}


def few_shot_settings(shots: int) -> dict[str, object]:
    """The protocol's settings for ``shots`` examples a class."""
    lr, epochs, batch_size = (1e-4, 20, 5) if shots <= FEW else (5e-5, 5, 15)
    return {
        "epochs": epochs,
        "batch_size": batch_size,
        "optim.lr": lr,
        "optim.warmup": 0.1,
        "optim.weight_decay": 0.01,
        "dropout": 0.1,
    }


@dataclass(frozen=True)
class Dataset:
    """A labelled set to fine-tune on and score, whole or with few examples.

    Attributes:
        name: Its path below the folder of sets, or its name in the benchmark.
        folder: Holds the files of its splits.
        metric: The set's own, a score of the task: it chooses the epoch.
        settings: Keys of the finetune recipe.
        shots: Training examples of each class; None for all.
        drawn: Whether the training file holds published draws rather than everything there is.
    """

    name: str
    folder: Path
    metric: str = "mcc"
    settings: Mapping[str, object] = field(default_factory=dict)
    shots: int | None = None
    drawn: bool = False

    @property
    def title(self) -> str:
        """'prom/prom_core_tata', 'Splice-40, 10-shot'."""
        return self.name if self.shots is None else f"{self.name}, {self.shots}-shot"

    @property
    def path(self) -> Path:
        """Where its runs lie below the output folder."""
        return Path(self.name) if self.shots is None else Path(self.name) / f"{self.shots}-shot"

    def overrides(self) -> list[str]:
        """``key=value`` for the finetune recipe."""
        given = {"data.dir": self.folder, "task.metric": self.metric, **self.settings}
        if self.shots is not None:
            given["data.shots"] = self.shots
        return [f"{key}={value}" for key, value in given.items()]


def find_datasets(
    folder: Path, *, gue: bool = False, shots: Sequence[int] = (), wanted: Sequence[str] = ("*",)
) -> tuple[list[Dataset], list[str]]:
    """The sets to evaluate, by name, and the titles of those that are not there.

    A set is a folder with files of splits (``cmgems.data.label_files``). Published few-shot sets hold a folder for each
    number of shots, ``Splice-40/10/train.tsv``, beside their test file.

    Args:
        folder: Holds sets at any depth, or is one.
        gue: The sets of GUE and no others.
        shots: Examples of each class, as often as there are numbers; () for whole sets.
        wanted: Names, their last parts (`tf/0` of `GUE/tf/0`), or globs.

    Raises:
        DataError: if there is no such folder, none of the sets, or a set twice.
    """
    if not folder.is_dir():
        raise DataError("no such folder", where=folder, fix="set data.dir to a folder of labelled sets")
    places = _gue_places(folder) if gue else _places(folder)
    if not places:
        kind = "set of GUE" if gue else "labelled set"
        raise DataError(
            f"no {kind} found", where=folder, fix="data.dir must hold folders with train and test files"
        )
    known = [*places, *(name for name in GUE if gue and name not in places)]
    for pattern in wanted:
        if not any(_matches(name, pattern) for name in known):
            raise DataError(f"no data set {pattern!r}", where="datasets", fix=did_you_mean(pattern, known))
    chosen = [name for name in known if any(_matches(name, pattern) for pattern in wanted)]
    found: list[Dataset] = []
    absent: list[str] = []
    for name in sorted(chosen):
        if name in places:
            there, not_there = _at_shots(name, places[name], gue, shots)
            found += there
            absent += not_there
        else:
            absent.append(name)
    if not found:
        raise DataError("no data set found", where=folder, why=f"not there: {', '.join(absent)}")
    return found, absent


def with_gue_settings(dataset: Dataset) -> Dataset:
    """``dataset`` with GUE's settings and metric if it is a whole set and lies where GUE has one, else as it is."""
    name = _gue_name(dataset.folder)
    if name is None or dataset.shots is not None:
        return dataset
    return replace(dataset, metric=GUE_METRICS.get(name, "mcc"), settings=GUE[name])


def _at_shots(name: str, place: Path, gue: bool, shots: Sequence[int]) -> tuple[list[Dataset], list[str]]:
    """A set at every number of shots, and the titles of those that are not there."""
    found, absent = [], []
    published = _published_shots(place)
    drawn = find_split(place, "train") is None and bool(published)
    if not shots:
        if drawn:
            return [], [f"{name} whole (of its draws take some: shots=[{','.join(published)}])"]
        whole = Dataset(name, place)
        return [with_gue_settings(whole) if gue else whole], []
    for number in shots:
        folder = place / str(number) if drawn else place
        dataset = Dataset(name, folder, "accuracy", few_shot_settings(number), number, drawn)
        if find_split(folder, "train") is not None or not drawn:
            found.append(dataset)
        else:
            absent.append(dataset.title)
    return found, absent


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(f"/{name}", f"*/{pattern}")


def _gue_name(place: Path) -> str | None:
    """'tf/0' of any folder 0 in a folder tf."""
    return next((name for name in GUE if f"/{place.absolute().as_posix()}".endswith(f"/{name}")), None)


def _gue_places(folder: Path) -> dict[str, Path]:
    """Folders of the sets of GUE, however deep ``folder`` is above them, or in them."""
    places: dict[str, Path] = {}
    for place in _folders(folder):
        name = _gue_name(place)
        if name is None or not _has_splits(place):
            continue
        if name in places:
            raise DataError(
                f"data set {name} twice",
                where=folder,
                why=f"{places[name]} and {place}",
                fix="set data.dir to the folder of one of them",
            )
        places[name] = place
    return places


def _places(folder: Path) -> dict[str, Path]:
    """Folders of all sets by name; the folders of published draws count as part of the set above."""
    found = [place for place in _folders(folder) if _has_splits(place) or _published_shots(place)]
    return {
        place.relative_to(folder).as_posix() if place != folder else folder.absolute().name: place
        for place in found
        if not (place != folder and place.parent in found and place.name in _published_shots(place.parent))
    }


def _published_shots(place: Path) -> list[str]:
    """Names of the folders of draws: numbers that hold a training file and share the test file of ``place``."""
    return [
        child.name
        for child in sorted(place.iterdir())
        if child.name.isdecimal()
        and find_split(child, "train") is not None
        and (test := find_split(child, "test")) is not None
        and test.parent == place
    ]


def _has_splits(place: Path) -> bool:
    return any((path := find_split(place, split)) is not None and path.parent == place for split in SPLITS)


def _folders(top: Path) -> Iterator[Path]:
    """``top`` and all folders below, also behind links, each once."""
    seen: set[Path] = set()
    for place, children, _ in os.walk(top, followlinks=True):
        real = Path(place).resolve()
        if real in seen:
            children.clear()
            continue
        seen.add(real)
        children.sort()
        yield Path(place)

"""What is evaluated: the datasets in a folder, and the settings with which benchmarks fine-tune on them.

Settings are values of the finetune recipe's config. GUE's are those of DNABERT's fine-tuning in arXiv 2306.15006, the
few-shot ones those of GeneMask (arXiv 2307.15933) and CM-GEMS (arXiv 2408.07180). The tasks of the Nucleotide
Transformer (doi 10.1038/s41592-024-02523-z, as revised) and Genomic Benchmarks (doi 10.1186/s12863-023-01123-8) have no
dev set: a tenth of train becomes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from cmgems.config.recipe_settings import Values, merge
from cmgems.data.layouts import find_layout
from cmgems.errors import CmgemsError, DataError
from cmgems.registry import did_you_mean

# Few-shot settings change above this many examples a class.
FEW = 100


def _gue(max_tokens: int, epochs: int, warmup: int = 50, **more: object) -> Values:
    return {
        "data": {"max_tokens": max_tokens},
        "epochs": epochs,
        "batch_size": 32,
        "optim": {"lr": 3e-5, "warmup": warmup, "weight_decay": 0.01},
        **more,
    }


_MARKS = "H3 H3K14ac H3K36me3 H3K4me1 H3K4me2 H3K4me3 H3K79me3 H3K9ac H4 H4ac"
GUE: Mapping[str, Values] = {
    **{f"EMP/{mark}": _gue(512, 3) for mark in _MARKS.split()},
    # Their script says 5 epochs and 1000 steps, and steps count: as many epochs as the smallest of the sets needs.
    **{f"mouse/{i}": _gue(110, 20, warmup=30, max_steps=1000) for i in range(5)},
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

_WITHOUT_DEV: Values = {"data": {"dev_share": 0.1}}
_NT_TASKS = """
    H2AFZ H3K27ac H3K27me3 H3K36me3 H3K4me1 H3K4me2 H3K4me3 H3K9ac H3K9me3 H4K20me1 enhancers enhancers_types
    promoter_all promoter_no_tata promoter_tata splice_sites_acceptors splice_sites_all splice_sites_donors
"""
_GENOMIC_BENCHMARKS = """
    demo_coding_vs_intergenomic_seqs demo_human_or_worm drosophila_enhancers_stark dummy_mouse_enhancers_ensembl
    human_enhancers_cohn human_enhancers_ensembl human_ensembl_regulatory human_nontata_promoters human_ocr_ensembl
"""


@dataclass(frozen=True)
class Benchmark:
    """Datasets that are known by name.

    Attributes:
        title: What it is called.
        sets: The settings of each, by the end of its path.
        metric: What is reported, and chooses the epoch on the dev set.
        metrics: Those of sets with another.
    """

    title: str
    sets: Mapping[str, Values]
    metric: str = "mcc"
    metrics: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, place: Path) -> str | None:
        """The name of the set in a folder: 'tf/0' of any folder 0 in a folder tf."""
        return next(
            (name for name in self.sets if f"/{place.absolute().as_posix()}".endswith(f"/{name}")), None
        )

    def dataset(self, name: str, place: Path, known_as: str) -> Dataset:
        """The whole set ``name`` in a folder, called ``known_as``."""
        return Dataset(known_as, place, self.metrics.get(name, self.metric), self.sets[name])


BENCHMARKS: Mapping[str, Benchmark] = {
    "gue": Benchmark("GUE", GUE, metrics=GUE_METRICS),
    "nt_tasks": Benchmark("Nucleotide Transformer", dict.fromkeys(_NT_TASKS.split(), _WITHOUT_DEV)),
    "genomic_benchmarks": Benchmark(
        "Genomic Benchmarks", dict.fromkeys(_GENOMIC_BENCHMARKS.split(), _WITHOUT_DEV), "accuracy"
    ),
}


def few_shot_settings(shots: int) -> Values:
    """The protocol's settings for ``shots`` examples a class."""
    lr, epochs, batch_size = (1e-4, 20, 5) if shots <= FEW else (5e-5, 5, 15)
    return {
        "epochs": epochs,
        "batch_size": batch_size,
        "optim": {"lr": lr, "warmup": 0.1, "weight_decay": 0.01},
        "dropout": 0.1,
    }


@dataclass(frozen=True)
class Dataset:
    """A labelled set to fine-tune on and score, whole or with few examples.

    Attributes:
        name: Its path below the folder of datasets, or its name in the benchmark.
        folder: Holds the files of its splits.
        metric: The test metric reported for it; on the dev set it chooses the epoch.
        settings: Values of the finetune recipe's config, nested by section.
        shots: Training examples of each class; None for all.
        drawn: Whether the training file holds published draws rather than the whole training set.
    """

    name: str
    folder: Path
    metric: str = "mcc"
    settings: Values = field(default_factory=dict)
    shots: int | None = None
    drawn: bool = False

    @property
    def title(self) -> str:
        """'prom/prom_core_tata', 'Splice-40, 10-shot'."""
        return self.name if self.shots is None else f"{self.name}, {self.shots}-shot"

    @property
    def path(self) -> Path:
        """Where its runs are below the output folder."""
        return Path(self.name) if self.shots is None else Path(self.name) / f"{self.shots}-shot"

    def values(self, *, trains: bool = True) -> Values:
        """Values of the finetune recipe's config: where the data are, the metric, and the settings.

        Args:
            trains: Without, there are no settings that say how to train, nor a limit of tokens.
        """
        own = {"data": {"dir": str(self.folder), "shots": self.shots}, "task": {"metric": self.metric}}
        of_data = {key: value for key, value in self.settings.get("data", {}).items() if key != "max_tokens"}
        return merge([own, self.settings if trains else {"data": of_data}])


def find_datasets(
    folder: Path, wanted: Sequence[str] = ("*",), benchmark: str | None = None
) -> tuple[list[Dataset], list[str]]:
    """The datasets to evaluate in the order of ``wanted``, and the titles of those that are not there.

    A dataset is a folder with files of splits (``cmgems.data.layouts``). Published few-shot sets hold a folder for
    each number of shots, ``Splice-40/10/train.tsv``, beside their test file. A whole set has GUE's settings if its path
    ends like one of GUE's (``prom/prom_core_tata``); a few-shot set has those of its protocol.

    Args:
        folder: Holds datasets at any depth, or is one.
        wanted: ``NAME`` for a whole set, ``NAME@10`` for ten examples of each class. NAME is a name, its last parts
            (`tf/0` of `GUE/tf/0`), or a glob.
        benchmark: The sets of that benchmark only, under their names in it; a name in ``BENCHMARKS``.

    Raises:
        CmgemsError: if a number of shots is not a positive number.
        DataError: if there is no such folder, no dataset of that name, none of the datasets, or a dataset twice.
    """
    if not folder.is_dir():
        raise DataError("no such folder", where=folder, fix="set data.dir to a folder of datasets")
    known = None if benchmark is None else BENCHMARKS[benchmark]
    places = _places(folder) if known is None else _benchmark_places(known, folder)
    if not places:
        kind = "dataset" if known is None else f"dataset of {known.title}"
        fix = "data.dir must hold folders with train and test files"
        raise DataError(f"no {kind} found", where=folder, fix=fix)
    found: list[Dataset] = []
    absent: list[str] = []
    missing = [name for name in (known.sets if known else ()) if name not in places]
    for name, of_name in _chosen(wanted, [*places, *missing]):
        for shots in of_name:
            dataset, title = _at_shots(name, places.get(name), shots, known or BENCHMARKS["gue"])
            if dataset is None:
                absent.append(title)
            else:
                found.append(dataset)
    if not found:
        raise DataError("no dataset found", where=folder, why=f"missing: {', '.join(absent)}")
    return found, absent


def _chosen(wanted: Sequence[str], known: Sequence[str]) -> list[tuple[str, list[int | None]]]:
    """Names of datasets, and the numbers of shots of each; None for the whole set."""
    chosen: dict[str, list[int | None]] = {}
    for text in wanted:
        pattern, at, number = text.partition("@")
        if at and not (number.isdecimal() and int(number)):
            raise CmgemsError(
                f"shots of {text!r} are not a positive number", where="datasets", fix="write NAME@10"
            )
        names = sorted(name for name in known if _matches(name, pattern))
        if not names:
            raise DataError(
                f"no dataset {pattern!r}", where="datasets", fix=did_you_mean(pattern, list(known))
            )
        shots = int(number) if at else None
        for name in names:
            if shots not in chosen.setdefault(name, []):
                chosen[name].append(shots)
    return list(chosen.items())


def _at_shots(
    name: str, place: Path | None, shots: int | None, benchmark: Benchmark
) -> tuple[Dataset | None, str]:
    """A dataset with so many examples of each class, None if it is not there; and its title.

    Whole sets that the benchmark knows have its settings.
    """
    if place is None:
        return None, Dataset(name, Path(), shots=shots).title
    published = _published_shots(place)
    drawn = bool(published) and not find_layout(place).has_train
    if shots is None:
        if drawn:
            return (
                None,
                f"{name} whole (there are draws of it: {', '.join(f'{name}@{n}' for n in published)})",
            )
        known = benchmark.name_of(place)
        whole = Dataset(name, place) if known is None else benchmark.dataset(known, place, known_as=name)
        return whole, whole.title
    folder = place / str(shots) if drawn else place
    dataset = Dataset(name, folder, "accuracy", few_shot_settings(shots), shots, drawn)
    there = not drawn or (folder.is_dir() and find_layout(folder).has_train)
    return (dataset if there else None), dataset.title


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(f"/{name}", f"*/{pattern}")


def _benchmark_places(benchmark: Benchmark, folder: Path) -> dict[str, Path]:
    """Folders of a benchmark's datasets, at any depth below ``folder``, or of the one that holds it."""
    places: dict[str, Path] = {}
    for place in _folders(folder):
        name = benchmark.name_of(place)
        if name is None or not _has_splits(place):
            continue
        if name in places:
            raise DataError(
                f"dataset {name} twice",
                where=folder,
                why=f"{places[name]} and {place}",
                fix="set data.dir to one of them",
            )
        places[name] = place
    return places


def _places(folder: Path) -> dict[str, Path]:
    """Folders of all datasets by name; the folders of published draws are part of the dataset above them."""
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
        and child.is_dir()
        and (layout := find_layout(child)).has_train
        and "test" in layout.files
        and layout.files["test"].parent.absolute() == place.absolute()
    ]


def _has_splits(place: Path) -> bool:
    """Whether a folder holds a set of its own; one that turns out to be bad is named when it is read."""
    try:
        return any(path.parent == place for path in find_layout(place).paths)
    except DataError:
        return True


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

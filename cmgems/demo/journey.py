"""The steps of ``cmgems demo``: the very commands that a user would type, and what they leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cmgems.demo.simulate import write_demo_data
from cmgems.errors import CmgemsError
from cmgems.files import atomic_folder
from cmgems.runs import RunReader
from cmgems.runs.layout import LOSS_PLOT
from cmgems.runs.summary import metric_key


@dataclass(frozen=True)
class Journey:
    """The demo's way from a genome to predictions, in one folder.

    Attributes:
        folder: For everything it makes.
    """

    folder: Path

    @property
    def predictions(self) -> Path:
        """What the fine-tuned model says about a few sequences (CSV)."""
        return self.folder / "predictions.csv"

    def simulate(self) -> None:
        """Write the synthetic genome and the labelled sets, unless they are there; whole or not at all.

        Raises:
            CmgemsError: if the folder holds something else, which the demo might write over.
        """
        data = self.folder / "data"
        if not (data / "genome.fa.gz").exists():
            if self.folder.is_dir() and any(self.folder.iterdir()):
                why = "it is not empty, and no demo began there"
                raise CmgemsError("folder in use", where=self.folder, why=why, fix="choose another -o")
            with atomic_folder(data) as partial:
                write_demo_data(partial)

    def commands(self) -> Iterator[list[str]]:
        """The words of each command after ``cmgems``, in order; what is made already is left out.

        Runs are not left out: they go on, or say that they are finished.
        """
        data, store, table = self.folder / "data", self.folder / "store", self.folder / "pmi.safetensors"
        pretrained, finetuned, exported = (self.folder / name for name in ("pretrain", "finetune", "hf"))
        if not store.exists():
            yield _words("genome build", data / "genome.fa.gz", "-o", store)
        yield _words("pmi build", store, "-o", table, "--k 6 --top 5")
        inputs = f"data.store={store}", f"masking.table={table}"
        yield _words("run pretrain --config demo", *inputs, "-o", pretrained)
        inputs = f"model={pretrained}", f"data.dir={data / 'promoters'}"
        yield _words("run finetune --config demo", *inputs, "-o", finetuned)
        yield _words("predict", finetuned, data / "unknown.fa", "-o", self.predictions)
        if not exported.exists():
            yield _words("export", pretrained, "-o", exported)

    def result(self) -> str:
        """The scores on the test set, and where to look, in three lines."""
        scores = RunReader(self.folder / "finetune").summary or {}
        mcc, auc = (scores[metric_key(name)] for name in ("mcc", "auc"))
        return (
            f"Promoters of the synthetic genome, test MCC {mcc:.3f}, AUC {auc:.3f}."
            f"\nLoss curve with the curriculum's switch: {self.folder / 'pretrain' / LOSS_PLOT}"
            f"\nModel for Hugging Face: {self.folder / 'hf'}"
        )


def _words(command: str, *more: str | Path) -> list[str]:
    """``command`` and texts in ``more`` that are options, split at spaces; paths may hold some."""
    words = command.split()
    for word in more:
        words += word.split() if isinstance(word, str) and word.startswith("-") else [str(word)]
    return words

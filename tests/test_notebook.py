"""The notebook's cells run in their order, and draw the figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "from_fasta_to_figure.ipynb"


@pytest.mark.slow
def test_the_cells_run(tmp_path, monkeypatch, capsys):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)
    pyplot.close("all")
    assert "nats a base: -1." in capsys.readouterr().out
    assert (tmp_path / "from_fasta_to_figure" / "figure.png").stat().st_size > 10_000

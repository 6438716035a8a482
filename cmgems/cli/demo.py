"""``cmgems demo``: the whole journey on a synthetic genome, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything it makes.")] = Path(
        "cmgems-demo"
    ),
) -> None:
    """Simulate a genome, rank its k-mers, pretrain, fine-tune, predict and export: a few minutes on 2 cores.

    Example: cmgems demo -o demo
    """
    import itertools

    from cmgems.cli import export as export_command
    from cmgems.cli import genome, pmi, predict, recipes
    from cmgems.data.label_files import read_rows
    from cmgems.demo import write_demo_data
    from cmgems.files import atomic_folder, write_text
    from cmgems.runs import RunReader
    from cmgems.runs.layout import LOSS_PLOT
    from cmgems.runs.summary import metric_key

    def say(command: str) -> None:
        typer.secho(f"\n$ cmgems {command}", bold=True)

    data = out / "data"
    store, table = out / "store", out / "pmi.safetensors"
    pretrained, finetuned, exported = out / "pretrain", out / "finetune", out / "hf"

    typer.echo(
        "The genome of this demo is synthetic: no organism has it, and no figure below says anything about one."
    )
    if not data.exists():
        with atomic_folder(data) as partial:
            write_demo_data(partial)
    fasta = data / "genome.fa.gz"

    say(f"genome build {fasta} -o {store}")
    genome.build([fasta], store, force=True)

    say(f"pmi build {store} -o {table} --k 6 --top 5")
    pmi.build(store, table, top=5)

    overrides = [f"data.store={store}", f"masking.table={table}"]
    say(f"run pretrain --config demo {' '.join(overrides)} -o {pretrained}")
    recipes.run("pretrain", overrides, config="demo", out=pretrained)

    overrides = [f"model={pretrained}", f"data.dir={data / 'promoters'}"]
    say(f"run finetune --config demo {' '.join(overrides)} -o {finetuned}")
    recipes.run("finetune", overrides, config="demo", out=finetuned)

    unknown, predictions = data / "unknown.fa", out / "predictions.csv"
    rows = itertools.islice(read_rows(data / "promoters" / "test.csv"), 8)
    write_text(unknown, "".join(f">window{r.line} labelled {r.cells[0]}\n{r.bases}\n" for r in rows))
    say(f"predict {finetuned} {unknown} -o {predictions}")
    predict.predict(finetuned, unknown, predictions)
    typer.echo(predictions.read_text())

    say(f"export {pretrained} -o {exported}")
    if not exported.exists():
        export_command.export(pretrained, exported)

    scores = RunReader(finetuned).summary or {}
    mcc, auc = (scores[metric_key(name)] for name in ("mcc", "auc"))
    typer.echo(
        f"\nPromoters of the synthetic genome, test MCC {mcc:.3f}, AUC {auc:.3f}."
        f"\nLoss curve with the curriculum's switch: {pretrained / LOSS_PLOT}"
        f"\nModel for Hugging Face: {exported}"
    )

"""How well scores of variants agree with their labels, as a table in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cmgems.inference.labelled_variants import MODEL, PREDICTORS, Group, VariantResults
from cmgems.tasks.ranking import Area

MOST_GROUPS = 20


def show_variants(results: VariantResults, console: Console) -> None:
    """Print the rankings of all labelled alleles, then those of the largest groups."""
    overall = results.overall
    share = overall.positives / max(1, overall.positives + overall.negatives)
    counts = f"{overall.positives:,} positive, {overall.negatives:,} negative"
    console.print(f"{counts}; by chance AUROC is 0.500, AUPRC {share:.3f}", highlight=False)
    if overall.rankings:
        console.print(_predictors(overall))
        ahead = (f"of {name} {_area(of.behind)}" for name, of in overall.rankings.items() if name != MODEL)
        console.print(f"AUROC of the model minus that {', '.join(ahead)}", highlight=False)
    else:
        console.print("one class only among the alleles with a score: nothing to rank", highlight=False)
    if results.groups:
        console.print(_groups(results))
    if len(results.groups) > MOST_GROUPS:
        console.print(f"the {MOST_GROUPS} largest of {len(results.groups):,} groups", highlight=False)
    if results.skipped:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in results.skipped.items())
        console.print(f"not ranked: {reasons}", highlight=False, markup=False)
    if results.swapped:
        console.print(f"ranked with REF and ALT swapped in the genome: {results.swapped:,}", highlight=False)


def _predictors(overall: Group) -> Table:
    table = Table("ranked by", "positive if")
    for heading in ("AUROC [95 %]", "AUPRC [95 %]"):
        table.add_column(escape(heading), no_wrap=True)
    for name, ranking in overall.rankings.items():
        table.add_row(name, PREDICTORS[name], _area(ranking.auroc), _area(ranking.auprc))
    return table


def _groups(results: VariantResults) -> Table:
    baselines = [name for name in PREDICTORS if name != MODEL]
    table = Table()
    table.add_column(escape(results.labels.by), overflow="fold")
    for sign in "+-":
        table.add_column(sign)
    table.add_column(escape("AUROC [95 %]"), no_wrap=True)
    table.add_column("AUPRC")
    table.add_column(f"AUROC of {', '.join(baselines)}")
    for name, group in list(results.groups.items())[:MOST_GROUPS]:
        cells = [escape(name), f"{group.positives:,}", f"{group.negatives:,}"]
        if not group.rankings:
            table.add_row(*cells, "one class")
            continue
        others = ", ".join(f"{group.rankings[baseline].auroc.value:.3f}" for baseline in baselines)
        model = group.rankings[MODEL]
        table.add_row(*cells, _area(model.auroc), f"{model.auprc.value:.3f}", others)
    return table


def _area(area: Area) -> str:
    return escape(f"{area.value:.3f} [{area.low:.3f}, {area.high:.3f}]")

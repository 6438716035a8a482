"""Tables of the GPU's figures, each a function of the results; what is not there is said to be not measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from plan import RUNS
from results import Line

ABSENT = "not measured"
FULL, MASKED, NEARLY, MIXED = "507", "507 in 512 with a mask", "507, two rows shorter", "reference lengths"
OURS, PACKED, GRAPHS, EAGER = "cmgems, compiled", "cmgems, packed", "cmgems, CUDA graphs", "cmgems, eager"
AUTOTUNED, FLEX = "cmgems, autotuned", "cmgems, packed by flex_attention"
THEIRS, THEIRS_EAGER = "Hugging Face, compiled", "Hugging Face, eager"
# Part, lengths, side, and what else tells two of them apart.
TRAINING: list[tuple[str, str, str, Line]] = [
    *(("logo", *row) for row in ((MASKED, OURS, {}), (FULL, OURS, {}), (FULL, EAGER, {}))),
    *(
        ("batching", FULL, side, {"batching": batching})
        for batching in ("25 x 10", "1 x 250")
        for side in (OURS, GRAPHS)
    ),
    ("autotune", FULL, AUTOTUNED, {}),
    *(("huggingface", FULL, side, {}) for side in (THEIRS, THEIRS_EAGER)),
    ("huggingface", NEARLY, PACKED, {}),
    *(("huggingface", MIXED, side, {}) for side in (OURS, FLEX, PACKED, THEIRS, THEIRS_EAGER)),
    *(("dnabert", FULL, side, {"attention_dropout": 0.1}) for side in (OURS, THEIRS, THEIRS_EAGER)),
    ("dnabert", FULL, OURS, {"attention_dropout": 0.0}),
    *(("dnabert", MIXED, side, {"attention_dropout": 0.1}) for side in (PACKED, THEIRS)),
]
FAMILIES = ("logo", "dnabert2", "nt_500m", "nt_v2_50m")
KERNELS = [
    *((name, "bf16") for name in ("default", "packed", "cuDNN", "flash", "efficient", "math")),
    ("efficient", "fp32"),
]
WITH_A_MASK = [
    ("default", "bf16"),
    ("packed", "bf16"),
    ("efficient", "fp32"),
]  # the others would be the default
WITHOUT = [kernel for kernel in KERNELS if kernel[0] != "packed"]
PROFILED = [
    *(("logo", lengths) for lengths in (MASKED, FULL, NEARLY, MIXED)),
    *(("dnabert", lengths) for lengths in (FULL, MIXED)),
]
SETS = {
    "logo": [("Prom-core", 10), ("Prom-core", 100), ("Splice-40", 10), ("Splice-40", 100), ("Silencer", 10)],
    "dnabert": [("prom_core_tata", None), ("Splice-40", 100)],
}


def find(lines: Iterable[Line], **fields: object) -> Line:
    """The last result with these fields, empty if there is none."""
    return ([{}] + [line for line in lines if all(line.get(k) == v for k, v in fields.items())])[-1]


def table(header: str, rows: Iterable[Sequence[str]]) -> str:
    """In markdown, from its heads parted by bars."""
    heads = header.split("|")
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.strip() for cell in line) + " |" for line in lines)


def cell(line: Line, key: str, text: Callable[[float], str]) -> str:
    """A figure of a result as text; '-' if it has none, and of an empty result that it is not measured."""
    value = line.get(key)
    return ABSENT if not line else "-" if value is None else text(value)


def machine(lines: list[Line]) -> str:
    """GPU, versions, and what it reaches at most."""
    rows = []
    for run in RUNS:
        found = find(lines, what="machine", run=run)
        ceiling = find(lines, what="ceilings", run=run)
        versions = ", ".join(
            f"{name} {number}" for name, number in found.get("versions", {}).items() if number
        )
        gpu = f"{found['gpu']}, CUDA {found['cuda']}, cuDNN {found['cudnn']}" if found else ABSENT
        copy = cell(ceiling, "copy_tb_per_second", lambda x: f"{x:.2f}")
        rows.append(
            [str(run), gpu, versions or ABSENT, copy, cell(ceiling, "matmul_tflops", "{:.0f}".format)]
        )
    return table("run | GPU | versions | copy, TB/s read and written | bf16 matrix product, TFLOP/s", rows)


def agreement(lines: list[Line]) -> str:
    """Errors of the gradients, by family and kernel."""

    def text(line: Line) -> str:
        if line.get("not_finite"):
            return f"**not finite** at {', '.join(map(str, line['not_finite']))}"
        if line.get("refused"):
            return "refused"
        wrong = line.get("agrees") is False
        return cell(line, "gradient_error", lambda x: f"**{x:.1e}**" if wrong else f"{x:.1e}")

    def row(name: str, mask: bool, ways: Sequence[tuple[str, str]], **fields: object) -> list[str]:
        found = {(b, p): text(find(lines, mask=mask, backend=b, precision=p, **fields)) for b, p in ways}
        return [name, "yes" if mask else "no", *(found.get(way, "-") for way in KERNELS)]

    rows = [
        row(f"`{family}`", mask, ways, what="agreement", family=family)
        for family in FAMILIES
        for mask, ways in ((True, WITH_A_MASK), (False, WITHOUT))
    ]
    rows += [row("very low scores", mask, WITHOUT[:-1], what="low scores") for mask in (True, False)]
    heads = " | ".join(f"{name}, {precision}" for name, precision in KERNELS)
    chosen = [
        f"{line['kernel']} for {line['width']} tokens with{'' if line['mask'] else 'out'} a mask"
        for line in lines
        if line.get("what") == "default kernel"
    ]
    return table(f"model | mask | {heads}", rows) + f"\n\nThe default is {', '.join(chosen) or ABSENT}."


def speed(lines: list[Line]) -> str:
    """Every way to train, its speed, and its first losses."""
    reached = find(lines, what="ceilings", run=1).get("matmul_tflops")
    rows = []
    for part, lengths, side, more in TRAINING:
        line = find(lines, what="training", part=part, lengths=lengths, side=side, **more)
        their = find(lines, what="training", model=line.get("model"), lengths=lengths, side=THEIRS)
        ratio = line["tokens_per_second"] / their["tokens_per_second"] if line and their else None
        rows.append(
            [
                f"`{'dnabert' if part == 'dnabert' else 'logo'}`",
                f"{lengths}{''.join(f', {value}' for value in more.values())}",
                side,
                cell(line, "tokens_per_second", lambda x: f"{x / 1e6:.3f}"),
                cell(line, "seconds", lambda x: f"{1000 * x:.2f}"),
                cell(line, "mfu", "{:.1%}".format),
                cell(line, "tflops", lambda x: f"{x / reached:.1%}" if reached else "-"),
                "-"
                if side == GRAPHS
                else cell(line, "memory_gb", "{:.1f}".format),  # a graph's is not counted
                cell(line, "ready", "{:.0f}".format),
                cell({**line, "ratio": ratio} if line else {}, "ratio", "{:.2f}".format),
                " to ".join(f"{loss:.4f}" for loss in (line["losses"][0], line["losses"][-1]))
                if line
                else ABSENT,
            ]
        )
    return table(
        "model | lengths, and batching or dropout of attention | side | M tokens/s | step, ms "
        "| of the datasheet's peak | of the matrix product | GB | ready after, s | times Hugging Face | first losses",
        rows,
    )


def losses(lines: list[Line]) -> str:
    """The same weights and rows on the CPU and the GPU."""
    rows = []
    for model in ("logo", "dnabert"):
        found = find(lines, what="losses", model=model).get("losses", {})
        cells = [f"{found[s]:.5f}" if s in found else ABSENT for s in ("CPU, fp32", "GPU, eager, bf16")]
        rows.append([f"`{model}`", *cells])
    return table("model | CPU, fp32 | GPU, eager, bf16", rows)


def kernels(lines: list[Line]) -> str:
    """Where a step goes: the costliest kernels."""
    parts = []
    for model, lengths in PROFILED:
        line = find(lines, what="kernels", model=model, lengths=lengths)
        if not line:
            parts.append(f"`{model}`, {lengths}: {ABSENT}.")
            continue
        parts.append(
            f"`{model}`, {lengths}: {line['busy_ms']:.2f} ms of kernels, a step of {line['step_ms']:.2f} ms under the "
            f"profiler, {line['launches']:.0f} launches."
        )
        rows = [[f"`{k['kernel'][:80]}`", f"{k['ms']:.3f}", f"{k['calls']:.0f}"] for k in line["top"]]
        parts.append(table("kernel | ms a step | launches", rows))
    return "\n\n".join(parts)


def run_row(line: Line, *names: str) -> list[str]:
    """A pretraining run's figures."""
    validation = {**line, "end": (line.get("validation") or [[0, None]])[-1][1]} if line else {}
    return [
        *names,
        cell(line, "steps", "{:,}".format),
        cell(line, "tokens_per_second", lambda x: f"{x / 1e6:.3f}"),
        cell(line, "mfu", "{:.1%}".format),
        cell(line, "wait_share", "{:.2%}".format),
        cell(line, "memory_gb", "{:.1f}".format),
        cell(line, "whole", "{:.0f}".format),
        cell(line, "masked_share", "{:.1%}".format),
        cell(line, "switched_at", "{:,}".format),
        cell(validation, "end", "{:.4f}".format),
    ]


RUN_HEADS = (
    "steps | M tokens/s | of the datasheet's peak | waiting for data | GB | whole run, s | masked | "
    "switched at step | validation loss"
)


def users(lines: list[Line]) -> str:
    """Runs by `cmgems run`, and one that was killed."""
    of = {name: find(lines, what="run", model=name) for name in ("logo", "nt_v2_50m", "dnabert2")}
    rows = [run_row(line, f"`{name}`") for name, line in of.items()]
    resume, text = find(lines, what="resume"), f"Kill and resume: {ABSENT}."
    if resume:
        masks = "the same" if resume["same_masks"] else "**not the same**"
        text = (
            f"Killed after step {resume['killed_at']}, resumed from step {resume['resumed_from']}, {resume['steps']} "
            f"steps in the end. Of {resume['repeated']} steps taken twice the masks were {masks}, the losses at most "
            f"{resume['apart']:.1e} nats apart."
        )
    return table(f"model | {RUN_HEADS}", rows) + f"\n\n{text}"


def curriculum(lines: list[Line], model: str, strategies: Sequence[str]) -> str:
    """Pretraining in equal steps, and MCC of what was fine-tuned from it, mean over draws."""
    rows = [run_row(find(lines, what="curriculum", model=model, strategy=s), f"`{s}`") for s in strategies]
    scores = []
    for strategy in (*strategies, "none"):
        cells = []
        for dataset, shots in SETS[model]:
            found = [
                line["test_mcc"]
                for line in lines
                if (line.get("what"), line.get("model"), line.get("strategy"))
                == ("fine-tuning", model, strategy)
                and (str(line["dataset"]).split("/")[-1], line["shots"]) == (dataset, shots)
            ]
            cells.append(f"{statistics.fmean(found):.3f} ({len(found)})" if found else ABSENT)
        scores.append([f"`{strategy}`", *cells])
    heads = " | ".join(
        name if shots is None else f"{name}, {shots} of a class" for name, shots in SETS[model]
    )
    return "\n\n".join(
        [
            table(f"strategy | {RUN_HEADS}", rows),
            "Test MCC, mean (runs); `none` starts from random weights.",
            table(f"strategy | {heads}", scores),
        ]
    )


def parts(lines: list[Line]) -> str:
    """What ran, and for how long."""
    rows = []
    for run, planned in RUNS.items():
        for part in planned:
            line = find(lines, what="part", run=run, part=part.name)
            rows.append(
                [str(run), part.name, line.get("state", ABSENT), cell(line, "seconds", "{:.0f}".format)]
            )
    return table("run | part | | seconds", rows)

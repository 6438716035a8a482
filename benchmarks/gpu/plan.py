"""What the runs are made of: their parts, the most valuable first, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A command of its own.

    Attributes:
        name: What its results are filed under.
        command: Words after `python`; `{part}` stands for the folder of the parts.
        seconds: What it should take; it is not started when less is left.
        most: Seconds after which it is killed.
        beside: It runs while the next ones do, and is killed at the end.
    """

    name: str
    command: tuple[str, ...]
    seconds: float
    most: float
    beside: bool = False

    @classmethod
    def of(cls, name: str, seconds: float, most: float, *words: str, script: str = "") -> Part:
        """The script ``parts/NAME.py``, or another, with ``words``."""
        return cls(name, (f"{{part}}/{script or name}.py", *words), seconds, most)


# Compiles the kernels of the data pipeline, which takes half a minute of one core, while the GPU has other work.
KERNELS = Part("kernels", ("{part}/kernels.py",), 5, 120, beside=True)
LOGO_STRATEGIES = ("random_span", "genemask", "cm_gems", "annealed")
DNABERT_STRATEGIES = ("random_span", "cm_gems")


def _pretraining(model: str, strategies: tuple[str, ...], compiling: float, seconds: float) -> list[Part]:
    """Equal steps of each strategy, as many as take ``seconds`` at the speed that is measured just before."""
    words = ("--model", model, "--seconds", f"{seconds:g}")
    speed = Part.of("speed", compiling, 2 * compiling, *words, script="curriculum_steps")
    return [
        speed,
        *(
            Part.of(name, seconds, 1.15 * seconds, "--model", model, "--strategy", name, script="curriculum")
            for name in strategies
        ),
    ]


RUNS = {
    1: [
        KERNELS,
        Part.of("machine", 10, 30),
        Part.of("agreement", 45, 100),
        Part.of("logo", 60, 90),
        Part.of("huggingface", 100, 140),
        Part.of("dnabert", 150, 220),
        Part.of("pretraining", 40, 60),
        Part.of("resume", 45, 60),
        Part.of("batching", 60, 90),
    ],
    2: [
        KERNELS,
        Part.of("machine", 10, 30),
        *_pretraining("logo", LOGO_STRATEGIES, 40, 88),
        Part.of("few_shot", 60, 110, "--model", "logo", script="finetuning"),
    ],
    3: [
        KERNELS,
        Part.of("machine", 10, 30),
        *_pretraining("dnabert", DNABERT_STRATEGIES, 60, 165),
        Part.of("finetuning", 60, 130, "--model", "dnabert"),
    ],
    4: [
        KERNELS,
        Part.of("machine", 10, 30),
        Part.of("families", 120, 150),
        Part.of("autotune", 60, 200),
        Part.of("tests", 60, 300, script="quick_tests"),
    ],
}

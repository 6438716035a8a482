"""Compiles the data pipeline's kernels into numba's cache, on the CPU, while other parts have the GPU."""

from __future__ import annotations

import subprocess

from setting import arguments, cmgems


def main() -> None:
    options = arguments(__doc__).parse_args()
    command = cmgems(
        "run", "pretrain", "--config", "tiny", "steps=2", "compute.device=cpu", "compute.threads=1"
    )
    for strategy in ("random_span", "genemask", "cm_gems", "annealed"):
        curriculum = [f"masking.curriculum={strategy}"]
        data = [
            f"data.store={options.prepared / 'store'}",
            f"masking.table={options.prepared / 'pmi.safetensors'}",
        ]
        subprocess.run(
            [*command, *data, *curriculum, "-o", str(options.work / "kernels" / strategy)], check=True
        )


if __name__ == "__main__":
    main()

"""Pretrain a tiny model in fairseq2 with two processes, whole and resumed, by DDP and by FSDP2, and compare to the bit.

It needs fairseq2 with its native part (docs/results/fairseq2.md):

    python benchmarks/fairseq2_processes.py
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import yaml

import cmgems
from cmgems.genome import GenomeStore
from cmgems.pmi import PMITable

STEPS, KILLED_AT = 16, (4, 8, 12)
CONFIG = {
    "model": {"family": "cmgems_bert", "arch": "logo_tiny", "config_overrides": {"hidden_dropout": 0.1}},
    "dataset": {
        "config_overrides": {
            "sequences": 8,
            "data": {
                "store": "store",
                "pad_multiple": 8,
                "sampler": {"name": "tiled", "max_bp": 120},
                "split": {"by": "block", "fraction": 0.1, "block_bp": 1000},
            },
            "masking": {"table": "pmi.safetensors", "curriculum": {"name": "cm_gems", "threshold": 1e6}},
            "validation": {"every": 4, "sequences": 16},
        }
    },
    "trainer": {"mixed_precision": {"mode": "off"}, "grad_accumulation": {"num_batches": 2}},
    "lr_scheduler": {"config": {"num_warmup_steps": 5}},
    "regime": {
        "num_steps": STEPS,
        "checkpoint_every_n_steps": 4,
        "keep_last_n_checkpoints": 10,
        "validate_every_n_steps": 8,
        "publish_metrics_every_n_steps": 4,
    },
}


def make_inputs(folder: Path) -> None:
    """A random genome of 40 kbp, its table, and the config."""
    rng = np.random.default_rng(0)
    contigs = ("".join(rng.choice(list("ACGT"), 20_000)) for _ in range(2))
    (folder / "genome.fa").write_text("".join(f">{i}\n{bases}\n" for i, bases in enumerate(contigs)))
    store = GenomeStore.build([folder / "genome.fa"], folder / "store")
    PMITable.build(store).save(folder / "pmi.safetensors")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))


def pretrain(folder: Path, out: str, parallelism: str, processes: int) -> None:
    """Run the recipe, or go on with it."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["-m", "cmgems.integrations.fairseq2", out, "--no-rich", "--config-file", "config.yaml"]
    command += ["--config", f"trainer.data_parallelism={parallelism}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{out} failed:\n{done.stderr[-4000:]}")


def differences(one: Path, other: Path) -> Iterator[str]:
    """The files of the last checkpoints that differ."""
    folders = [run / "checkpoints" / f"step_{STEPS}" for run in (one, other)]
    files = [sorted(path.relative_to(folder) for path in folder.rglob("*.pt")) for folder in folders]
    if files[0] != files[1]:
        yield "names of files"
        return
    for file in files[0]:
        states = [torch.load(folder / file, weights_only=False) for folder in folders]
        for state in states:
            state.pop("_base_wall_time", None)
        if not same(*states):
            yield str(file)


def same(one: object, other: object) -> bool:
    """Whether two states are equal to the bit."""
    one, other = (state.to_local() if hasattr(state, "to_local") else state for state in (one, other))
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)


def main() -> None:
    """Print a line for every resumed run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    processes = parser.parse_args().processes
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_inputs(folder)
        for parallelism in ("ddp", "fsdp"):
            whole = folder / parallelism
            pretrain(folder, parallelism, parallelism, processes)
            reader = torch.load(
                whole / "checkpoints" / f"step_{STEPS}" / "data_reader" / "dp_00.pt", weights_only=False
            )
            switched = reader["stream"]["curriculum"]["switched_at"]
            vectors = cmgems.load(whole).embed(["ACGTACGTACGT"])
            print(f"{parallelism}: {STEPS} steps, switch at {switched}, cmgems.load gives {vectors.shape}")
            for step in KILLED_AT:
                name = f"{parallelism}_{step}"
                shutil.copytree(whole, folder / name)
                for checkpoint in (folder / name / "checkpoints").glob("step_*"):
                    if int(checkpoint.name.removeprefix("step_")) > step:
                        shutil.rmtree(checkpoint)
                pretrain(folder, name, parallelism, processes)
                found = ", ".join(differences(whole, folder / name)) or "nothing differs"
                print(f"{parallelism}: resumed at {step}: {found}", flush=True)


if __name__ == "__main__":
    main()

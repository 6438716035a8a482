"""Makes beforehand, on a CPU, what a bare machine without network lacks: wheels, genome, table, labelled sets.

    python benchmarks/gpu/prepare.py DATA

DATA holds genomes/human_fragments.fa.gz, fewshot/ and gue/GUE/prom/. The fragments are short; for windows of 510 bp
they are laid end to end, a thousand to a contig. The PMI table is that of the fragments as they are.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from xopen import xopen

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MOST_MB = 60
# What pip finds for Python 3.12 and glibc 2.28 or newer.
WHEELS = ("torchdata>=0.11,<0.12", "xopen>=2", "isal", "zlib-ng", "backports.zstd", "dnaio>=1.2")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
TOGETHER = 1000  # fragments in a contig
# Folders of labelled sets below DATA, as they are.
LABELS = (
    "fewshot/Prom-core/10",
    "fewshot/Prom-core/100",
    "fewshot/Splice-40/10",
    "fewshot/Splice-40/100",
    "fewshot/Silencer/10",
    "gue/GUE/prom/prom_core_tata",
)


def download_wheels(folder: Path, python: str) -> None:
    """The packages alone, without what they need: the machine has the rest."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", python, "--implementation", "cp", "-d", str(folder)]
    command += [word for platform in PLATFORMS for word in ("--platform", platform)]
    subprocess.run([*command, *WHEELS], check=True)


def fragments(fasta: Path) -> Iterator[str]:
    """The sequences of a FASTA file."""
    sequence: list[str] = []
    with xopen(fasta, "rt") as lines:
        for line in lines:
            if not line.startswith(">"):
                sequence.append(line.strip())
            elif sequence:
                yield "".join(sequence)
                sequence = []
    if sequence:
        yield "".join(sequence)


def join(fasta: Path, joined: Path) -> None:
    """The same sequences end to end, a thousand to a contig."""
    found, number = fragments(fasta), 0
    with open(joined, "w") as file:
        while together := list(islice(found, TOGETHER)):
            file.write(f">fragments_{number}\n{''.join(together)}\n")
            number += 1


def cmgems(*words: str | Path) -> None:
    subprocess.run([sys.executable, ROOT / "cli.py", *words], check=True)


def build_genome(fasta: Path, out: Path) -> None:
    """Store of the joined fragments; table and BPE tokenizer of the fragments as they are."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cmgems("genome", "build", fasta, "-o", folder / "store")
        cmgems("pmi", "build", folder / "store", "-o", out / "pmi.safetensors")
        cmgems("tokenizer", "train", folder / "store", "-o", out / "tokenizer.json")
        join(fasta, folder / "joined.fa")
        cmgems("genome", "build", folder / "joined.fa", "-o", out / "store")


def copy_labels(data: Path, out: Path) -> None:
    """The small labelled sets; the test set of few-shot draws stands beside their folders."""
    for name in LABELS:
        shutil.copytree(data / name, out / name, dirs_exist_ok=True)
        test = data / Path(name).parent / "test.tsv"
        if test.is_file():
            shutil.copyfile(test, out / Path(name).parent / "test.tsv")


def pack(cache: Path, tar: Path) -> None:
    """Triton's cache as a tar; Inductor's stays behind, for its autotuning saw another machine."""
    with tarfile.open(tar, "w") as packed:
        for path in sorted(cache.iterdir()):
            packed.add(path, path.name)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=HERE / "prepared", help="folder, ignored by git")
    parser.add_argument("--python", default="3.12", help="of the machine (3.12)")
    parser.add_argument("--triton-cache", type=Path, help="a folder that Triton has filled, for the same GPU")
    options = parser.parse_args()
    out: Path = options.out
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    download_wheels(out / "wheels", options.python)
    build_genome(options.data / "genomes" / "human_fragments.fa.gz", out)
    copy_labels(options.data, out / "labels")
    if options.triton_cache is not None:
        pack(options.triton_cache, out / "triton.tar")
    sizes = {
        path.name: sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file()) / 1e6
        for path in sorted(out.iterdir())
    }
    for name, size in sizes.items():
        print(f"{name:<16}{size:>8.1f} MB")
    total = sum(sizes.values())
    print(f"{'together':<16}{total:>8.1f} MB in {out}")
    if total > MOST_MB * 1.048576:
        sys.exit(f"error: more than {MOST_MB} MiB")


if __name__ == "__main__":
    main()

"""Counting all n-grams of a genome, against the k-mer counters KMC and jellyfish.

    python benchmarks/counting.py                              # 500 Mbp, against whichever of the two is on PATH
    python benchmarks/counting.py --genome 3100                # the same, then a human-sized genome, ours only
    python benchmarks/counting.py --genome 3100 --no-peers

Every time is that of a whole process, from its start to its counts on disk; "1 core" pins the process to one. The
programs take turns, round by round, and a ratio is the median of the rounds' ratios. Counts are checked to be equal.
Ours come from a genome store, whose building is timed apart; the others read the FASTA file. They count one n only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmgems import __version__
from cmgems.files import atomic_folder, atomic_path, write_text
from cmgems.genome.alphabet import BASES
from cmgems.genome.store import _Writer

CONTIG_MBP = 50
LINE = 80
LONGEST = (6, 10)
OURS = "cmgems"

COUNT = """
import sys
from pathlib import Path
import numpy as np
from cmgems.genome.store import GenomeStore
from cmgems.pmi.counts import count_ngrams
store, n, workers, output = sys.argv[1:]
counts = count_ngrams(GenomeStore.open(Path(store)), int(n), workers=int(workers))
np.savez(output, **{str(order): table for order, table in counts.items()})
"""

# A process starts with the peak memory of the one that forked it: hence a small one in between.
LAUNCH = """
import os, sys, time
os.sched_setaffinity(0, map(int, sys.argv[1].split(",")))
start = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(pid, 0)
print(time.perf_counter() - start, usage.ru_maxrss)
sys.exit(status != 0)
"""

Table = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Job:
    """A program counting n-grams up to, or of, length ``n``."""

    program: str
    n: int
    cores: int
    command: list[str]
    read: Callable[[], Table]  # the n-mers it counted, int64 [4^n]


@dataclass
class Measured:
    """Wall seconds of each round, and the peak resident memory of all (MiB)."""

    seconds: list[float]
    mib: float = 0.0


def contigs(mbp: int) -> Iterator[tuple[str, bytes]]:
    """A random genome of ``mbp`` Mbp with runs of N, contig by contig; the same each time."""
    rng = np.random.default_rng(mbp)
    four = np.array([[ord(BASES[byte >> 2 * i & 3]) for i in range(4)] for byte in range(256)], np.uint8)
    for first in range(0, mbp, CONTIG_MBP):
        size = min(CONTIG_MBP, mbp - first) * 1_000_000
        letters = four[rng.integers(0, 256, size // 4, np.uint8)].reshape(-1)
        letters[:10_000] = ord("N")
        for start in rng.integers(0, size, size // 500_000):
            letters[start : start + rng.integers(1, 5_000)] = ord("N")
        yield f"contig{first // CONTIG_MBP + 1}", letters.tobytes()


def write_fasta(path: Path, mbp: int) -> None:
    with atomic_path(path) as unfinished, open(unfinished, "wb") as out:
        for name, letters in contigs(mbp):
            out.write(f">{name}\n".encode())
            lines = np.full((len(letters) // LINE, LINE + 1), ord("\n"), np.uint8)
            lines[:, :LINE] = np.frombuffer(letters, np.uint8).reshape(-1, LINE)
            out.write(lines.tobytes())


def write_store(folder: Path, mbp: int) -> None:
    """The genome's store without the FASTA file in between."""
    with atomic_folder(folder) as unfinished, open(unfinished / "codes.bin", "wb") as out:
        writer = _Writer(out, False, lambda _: None)
        for name, letters in contigs(mbp):
            writer.add(name, letters)
        writer.flush()
        (unfinished / "index.json").write_text(json.dumps(writer.index() | {"sources": []}))


def run(command: list[str], cores: int) -> tuple[float, float]:
    """Wall seconds and peak resident memory (MiB) of a process on the first ``cores`` cores."""
    allowed = ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores]))
    launcher = [sys.executable, "-ISc", LAUNCH, allowed, *command]
    process = subprocess.run(launcher, capture_output=True, text=True, errors="replace", check=False)
    if process.returncode:
        sys.exit(f"{shlex.join(command)} failed:\n{process.stderr[-2000:]}")
    seconds, kib = process.stdout.split()[-2:]
    return float(seconds), int(kib) / 1024


def ours(store: Path, n: int, cores: int, folder: Path) -> Job:
    output = folder / f"cmgems-{n}.npz"
    command = [sys.executable, "-c", COUNT, str(store), str(n), str(cores), str(output)]
    return Job(OURS, n, cores, command, lambda: np.load(output)[str(n)])


def kmc(fasta: Path, n: int, cores: int, folder: Path) -> Job:
    """Every count (-ci, -cs, -cx) of one strand (-b)."""
    (folder / "kmc").mkdir(exist_ok=True)
    database = folder / f"kmc-{n}"
    limits = ["-ci1", "-cs4294967295", "-cx4294967295"]
    command = ["kmc", f"-k{n}", "-fm", "-b", "-m2", *limits, f"-t{cores}", "-hp", str(fasta), str(database)]

    def read() -> Table:
        dump = folder / "kmc.txt"
        run(["kmc_tools", "-t1", "transform", str(database), "dump", str(dump)], 1)
        return read_dump(dump, n)

    return Job("KMC", n, cores, [*command, str(folder / "kmc")], read)


def jellyfish(fasta: Path, n: int, cores: int, folder: Path) -> Job:
    """A hash with room for every n-mer (-s) and for twice the mean count (-c): it need not grow."""
    database = folder / f"jellyfish-{n}"
    bits = (2 * fasta.stat().st_size >> 2 * n).bit_length()
    options = ["-m", str(n), "-s", str(2 * 4**n), "-c", str(bits), "-t", str(cores), "-o", str(database)]

    def read() -> Table:
        dump = folder / "jellyfish.txt"
        run(["jellyfish", "dump", "-c", "-t", "-o", str(dump), str(database)], 1)
        return read_dump(dump, n)

    return Job("jellyfish", n, cores, ["jellyfish", "count", *options, str(fasta)], read)


def read_dump(path: Path, n: int) -> Table:
    """Lines ``k-mer <tab> count``."""
    digits = str.maketrans(BASES, "0123")
    table = np.zeros(4**n, np.int64)
    for line in path.read_text().splitlines():
        kmer, count = line.split()
        table[int(kmer.translate(digits), 4)] = int(count)
    return table


PEERS: dict[str, Callable[[Path, int, int, Path], Job]] = {"kmc": kmc, "jellyfish": jellyfish}


def measure(jobs: list[Job], rounds: int) -> list[Measured]:
    """Run the jobs in turn; once before the rounds, which fills caches and checks that all count the same."""
    for job in jobs:
        run(job.command, job.cores)
    for n in LONGEST:
        expected = next(job for job in jobs if job.n == n).read()
        for job in jobs:
            if job.n == n and not np.array_equal(job.read(), expected):
                sys.exit(f"{job.program} counts other {n}-mers than {OURS}")
    results = [Measured([]) for _ in jobs]
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for job, result in zip(jobs, results, strict=True):
            seconds, mib = run(job.command, job.cores)
            result.seconds.append(seconds)
            result.mib = max(result.mib, mib)
    return results


def rows(jobs: list[Job], results: list[Measured], mbp: int) -> list[str]:
    """The lines of a markdown table."""
    lines = [
        "| n | cores | program | median, s | min, s | Mbp/s | peak, MiB | cmgems / program |",
        "|---|---|---|---|---|---|---|---|",
    ]
    reference = {
        (job.n, job.cores): result.seconds
        for job, result in zip(jobs, results, strict=True)
        if job.program == OURS
    }
    for job, result in sorted(zip(jobs, results, strict=True), key=lambda pair: (pair[0].n, pair[0].cores)):
        median = statistics.median(result.seconds)
        mine = reference[job.n, job.cores]
        ratio = statistics.median(a / b for a, b in zip(mine, result.seconds, strict=True))
        cells = [
            f"1 to {job.n}" if job.program == OURS else f"{job.n} only",
            str(job.cores),
            job.program,
            f"{median:.2f}",
            f"{min(result.seconds):.2f}",
            f"{mbp / median:.0f}",
            f"{result.mib:.0f}",
            "" if job.program == OURS else f"{ratio:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def against_peers(mbp: int, rounds: int, cores: list[int], folder: Path, scratch: Path) -> list[str]:
    fasta, store = folder / f"random-{mbp}.fa", folder / f"random-{mbp}-fasta.store"
    if not fasta.exists():
        write_fasta(fasta, mbp)
    shutil.rmtree(store, ignore_errors=True)
    build_seconds, build_mib = run(
        [sys.executable, "-m", "cmgems", "genome", "build", str(fasta), "-o", str(store)], 1
    )
    found = [peer for peer in PEERS if shutil.which(peer)]
    programs = [partial(ours, store), *(partial(PEERS[peer], fasta) for peer in found)]
    jobs = [make(n, count, scratch) for n in LONGEST for count in cores for make in programs]
    table = rows(jobs, measure(jobs, rounds), mbp)
    missing = [f"`{peer}` was not on PATH: not measured." for peer in PEERS if peer not in found]
    equal = "The programs' counts of 6-mers and of 10-mers are equal." if found else ""
    build = f"Building the store, 1 core, once, not in the times above: {build_seconds:.2f} s, {build_mib:.0f} MiB."
    return [f"## A random genome of {mbp} Mbp", "", *table, "", *filter(None, [equal, build, *missing]), ""]


def whole_genome(mbp: int, cores: list[int], folder: Path, scratch: Path) -> list[str]:
    store = folder / f"random-{mbp}.store"
    if not store.exists():
        write_store(store, mbp)
    jobs = [ours(store, n, count, scratch) for n in LONGEST for count in cores]
    table = rows(jobs, measure(jobs, 1), mbp)
    # The last column compares with others.
    return [f"## {mbp} Mbp, each counted once", "", *(line.rsplit("|", 2)[0] + "|" for line in table), ""]


def machine() -> list[str]:
    about_cpu = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line for line in about_cpu if line.startswith("model name")), ":unknown")
    versions = [f"{OURS} {__version__}", f"Python {platform.python_version()}", f"numpy {np.__version__}"]
    for peer, arguments in {"kmc": [], "jellyfish": ["--version"]}.items():
        if shutil.which(peer):
            said = subprocess.run([peer, *arguments], capture_output=True, text=True, check=False).stdout
            versions.append(said.splitlines()[0])
    cores = len(os.sched_getaffinity(0))
    return [
        f"- Command: `python {shlex.join(sys.argv)}`",
        f"- CPU: {cpu.split(':')[1].strip()}, {cores} cores; load before the run {os.getloadavg()[0]:.1f}",
        f"- Versions: {', '.join(versions)}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mbp", type=int, default=500, help="genome counted by all programs (Mbp)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--genome", type=int, metavar="MBP", help="also count a genome of MBP Mbp, ours only")
    parser.add_argument("--no-peers", action="store_true", help="leave out what --mbp compares")
    parser.add_argument("--folder", type=Path, help="keep genomes here for the next run")
    parser.add_argument("--output", type=Path, default=Path("docs/results/counting.md"))
    options = parser.parse_args()
    if options.no_peers and options.genome is None:
        parser.error("--no-peers needs --genome MBP")

    cores = sorted({1, len(os.sched_getaffinity(0))})
    # What the docstring says of the method belongs to the numbers.
    method = (__doc__ or "").rpartition("\n\n")[2].strip().splitlines()
    lines = ["# Counting n-grams", "", *method, "", *machine(), ""]
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not options.no_peers:
            lines += against_peers(options.mbp, options.rounds, cores, folder, Path(scratch))
        if options.genome is not None:
            lines += whole_genome(options.genome, cores, folder, Path(scratch))
    write_text(options.output, "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()

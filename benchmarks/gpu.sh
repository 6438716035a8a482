#!/usr/bin/env bash
# Everything that needs a GPU: attention, training against Hugging Face's, whole pretraining runs, the suite.
# Pages in docs/results/, each written anew after every row. Most of the time goes to torch.compile; where a command
# may take only minutes, run the parts one by one:
#
#   benchmarks/gpu.sh OUT [FASTA]      OUT: an empty folder for the runs; FASTA: a genome, else one is simulated
#
#   python benchmarks/packed_attention.py
#   python benchmarks/gpu.py --runs logo --output docs/results/gpu_logo.md          also: dnabert, dnabert_dropout
#   python benchmarks/gpu_pretraining.py OUT --configs logo_cm_gems                 also: dnabert_cm_gems
set -uo pipefail
mkdir -p "$1"
out=$(realpath "$1")
fasta=(${2:+--fasta "$(realpath "$2")"})
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1

status=0
part() { # what fails costs its own figures alone
  printf '\n== %s (%d s)\n' "$*" "$SECONDS"
  "$@" || { status=1 && echo "failed: $*" >&2; }
}
part python benchmarks/packed_attention.py
part python benchmarks/gpu.py
part python benchmarks/gpu_pretraining.py "$out" "${fasta[@]}"
part python -m pytest -q tests/models tests/training tests/recipes/test_pretrain.py
exit $status

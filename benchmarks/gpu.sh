#!/usr/bin/env bash
# Everything that needs a GPU: attention, training against Hugging Face's, whole pretraining runs, the suite.
# Pages in docs/results/, or in the folder PAGES, each written anew after every row. Most of the time goes to
# torch.compile; where a command may take only minutes, run the parts one by one, each with an --output of its own:
#
#   benchmarks/gpu.sh OUT [FASTA]      OUT: an empty folder for the runs; FASTA: a genome, else one is simulated
#
#   python benchmarks/packed_attention.py
#   python benchmarks/gpu.py --runs logo                              also: dnabert, dnabert_dropout
#   python benchmarks/gpu_pretraining.py OUT --configs logo   also: dnabert
set -uo pipefail
mkdir -p "$1"
out=$(realpath "$1")
pages=$(realpath "${PAGES:-$(dirname "$0")/../docs/results}")
python=${PYTHON:-python3}
fasta=(${2:+--fasta "$(realpath "$2")"})
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1

status=0
part() { # what fails costs its own figures alone
  printf '\n== %s (%d s)\n' "$*" "$SECONDS"
  "$@" || { status=1 && echo "failed: $*" >&2; }
}
part "$python" benchmarks/packed_attention.py --output "$pages/packed_attention.md"
part "$python" benchmarks/gpu.py --output "$pages/gpu.md"
part "$python" benchmarks/gpu_pretraining.py "$out" "${fasta[@]}" --output "$pages/gpu_pretraining.md"
part "$python" -m pytest -q tests/models tests/training tests/recipes/test_pretrain.py
exit $status

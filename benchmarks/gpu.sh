#!/bin/sh
# Everything that needs a GPU, in less than ten minutes:  sh benchmarks/gpu.sh [cuda|cpu]
#
# The marked tests; rounds of every synthesizer, compiled networks and the split in bfloat16; time of a round against the
# published loop; two runs at a time on one GPU. "cpu" tries the script itself, in tiny sizes, on any machine.
set -eu
device=${1:-cuda}
python=${PYTHON:-.venv/bin/python}
if [ "$device" = cuda ]; then
    "$python" -m pytest -m cuda
    "$python" -m benchmarks.gpu --device cuda --preset full --rounds 20
    "$python" -m benchmarks.round --device cuda --preset full --rounds 20
    "$python" -m benchmarks.cluster --device cuda --preset full --repeats 1 --rounds 20
else
    "$python" -m benchmarks.gpu --device "$device" --preset quick --rounds 1
    "$python" -m benchmarks.round --device "$device" --preset quick --rounds 1
    "$python" -m benchmarks.cluster --device "$device" --preset quick --repeats 1 --rounds 2
fi

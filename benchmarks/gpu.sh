#!/bin/sh
# Run all GPU measurements in two minutes; options such as --output gpu.txt are passed to gpu.py.
root="$(cd "$(dirname "$0")/.." && pwd)" || exit 1
export PYTHONPATH="$root" PYTHONUNBUFFERED=1
exec timeout -k 2 126 "${PYTHON:-python3}" "$root/benchmarks/gpu.py" "$@"

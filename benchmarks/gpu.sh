#!/bin/sh
# Measure everything on a GPU in two minutes; options are passed on, such as --output gpu.txt.
root="$(cd "$(dirname "$0")/.." && pwd)" || exit 1
export PYTHONPATH="$root" PYTHONUNBUFFERED=1
exec timeout -k 2 126 "${PYTHON:-python3}" "$root/benchmarks/gpu.py" "$@"

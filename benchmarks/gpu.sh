#!/bin/sh
# Measure everything on a GPU in two minutes; options are passed on, such as --output gpu.txt.
cd "$(dirname "$0")/.." || exit 1
export PYTHONPATH="$PWD" PYTHONUNBUFFERED=1
exec timeout -k 2 126 "${PYTHON:-python3}" benchmarks/gpu.py "$@"

# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Fuzz test of the file readers.

Files of each kind that users provide are damaged at random, and read in a separate process with
limited memory and time::

    python benchmarks/fuzz.py --n 5000

prints how often each kind of file was

- read with the values of the undamaged file (``equal``), with the changed values that an
  independent decoder finds in the damaged file (``as stated``), with fewer rows after its end was
  cut off (``fewer rows``), or with a warning that names the file (``warning``);
- rejected with an error of astroclust that names the file (``our error``);
- read with other values that nothing in the file identifies as wrong (``undetectable``), such as a
  changed digit in a text;
- or, which must not happen, caused an exception of another package or an error that does not name
  the file, took more than 10 seconds, or was read with wrong values although the change can be
  detected (``silent change``). `astroclust.tests.fuzzing` defines the detectable changes.

``time`` and ``memory`` are the maximum of all cases, in seconds and in MB added to the process.
"""

import argparse
import json
import resource
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from astroclust.tests.fuzzed_files import make_kinds
from astroclust.tests.fuzzing import BAD, OUTCOMES, fuzz

_SECONDS = 10  # for a file
_MEMORY = 1 << 30  # bytes, in addition to those used by the process at its start


def main():
    """Print the table of outcomes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=5000, help="number of files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--kind", help="only kinds with this in their name")
    parser.add_argument("--show", type=int, default=3, help="bad cases shown for each kind")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
    else:
        report(watch(options), options)


def work(options):
    """Test files in turn; print the number of each before the test, and then its outcome."""
    with tempfile.TemporaryDirectory() as folder:
        kinds = chosen(make_kinds(folder), options.kind)
        for kind in kinds:
            fuzz(kind, 0, folder)  # so that lazy imports do not count toward the limits
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + _MEMORY,) * 2)
        for number in range(options.first, options.first + options.n):
            kind = kinds[number % len(kinds)]
            print(json.dumps([number, kind.name]), flush=True)
            start, before = time.perf_counter(), peak()
            outcome, note = fuzz(kind, number, folder, seed=options.seed, seconds=_SECONDS)
            row = [number, kind.name, outcome, note, time.perf_counter() - start, peak() - before]
            print(json.dumps(row), flush=True)


def chosen(kinds, part):
    """Select the kinds whose names contain a text."""
    return [kind for kind in kinds if part is None or part in kind.name]


def peak():
    """Peak memory of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def watch(options):
    """Run workers until all files are tested, replacing workers that die or hang."""
    rows, first, end = [], options.first, options.first + options.n
    while first < end:
        command = [sys.executable, __file__, "--worker", "--seed", str(options.seed)]
        command += ["--first", str(first), "--n", str(end - first)]
        command += ["--kind", options.kind] if options.kind else []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1) as worker:
            current = None
            for line in lines_in_time(worker):
                current = json.loads(line)
                if len(current) > 2:
                    rows.append(current)
            if current is None:
                raise SystemExit("the worker could not start")
            if len(current) == 2:
                outcome = "hang" if worker.poll() is None else "foreign exception"
                rows.append([*current, outcome, "the process hung or died", _SECONDS, 0])
            worker.kill()
        first = current[0] + 1
    return rows


def lines_in_time(worker):
    """Yield the lines printed by a worker until it ends or is silent for too long."""
    selector = selectors.DefaultSelector()
    selector.register(worker.stdout, selectors.EVENT_READ)
    seconds = 300  # to start
    while selector.select(seconds):
        line = worker.stdout.readline()
        if not line:
            worker.wait()
            return
        yield line
        seconds = 3 * _SECONDS


def report(rows, options):
    """Print the outcomes for each kind, and bad cases."""
    outcomes, bad = defaultdict(Counter), defaultdict(list)
    for number, kind, outcome, note, *_ in rows:
        outcomes[kind][outcome] += 1
        if outcome in BAD:
            bad[kind].append(f"{number} {outcome}: {note}")
    width = max(map(len, outcomes))
    print(f"{'':{width}}", *(f"{name:>11.11}" for name in OUTCOMES), "   time  memory")
    for kind in [*outcomes, "all"]:
        of_kind = [row for row in rows if kind in (row[1], "all")]
        counts = sum(outcomes.values(), Counter()) if kind == "all" else outcomes[kind]
        print(
            f"{kind:{width}}",
            *(f"{counts[name]:11}" for name in OUTCOMES),
            f"{max(row[4] for row in of_kind):7.2f} {max(row[5] for row in of_kind):7.0f}",
        )
    for kind, cases in bad.items():
        print(f"\n{kind}: {len(cases)} bad", *cases[: options.show], sep="\n  ")


if __name__ == "__main__":
    main()

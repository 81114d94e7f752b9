"""What a program costs in two trees: processor time, in runs that take turns.

    python benchmarks/before_and_after.py BEFORE AFTER [--rounds 3] -- benchmarks/report.py \
--operations 10000

``BEFORE`` and ``AFTER`` are checkouts; the program is run in each of them with this Python and that
tree's packages, first once without being counted (so that whatever is compiled once is there), then
in turns. Processor time of the program and all that it waited for says more than the clock on a
machine that others use too, and turns share out what changes meanwhile. The last line is JSON: the
least of each in seconds, and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def cost_s(tree: Path, argv: Sequence[str]) -> float:
    """Processor time of one run in ``tree``; ends the program where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *argv],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(argv)} in {tree} ended with {done.returncode}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="compare what a program costs in two trees")
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("argv", nargs="+", help="the program and its arguments, after --")
    asked = parser.parse_args()
    trees = {"before": asked.before.resolve(), "after": asked.after.resolve()}
    for tree in trees.values():
        cost_s(tree, asked.argv)
    costs: dict[str, list[float]] = {name: [] for name in trees}
    for _ in range(asked.rounds):
        for name, tree in trees.items():
            costs[name].append(cost_s(tree, asked.argv))
            print(f"{name}: {costs[name][-1]:.2f} s", flush=True)
    least = {name: round(min(found), 3) for name, found in costs.items()}
    print(json.dumps({**least, "ratio": round(least["after"] / least["before"], 3)}))


if __name__ == "__main__":
    main()

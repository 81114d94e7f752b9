"""How long two million records of lists (300 MB) take from a file into columns.

    python benchmarks/loading.py [--transactions 1000000] [--names]

The same seeded history (:mod:`benchmarks.list_histories`) as JSON lines and as EDN lines, with
integers, or with ``--names`` strings and keywords too, as keys and values. Each measurement is a
process of its own: the best of three loads with a warm compile cache, and the first load of all
with an empty one (``cold``), which compiles. The last line is JSON: seconds, processor seconds and
the peak of resident memory.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.list_histories import Plan, write_history  # noqa: E402
from harness.history.columns import columns  # noqa: E402
from harness.history.reader import read_history  # noqa: E402

AIMS_S = {"jsonl": 1.2, "edn": 2.5}
ROUNDS = 3
_FIELD = re.compile(r'"(index|time|process|type|f|value)":')
_WORD = re.compile(r'"(append|r|txn|invoke|ok|info|fail)"')
_KEY = re.compile(r'\["(append|r)",(\d+),')


def write_edn(source: Path, target: Path) -> None:
    """The JSON lines of ``source`` as EDN lines."""
    with source.open() as lines, target.open("w") as out:
        for line in lines:
            edn = _WORD.sub(r":\1", _FIELD.sub(r":\1 ", line))
            head, _, value = edn.partition(" [[")
            value = value.replace("null", "nil").replace("],[", "] [").replace(",", " ")
            out.write(head.replace(",:", ", :") + " [[" + value)


def write_named(source: Path, target: Path) -> None:
    """``source`` with names for keys."""
    with source.open() as lines, target.open("w") as out:
        out.writelines(_KEY.sub(r'["\1","key \2",', line) for line in lines)


def load(path: Path) -> dict[str, Any]:
    """Load ``path`` a few times in this process."""
    times: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        begun, begun_cpu = time.perf_counter(), time.process_time()
        view = columns(read_history(path))
        times.append((time.perf_counter() - begun, time.process_time() - begun_cpu))
        records = len(view)
        del view
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    first = [round(seconds, 2) for seconds in times[0]]
    best = [round(min(column), 2) for column in zip(*times, strict=True)]
    return {"records": records, "first": first, "best": best, "peak_mib": peak}


def measured(path: Path, cache: Path) -> dict[str, Any]:
    """``path`` in processes of their own: with an empty compile cache, then with a warm one."""
    found = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, __file__, "--load", str(path)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(cache)},
            check=True,
            capture_output=True,
        )
        found.append(json.loads(done.stdout))
    cold, warm = found
    return {
        "seconds": warm["best"][0],
        "cpu_seconds": warm["best"][1],
        "first_s": warm["first"][0],
        "cold_s": cold["first"][0],
        "aim_s": AIMS_S[path.suffix[1:]],
        "records": warm["records"],
        "peak_mib": warm["peak_mib"],
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Write the files and load them."""
    parser = argparse.ArgumentParser(description="How fast histories are loaded.")
    parser.add_argument("--transactions", type=int, default=1_000_000)
    parser.add_argument("--names", action="store_true")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load is not None:
        print(json.dumps(load(given.load)))
        return
    results = {}
    with tempfile.TemporaryDirectory() as directory:
        lines, edn = Path(directory, "history.jsonl"), Path(directory, "history.edn")
        write_history(lines, Plan(transactions=given.transactions))
        if given.names:
            write_named(lines, lines.with_suffix(".new"))
            lines.with_suffix(".new").replace(lines)
        write_edn(lines, edn)
        for path in (lines, edn):
            results[path.suffix[1:]] = measured(path, Path(directory, "cache"))
            print(path.name, results[path.suffix[1:]], file=sys.stderr, flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main()

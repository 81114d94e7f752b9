"""How fast histories of lists are judged: whole processes, file to verdict, with their memory.

    python benchmarks/elle.py [--large] [--keep DIR]

Each line is one process of ``polygraph check -m list-append`` on a seeded history of
:mod:`benchmarks.list_histories`: seconds of wall time and of processor time, how many of these were
the system's, how often a page of memory was touched for the first time (``faults``), and the peak
of the sum of resident memory over it and all its children. The last line is JSON. ``cold`` is the
first run with empty caches (numba's and Python's), ``without_numba`` with numba hidden. ``--large``
adds ten million transactions (a file of 3 GB, judged in less than 4 GB).

The system's time is for memory that is touched first. A virtual machine may get its memory from
the host only then, and wait for it: 2.5 s a GB on one that did, 0.1 s where it had it already.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.list_histories import Plan, write_history  # noqa: E402

HIDE_NUMBA = (
    "import importlib.util as u, sys; f = u.find_spec; "
    "u.find_spec = lambda n, *a: None if n == 'numba' else f(n, *a); "
    "from harness.cli.main import main; main()"
)
BROKEN = {"infos": 0.02, "fails": 0.03, "g_single": True}
HUNDRED_THOUSAND, MILLION, TEN_MILLIONS = 100_000, 1_000_000, 10_000_000


def cases(large: bool) -> Iterator[tuple[str, Plan, bool, str]]:
    """Name, history, whether numba is to be used, and the answer to expect."""
    yield "100k", Plan(transactions=HUNDRED_THOUSAND), True, "true"
    yield "100k without numba", Plan(transactions=HUNDRED_THOUSAND), False, "true"
    yield "100k broken", Plan(transactions=HUNDRED_THOUSAND, **BROKEN), True, "false"
    yield "100k, a component of 20k", Plan(transactions=100_000, stale=20_000), True, "false"
    yield "1M", Plan(transactions=MILLION), True, "true"
    yield "1M broken", Plan(transactions=MILLION, **BROKEN), True, "false"
    if large:
        yield "10M", Plan(transactions=TEN_MILLIONS), True, "true"
        yield "10M broken", Plan(transactions=TEN_MILLIONS, **BROKEN), True, "false"


def resident_kb(pid: int) -> int:
    """Resident memory of a process and all its children."""
    total, waiting = 0, [pid]
    while waiting:
        process = waiting.pop()
        try:
            status = Path(f"/proc/{process}/status").read_text()
            total += next(
                (int(line.split()[1]) for line in status.splitlines() if line[:5] == "VmRSS"), 0
            )
            for task in Path(f"/proc/{process}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return total


def measured(path: Path, *, numba: bool, cache: Path) -> dict[str, Any]:
    """One whole process."""
    start_with = ["-m", "harness.cli.main"] if numba else ["-c", HIDE_NUMBA]
    argv = [sys.executable, *start_with, "check", "-v", "-m", "list-append", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(cache)}
    environment["PYTHONPYCACHEPREFIX"] = str(cache / "python")
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # whoever installs has compiled modules
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start, peak = time.perf_counter(), 0
    with subprocess.Popen(
        argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        while process.poll() is None:
            peak = max(peak, resident_kb(process.pid))
            time.sleep(0.01)
        took_s = time.perf_counter() - start
        assert process.stdout is not None
        answer = process.stdout.read().rpartition("\t")[2].strip()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    system_s = after.ru_stime - before.ru_stime
    used_s = after.ru_utime - before.ru_utime + system_s
    return {
        "wall_s": round(took_s, 2),
        "cpu_s": round(used_s, 2),
        "system_s": round(system_s, 2),
        "faults": after.ru_minflt - before.ru_minflt,
        "peak_mb": peak // 1024,
        "answer": answer,
        "load": round(os.getloadavg()[0], 1),
    }


def run(folder: Path, large: bool, rounds: int) -> dict[str, Any]:
    """All cases; of each the round with the least wall time."""
    results: dict[str, Any] = {}
    cache = folder / "numba"
    shutil.rmtree(cache, ignore_errors=True)
    for name, plan, numba, expected in cases(large):
        path = folder / f"{hash_of(plan)}.jsonl"
        if not path.exists():
            write_history(path, plan)
        if not results:
            results["100k cold"] = measured(path, numba=True, cache=cache)
            print("100k cold", results["100k cold"], flush=True)
        tries = [measured(path, numba=numba, cache=cache) for _ in range(rounds)]
        best = min(tries, key=lambda result: result["wall_s"])
        assert {each["answer"] for each in tries} == {expected}, (name, tries)
        results[name] = best
        print(name, best, flush=True)
    return results


def hash_of(plan: Plan) -> str:
    """A name for the file of a plan."""
    facts = [plan.transactions, plan.seed, plan.infos, plan.fails, plan.g_single, plan.stale]
    return "-".join(map(str, facts))


def main() -> None:
    """Measure, and print JSON on the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="Keep the histories here for the next time.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        folder = given.keep or Path(fresh)
        folder.mkdir(parents=True, exist_ok=True)
        print(json.dumps(run(folder, given.large, given.rounds)))


if __name__ == "__main__":
    main()

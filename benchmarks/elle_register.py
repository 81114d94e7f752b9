"""How long rw-register takes, from the file to the verdict, as a whole process.

A seeded history: twenty processes, ten active keys, 32 writes a key, one to four micro-operations,
each transaction executed at its completion on one copy of the data, so strict serializable by
construction. Judged with wfr and sequential keys against strict serializability, as Elle could not
within 300 s at 100,000 transactions. The last line is JSON: seconds of wall time (the best of
three runs, and the first, which may have compiled something), peak memory of the process, verdict.

    python benchmarks/elle_register.py --transactions 100000
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

PROCESSES = 20
ACTIVE_KEYS = 10
WRITES_A_KEY = 32
RUNS = 3


def write_history(path: Path, transactions: int, seed: int) -> None:
    """Write the history; the same arguments give the same bytes."""
    random = Random(seed)
    state: list[int] = [0] * ACTIVE_KEYS
    given: list[int] = [0] * ACTIVE_KEYS
    active = list(range(ACTIVE_KEYS))
    queue: list[tuple[float, int, list[list[object]]]] = []
    queue = [(random.random(), process, []) for process in range(PROCESSES)]
    heapq.heapify(queue)
    begun = index = 0
    options = {"wfr_keys": True, "sequential_keys": True}
    header = {"polygraph": 1, "claims": ["strict-serializable"], "options": options}
    with path.open("w") as out:
        out.write(json.dumps(header, separators=(",", ":")) + "\n")

        def record(process: int, kind: str, value: object) -> None:
            nonlocal index
            line = {"index": index, "time": index * 1000, "process": process, "type": kind}
            line |= {"f": "txn", "value": value}
            out.write(json.dumps(line, separators=(",", ":")) + "\n")
            index += 1

        while queue:
            when, process, steps = heapq.heappop(queue)
            if steps:
                answer: list[list[object]] = []
                for f, key, value in steps:
                    assert isinstance(key, int)
                    if f == "w":
                        assert isinstance(value, int)
                        state[key] = value
                    answer.append([f, key, value if f == "w" else state[key] or None])
                record(process, "ok", answer)
                heapq.heappush(queue, (when + 0.1 * random.random(), process, []))
            elif begun < transactions:
                begun += 1
                for _ in range(random.randint(1, 4)):
                    slot = random.randrange(ACTIVE_KEYS)
                    if random.random() < 0.5:
                        if given[active[slot]] == WRITES_A_KEY:
                            active[slot] = len(given)
                            given.append(0)
                            state.append(0)
                        given[active[slot]] += 1
                        steps.append(["w", active[slot], given[active[slot]]])
                    else:
                        steps.append(["r", active[slot], None])
                asked = [[f, key, value] for f, key, value in steps]
                record(process, "invoke", asked)
                heapq.heappush(queue, (when + random.expovariate(1.0), process, steps))


def run(path: Path) -> tuple[float, int, str]:
    """Seconds, peak bytes and what was said of one whole process."""
    argv = [sys.executable, "-m", "harness.cli.main", "check", "-m", "rw-register", str(path)]
    begun = time.monotonic()
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(path.parent / "python")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # whoever installs has compiled modules
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    said = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return time.monotonic() - begun, usage.ru_maxrss * 1024, said.split("\t")[-1].strip()


def main() -> None:
    """Write, judge, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        write_history(path, asked.transactions, asked.seed)
        size = path.stat().st_size
        runs = [run(path) for _ in range(RUNS)]
    load = os.getloadavg()[0]
    figures = {
        "transactions": asked.transactions,
        "file_bytes": size,
        "seconds": round(min(seconds for seconds, _, _ in runs), 2),
        "seconds_first": round(runs[0][0], 2),
        "peak_bytes": max(peak for _, peak, _ in runs),
        "verdict": runs[-1][2],
        "load": round(load, 1),
        "cpu_children_s": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime / RUNS, 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

"""How long rw-register takes to decide snapshot isolation and serializability, as a whole process.

A seeded store of many versions with twenty sessions: eight operations a transaction, half of them
reads, no key twice, values unique. At ``snapshot-isolation`` each reads its snapshot, and of two
that overlap and write one key the second is refused; at ``serializable`` one is refused of which a
read was overwritten. With ``--text`` sessions are written without times (as Plume's and PolySI's
texts are), so that nothing hints at the order. ``--lost`` lets one transaction's read go stale.

    python benchmarks/isolation.py --transactions 100000 --keys zipf --text

The last line is JSON: seconds of wall time and of processor time (the best of three runs, and the
first, which may have compiled something), peak memory of the process, and what was said.
"""

from __future__ import annotations

import argparse
import bisect
import heapq
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

SESSIONS = 20
OPERATIONS = 8
KEYS = 10_000
RUNS = 3

Transaction = tuple[int, float, float, list[tuple[str, int, int]]]
"""Session, begin, end, and what was done."""


class Store:
    """Every version of every key with the moment at which it was committed."""

    def __init__(self, level: str) -> None:
        self.level = level
        self.times: dict[int, list[int]] = {}
        self.values: dict[int, list[int]] = {}
        self.now = 0
        self.given = 0

    def read(self, key: int, moment: int) -> int:
        """The value at a moment, 0 where nobody had written."""
        at = bisect.bisect_right(self.times.get(key, ()), moment)
        return self.values[key][at - 1] if at else 0

    def commit(self, moment: int, asked: list[tuple[bool, int]]) -> list[tuple[str, int, int]]:
        """What was done, nothing if it is refused."""
        is_wanted = self.level == "snapshot-isolation"
        for is_write, key in asked:
            if is_write == is_wanted and self.times.get(key, [0])[-1] > moment:
                return []
        self.now += 1
        done = []
        for is_write, key in asked:
            if not is_write:
                done.append(("r", key, self.read(key, moment)))
        for is_write, key in asked:
            if is_write:
                self.given += 1
                self.times.setdefault(key, []).append(self.now)
                self.values.setdefault(key, []).append(self.given)
                done.append(("w", key, self.given))
        return done


def keys_of(random: Random, keys: str) -> Iterator[int]:
    """Keys, uniformly or by zipf with 0.99."""
    weights = [1 / n**0.99 if keys == "zipf" else 1.0 for n in range(1, KEYS + 1)]
    total = list(accumulate(weights))
    while True:
        yield from random.choices(range(KEYS), cum_weights=total, k=10_000)


def made(transactions: int, level: str, keys: str, seed: int) -> list[Transaction]:
    """The transactions in the order of their ends."""
    random, store = Random(seed), Store(level)
    drawn = keys_of(random, keys)
    waiting: list[tuple[float, int, Any]] = [(random.random(), s, None) for s in range(SESSIONS)]
    heapq.heapify(waiting)
    found: list[Transaction] = []
    while len(found) < transactions:
        when, session, open_ = heapq.heappop(waiting)
        if open_ is None:
            chosen: dict[int, bool] = {}
            while len(chosen) < OPERATIONS:
                chosen.setdefault(next(drawn), random.random() < 0.5)
            asked = [(is_write, key) for key, is_write in chosen.items()]
            entry = (when, store.now, asked)
            heapq.heappush(waiting, (when + random.random(), session, entry))
            continue
        begun, moment, asked = open_
        done = store.commit(moment, asked)
        if done:
            found.append((session, begun, when, done))
        heapq.heappush(waiting, (when + 0.05 * random.random(), session, None))
    return found


def spoil(found: list[Transaction]) -> None:
    """Let a read at nine tenths show the first value of its key, if it is a later one."""
    first: dict[int, int] = {}
    for *_, done in found:
        for f, key, value in done:
            if f == "w":
                first.setdefault(key, value)
    for *_, done in found[len(found) * 9 // 10 :]:
        for at, (f, key, value) in enumerate(done):
            if f == "r" and value != first.get(key, value) and value:
                done[at] = (f, key, first[key])
                return


def write_text(path: Path, found: list[Transaction]) -> None:
    """Sessions one after another, an operation a line."""
    with path.open("w") as out:
        for session in range(SESSIONS):
            for number, (mine, _, _, done) in enumerate(found):
                if mine == session:
                    out.writelines(f"{f}({k},{v},{session},{number})\n" for f, k, v in done)


def write_lines(path: Path, found: list[Transaction]) -> None:
    """JSON lines with begins and ends."""
    events = [(begun, "invoke", n) for n, (_, begun, _, _) in enumerate(found)]
    events += [(ended, "ok", n) for n, (_, _, ended, _) in enumerate(found)]
    events.sort()
    with path.open("w") as out:
        out.write('{"polygraph": 1, "initial": 0}\n')
        for index, (when, kind, number) in enumerate(events):
            session, _, _, done = found[number]
            value = [[f, k, None if f == "r" and kind == "invoke" else v] for f, k, v in done]
            line = {"index": index, "time": int(when * 1e6), "process": session, "type": kind}
            out.write(json.dumps({**line, "f": "txn", "value": value}) + "\n")


def run(path: Path, model: str) -> tuple[float, float, int, str]:
    """Seconds of wall and of processor time, peak bytes and what was said of one process."""
    flags = ["-m", "rw-register", "-c", model]
    argv = [sys.executable, "-m", "harness.cli.main", "check", *flags, str(path)]
    begun = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    seconds = usage.ru_utime + usage.ru_stime
    return time.monotonic() - begun, seconds, usage.ru_maxrss * 1024, said.split("\t")[-1].strip()


def main() -> None:
    """Write, judge, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, default=10_000)
    parser.add_argument("--level", choices=("snapshot-isolation", "serializable"))
    parser.add_argument("--model", help="judged against this one  [the store's level]")
    parser.add_argument("--keys", choices=("uniform", "zipf"), default="uniform")
    parser.add_argument("--text", action="store_true")
    parser.add_argument("--lost", action="store_true")
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    level = asked.level or "snapshot-isolation"
    found = made(asked.transactions, level, asked.keys, asked.seed)
    if asked.lost:
        spoil(found)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("history.txt" if asked.text else "history.jsonl")
        (write_text if asked.text else write_lines)(path, found)
        size = path.stat().st_size
        del found
        runs = [run(path, asked.model or level) for _ in range(RUNS)]
    figures = {
        "transactions": asked.transactions,
        "level": level,
        "keys": asked.keys,
        "times": not asked.text,
        "file_bytes": size,
        "seconds": round(min(wall for wall, *_ in runs), 2),
        "seconds_first": round(runs[0][0], 2),
        "cpu_s": round(min(cpu for _, cpu, *_ in runs), 2),
        "peak_bytes": max(peak for *_, peak, _ in runs),
        "verdict": runs[-1][-1],
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

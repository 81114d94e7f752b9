"""Synthetic run folders, as a run of a five-node etcd cluster would leave them.

Deterministic: a seeded stream stands in for the cluster. ``write_run`` makes a register run with
two cuts; reads on the minority side get old values there, so one of them is a true stale read
whose witness the verdict names.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.history.seal import seal

NODES = ["n1", "n2", "n3", "n4", "n5"]
THREADS = 20
KEYS = 40
START_WALL_NS = 1_700_000_000_000_000_000
MILLISECOND = 1_000_000
CUTS = ((0.25, 0.40, ["n1", "n2"]), (0.62, 0.78, ["n4"]))


class Stream:
    """A fake cluster: registers, two cuts, and twenty client threads."""

    def __init__(self, count: int, seed: int, length_s: float) -> None:
        self.random = random.Random(seed)
        self.count = count
        self.length_ns = int(length_s * 1e9)
        self.records: list[dict[str, Any]] = []
        self.values: dict[int, list[tuple[int, int, int]]] = {}  # key -> (value, index, time)
        self.old: dict[int, tuple[int, int, int]] = {}
        self.stale: list[dict[str, Any]] = []
        self.next_value = 0

    def cut_of(self, node: str, time_ns: int) -> int | None:
        for at, (start, end, nodes) in enumerate(CUTS):
            if node in nodes and start <= time_ns / self.length_ns < end:
                return at
        return None

    def run(self) -> None:
        """Calls in time order; each thread is busy from its invoke to its completion."""
        processes = list(range(THREADS))
        free_at = [0] * THREADS
        pending: list[tuple[int, int, dict[str, Any]]] = []
        gap = self.length_ns // max(self.count, 1)
        cuts = self.nemesis_records()
        time_ns = 0
        for _ in range(self.count):
            time_ns += max(1, int(self.random.expovariate(1.0) * gap))
            thread = min(
                range(THREADS), key=lambda t: (max(free_at[t], time_ns), self.random.random())
            )
            begin = max(time_ns, free_at[thread])
            while cuts and cuts[0]["time"] <= begin:
                pending.append((cuts[0]["time"], -1, cuts.pop(0)))
            pending.sort(key=lambda row: row[0])
            while pending and pending[0][0] <= begin:
                self.finish(*pending.pop(0), processes)
            free_at[thread] = self.call(thread, processes[thread], begin, pending) + 1
        for time, thread, record in sorted(
            [*pending, *((c["time"], -1, c) for c in cuts)], key=lambda r: r[0]
        ):
            self.finish(time, thread, record, processes)

    def call(self, thread: int, process: int, begin: int, pending: list[Any]) -> int:
        node = NODES[thread % len(NODES)]
        cut = self.cut_of(node, begin)
        key = self.random.randrange(KEYS)
        f = "read" if thread % 2 else self.random.choice(["write", "write", "cas"])
        value: Any = None
        if f != "read":
            self.next_value += 1
            seen = self.values.get(key, [(0, -1, 0)])[-1][0]
            value = self.next_value if f == "write" else [seen, self.next_value]
        record = {"process": process, "f": f, "value": [key, value], "node": node}
        self.add({**record, "type": "invoke"}, begin)
        took = int(self.random.lognormvariate(0.9, 0.55) * MILLISECOND)
        done = {**record, "type": "ok", "_invoked": len(self.records) - 1}
        if cut is not None and f != "read":
            took = int(900 * MILLISECOND * (0.9 + self.random.random() * 0.2))
            done |= {"type": "info", "error": ["timeout", "stage", "response"]}
        elif f == "cas" and self.random.random() < 0.3:
            done |= {"type": "fail", "error": "compare failed"}
        pending.append((begin + took, thread, done))
        return begin + took

    def finish(self, time: int, thread: int, record: dict[str, Any], processes: list[int]) -> None:
        invoked = record.pop("_invoked", None)
        if thread < 0:
            self.add(record, time)
            return
        key, value = record["value"]
        known = self.values.setdefault(key, [(0, -1, 0)])
        if record["f"] == "read":
            record["value"] = [key, self.answer(record, known, key, invoked)]
        self.add(record, time)
        if record["type"] == "info":
            processes[thread] += THREADS
        elif record["type"] == "ok" and record["f"] != "read":
            written = value[1] if isinstance(value, list) else value
            known.append((written, len(self.records) - 1, time))

    def answer(self, record: dict[str, Any], known: list[Any], key: int, invoked: int) -> int:
        """The newest value, but behind a cut the one from before it: that is the stale read."""
        cut = self.cut_of(record["node"], self.records[invoked]["time"])
        newest = known[-1]
        if cut is None or len(known) < 2:
            return int(newest[0])
        before = [row for row in known if row[2] < CUTS[cut][0] * self.length_ns] or known[:1]
        missed = newest if newest is not before[-1] else None
        if missed and missed[1] < invoked and before[-1][1] >= 0:
            self.stale.append(
                {
                    "key": key,
                    "read": invoked,
                    "missed": missed,
                    "old": before[-1],
                    "cut": cut,
                    "node": record["node"],
                }
            )
        return int(before[-1][0])

    def nemesis_records(self) -> list[dict[str, Any]]:
        found = []
        for start, end, nodes in CUTS:
            for f, at in (("start-partition", start), ("stop-partition", end)):
                for shift in (0, 12 * MILLISECOND):
                    time = int(at * self.length_ns) + shift
                    found.append(
                        {
                            "process": "nemesis",
                            "type": "info",
                            "f": f,
                            "value": {"targets": nodes},
                            "time": time,
                        }
                    )
        return found

    def add(self, record: dict[str, Any], time: int) -> None:
        last = self.records[-1]["time"] if self.records else 0
        self.records.append({**record, "index": len(self.records), "time": max(time, last)})


def ledger(length_ns: int) -> Iterator[dict[str, Any]]:
    """Intend, injected, bit, heal and healed of each cut."""
    for at, (start, end, nodes) in enumerate(CUTS):
        shape = "minority" if len(nodes) > 1 else "one"
        common = {"id": at + 1, "fault": "partition", "targets": nodes}
        began, healed = int(start * length_ns), int(end * length_ns)
        proof = {
            "what": f"{14 + 9 * at} packets of the database were dropped on every cut link",
            "holds": True,
        }
        whole = {"what": "all 20 directed links carry packets again", "holds": True}
        yield {**common, "event": "intend", "time": began, "detail": {"shape": shape}}
        yield {**common, "event": "injected", "time": began + 12 * MILLISECOND, "detail": {}}
        yield {**common, "event": "bit", "time": began + 431 * MILLISECOND, "detail": proof}
        yield {**common, "event": "heal", "time": healed, "detail": {}}
        yield {**common, "event": "healed", "time": healed + 12 * MILLISECOND, "detail": whole}


def stale_case(stream: Stream, case: dict[str, Any]) -> dict[str, Any]:
    """One anomaly, with the proof in prose as the checker would write it."""
    records = stream.records
    value, done_at, done_ns = case["missed"]
    old_value, old_at, _ = case["old"]
    read = records[case["read"]]
    since = (read["time"] - done_ns) / 1e6
    message = "\n".join(
        [
            f"On key {case['key']}, T3 read {old_value}, which T2 had overwritten before.",
            "Let:",
            f"  T1 = write {old_value} {_doer(records[old_at])}",
            f"  T2 = write {value} {_doer(records[done_at])}",
            f"  T3 = read {old_value} {_doer(read)}",
            "Then:",
            f"  - T2 < T3, because T2 was answered (index {done_at}) {since:.1f} ms before T3 was"
            f" invoked (index {case['read']});",
            f"  - T3 saw {old_value}, which only T1 had written, and T1 < T2: a contradiction!",
            f"Faults then: partition of {' '.join(CUTS[case['cut']][2])} from the rest.",
        ]
    )
    return {"message": message, "witness": [old_at, done_at, case["read"]], "key": case["key"]}


def _doer(record: dict[str, Any]) -> str:
    return (
        f"by process {record['process']} on {record['node']}, index {record['index']},"
        f" {record['time'] / 1e9:.3f} s"
    )


def verdict_of(stream: Stream, seed: int) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = {}
    for record in stream.records:
        if record["type"] != "invoke" and record["process"] != "nemesis":
            counts.setdefault(record["f"], {"ok": 0, "fail": 0, "info": 0})[record["type"]] += 1
    cases = sorted(
        (stale_case(stream, case) for case in stream.stale), key=lambda c: c["witness"][2]
    )
    return {
        "valid": False,
        "why": "A read returned a value that had been overwritten before the read began.",
        "claims": ["strict-serializable"],
        "schema": 1,
        "seed": seed,
        "reproduce": "polygraph test etcd --workload register --nemesis partition "
        "--serializable-reads --nodes 5 --concurrency 4n --rate 200 --time-limit 15 "
        f"--nemesis-interval 3 --seed {seed}",
        "operations": counts,
        "faults": {"partition": {"injected": 2, "bit": 2, "healed": 2}},
        "health": [],
        "checkers": {
            "linearizable": {
                "valid": False,
                "why": f"{len(cases)} stale reads",
                "anomaly_types": ["stale-read"],
                "anomalies": {"stale-read": cases},
                "not": ["linearizable"],
                "also_not": ["strict-serializable"],
                "stats": {"keys": KEYS, "keys_valid": KEYS - len({c["key"] for c in cases})},
            },
            "stats": {
                "valid": True,
                "why": "",
                "anomaly_types": [],
                "anomalies": {},
                "not": [],
                "also_not": [],
                "stats": {"lag_ms_p99": 1.8},
            },
            "crash": {
                "valid": True,
                "why": "",
                "anomaly_types": [],
                "anomalies": {},
                "not": [],
                "also_not": [],
                "stats": {},
            },
        },
    }


def etcd_log(stream: Stream, node: str) -> str:
    """Lines as etcd's zap logger writes them."""
    lines = []
    for at in range(0, stream.length_ns, max(stream.length_ns // 60, 1)):
        cut = stream.cut_of(node, at)
        lines.append(_log_line(at, "warn" if cut is not None else "info", node, cut))
    return "\n".join(lines) + "\n"


def _log_line(at: int, level: str, node: str, cut: int | None) -> str:
    wall = START_WALL_NS + at
    whole = wall // 1_000_000_000
    stamp = f"{_utc(whole)}.{wall % 1_000_000_000 // MILLISECOND:03d}Z"
    message = (
        "lost TCP streaming connection with remote peer" if cut is not None else "applied entries"
    )
    return json.dumps(
        {
            "level": level,
            "ts": stamp,
            "caller": "rafthttp/stream.go:421",
            "msg": message,
            "local-member-id": node,
        },
        separators=(",", ":"),
    )


def _utc(whole: int) -> str:
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def write_run(
    folder: Path, *, count: int = 3000, seed: int = 7, length_s: float = 15.0, sealed: bool = True
) -> Path:
    """A whole invalid run of ``count`` operations in ``folder``."""
    stream = Stream(count, seed, length_s)
    stream.run()
    header = {
        "polygraph": 1, "run": "20231114T221320-7c1f", "seed": seed, "start_wall_ns": START_WALL_NS,
        "system": "etcd", "workload": "register", "model": "cas-register", "independent": True,
        "claims": ["strict-serializable"], "options": {"serializable_reads": True},
    }  # fmt: skip
    order = ("index", "time", "process", "type", "f", "value", "error", "node")
    rows = [header, *({k: r[k] for k in order if k in r} for r in stream.records)]
    write_text(folder / "history.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    length_ns = stream.length_ns
    write_text(
        folder / "faults.jsonl", "".join(json.dumps(row) + "\n" for row in ledger(length_ns))
    )
    write_text(folder / "verdict.json", json.dumps(verdict_of(stream, seed)))
    write_text(folder / "scenario.toml", scenario(seed))
    write_text(folder / "evidence" / "run.json", json.dumps(evidence(length_ns)))
    for node in NODES:
        write_text(folder / "nodes" / node / "etcd.log", etcd_log(stream, node))
    if sealed:
        seal(folder)
    return folder


def scenario(seed: int) -> str:
    return (
        'system = "etcd"\nworkload = "register"\nnemesis = ["partition"]\nnodes = 5\n'
        'concurrency = "4n"\nrate = 200\ntime_limit = 15\nnemesis_interval = 3\n'
        f"serializable_reads = true\nseed = {seed}\n"
        'provider = "local"\n\n[versions]\npolygraph = "0.1.0"\netcd = "3.5.1"\n'
    )


def evidence(length_ns: int) -> dict[str, Any]:
    return {
        "phases": {
            "set-up": [-4_100_000_000, 0],
            "main": [0, length_ns],
            "recovery": [length_ns, length_ns + 10**9],
        },
        "provider": "local:userns",
        "versions": {"polygraph": "0.1.0", "etcd": "3.5.1", "python": "3.11.2", "kernel": "6.1.0"},
        "lag_ms": {"p50": 0.1, "p99": 1.8, "max": 6.4},
        "exits": [],
        "recovery": {"ready": True, "seconds": 0.8, "why": ""},
        "interrupted": False, "stuck_threads": 0, "suspended_ms": 0, "partial": False,
    }  # fmt: skip


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Write a synthetic run below ``tmp_path``: ``make_run(count=..., seed=..., length_s=...)``."""
    return lambda **options: write_run(tmp_path / "run", **options)


@pytest.fixture(scope="session")
def invalid_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small invalid run with stale reads, rendered once. Read only."""
    from harness.report import render

    folder = write_run(tmp_path_factory.mktemp("small") / "run", count=700)
    render(folder)
    return folder


@pytest.fixture(scope="session")
def big_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An invalid run of 100,000 operations, rendered once. Read only."""
    from harness.report import render

    folder = write_run(tmp_path_factory.mktemp("big") / "run", count=100_000, length_s=300)
    render(folder)
    return folder


@pytest.fixture
def write_history(tmp_path: Path) -> Callable[..., Path]:
    """A folder with only a history: ``write_history(records, header={...})``."""

    def write(records: list[dict[str, Any]], header: dict[str, Any] | None = None) -> Path:
        rows = [*([{"polygraph": 1, **header}] if header is not None else []), *records]
        folder = tmp_path / "only-history"
        write_text(folder / "history.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        return folder

    return write


@pytest.fixture
def write_part() -> Callable[[Path, str], None]:
    """Write one text file, making its folders."""
    return write_text

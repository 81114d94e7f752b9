"""A small run as a real one leaves it, whole: what every hostile folder is made from.

Registers of two keys, a cut that bit and was healed, logs of three nodes, facts, verdict, report
and plots. Made without a cluster; the files are written by the code that writes those of a run
(journal lines, seal, judge, report), so that they have its shapes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.history.seal import seal
from harness.judge.judge import judge_run
from harness.report import render
from harness.store.runs import write_json, write_text

NODES = ("n1", "n2", "n3")
LOG = "etcd.log"
START_WALL_NS = 1_700_000_000_000_000_000
MILLISECOND = 1_000_000
CUT = (4_000, 6_000)
"""When the cut was in force, in milliseconds."""


def write_run(folder: Path, *, stale: bool = False, count: int = 120, sealed: bool = True) -> Path:
    """A whole run in ``folder``, valid, or with one stale read; judged and reported."""
    folder.mkdir(parents=True)
    rows = [_header(), *_operations(count, stale)]
    write_text(folder / "history.jsonl", _lines(rows))
    write_text(folder / "faults.jsonl", _lines(_ledger()))
    write_text(folder / "scenario.toml", SCENARIO)
    write_json(folder / "evidence" / "run.json", facts())
    write_json(folder / "evidence" / "final_states.json", _states())
    write_json(folder / "evidence" / "progress.json", {"phase": "run", "time_s": 9.0})
    write_text(folder / "evidence" / "metrics.jsonl", _lines(_metrics()))
    write_text(folder / "evidence" / "judge.log", "judged\n")
    write_text(folder / "run.log", "12:00:00 set-up of n1\n12:00:09 sealed\n")
    for node in NODES:
        write_text(folder / "nodes" / node / LOG, _log(node))
    if sealed:
        seal(folder)
    write_json(folder / "verdict.json", judge_run(folder))
    render(folder)
    return folder


def _lines(rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


SCENARIO = (
    'system = "etcd"\nworkload = "register"\nnemesis = "partition"\nnodes = 3\n'
    'concurrency = "2n"\nrate = 20.0\ntime_limit = 10.0\nnemesis_interval = 4.0\nseed = 7\n'
    'provider = "local"\nplugin = []\n\n[versions]\npolygraph = "0.1.0"\netcd = "3.5.1"\n'
)


def _header() -> dict[str, Any]:
    return {
        "polygraph": 1, "run": "20261120T100000-abcdef", "seed": 7, "start_wall_ns": START_WALL_NS,
        "system": "etcd", "workload": "register", "model": "cas-register", "independent": True,
        "initial": None, "claims": ["strict-serializable"], "not_durable": None,
        "options": {"time_limit": 10.0, "rate": 20.0},
    }  # fmt: skip


def _operations(count: int, stale: bool) -> Iterator[dict[str, Any]]:
    """Calls one after the other, as of a cluster with one client at a time."""
    stream = random.Random(7)
    registers: dict[int, int | None] = {0: None, 1: None}
    index = 0
    planted = False
    for number in range(count):
        process, key, time = number % 6, number % 2, number * 80 * MILLISECOND
        f = stream.choice(("read", "write", "write", "cas")) if number > 1 else "write"
        seen = registers[key]
        value: Any = {"read": None, "write": number, "cas": [seen, number]}[f]
        record = {"process": process, "f": f, "value": [key, value], "node": NODES[process % 3]}
        yield {"index": index, "time": time, "type": "invoke", **record}
        if f == "read":
            value = seen
            if stale and number > count // 2 and not planted:
                value, planted = key, True  # the first write of that key
            record["value"] = [key, value]
        else:
            registers[key] = number
        yield {"index": index + 1, "time": time + 3 * MILLISECOND, "type": "ok", **record}
        index += 2
        if number in (count // 3, count // 2):
            what = "start-partition" if number == count // 3 else "stop-partition"
            yield {
                "index": index, "time": time + 4 * MILLISECOND, "type": "info",
                "process": "nemesis", "f": what, "value": {"targets": ["n1"]},
            }  # fmt: skip
            index += 1


def _ledger() -> Iterator[dict[str, Any]]:
    common = {"id": 0, "fault": "partition", "targets": ["n1"]}
    proof = {"what": "14 packets were dropped on every cut link", "holds": True}
    process = {"pid": 4194200, "start_ticks": 5, "boot_id": "another", "pid_namespace": 1}
    for event, at, detail in (
        ("intend", CUT[0], {"shape": "one"}),
        ("injected", CUT[0] + 12, {"processes": [process]}),
        ("bit", CUT[0] + 400, proof),
        ("heal", CUT[1], {}),
        ("healed", CUT[1] + 12, proof),
    ):
        yield {**common, "event": event, "time": at * MILLISECOND, "detail": detail}


def facts() -> dict[str, Any]:
    """``evidence/run.json`` of the run."""
    second = 1000 * MILLISECOND
    return {
        "id": "20261120T100000-abcdef",
        "provider": "local:userns",
        "versions": {"polygraph": "0.1.0", "etcd": "3.5.1", "python": "3.11.2", "kernel": "6.1.0"},
        "phases": {"set-up": [-4 * second, 0], "main": [0, 9 * second],
                   "recovery": [9 * second, 9 * second], "final": [9 * second, 10 * second]},
        "checkers": ["linearizable"],
        "checker_origins": {"linearizable": "built in"},
        "claims": ["strict-serializable"],
        "claims_of": ["Registers"],
        "checker_options": {"crash_patterns": ["panic:"], "expected_exits": {},
                            "log_patterns": {}, "expected_lines": {}},
        "schedule": None,
        "partial": False,
        "interrupted": False,
        "recovery": {"ready": True, "seconds": 0.8, "why": ""},
        "exits": [],
        "lag_ms": {"p50": 0.1, "p99": 1.8, "max": 6.4},
        "stuck_threads": 0,
        "suspended_ms": 0,
        "final_keys": {"read": 2, "open_under_faults": 1},
        "machine_trouble": [],
    }  # fmt: skip


def _states() -> dict[str, Any]:
    held = {"0": {"value": 1, "version": 1}}
    return {"states": dict.fromkeys(NODES, held), "unread": {}, "waited_s": 0.5}


def _metrics() -> Iterator[dict[str, Any]]:
    for at in range(10):
        yield {"time": at * 10**9, "node": "n1", "name": "lag", "labels": {}, "value": at}


def _log(node: str) -> str:
    line = '{{"level":"info","ts":"2023-11-14T22:13:{:02d}.000Z","msg":"applied","node":"{}"}}\n'
    return "".join(line.format(20 + at, node) for at in range(10))

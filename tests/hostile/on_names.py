"""Attacks by names: of nodes, logs, runs, systems, and of what only a text of the run names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.hostile.on_contents import rewrite_header, rewrite_json, rewrite_text
from tests.hostile.run_folders import RUN, SYSTEM, WORKLOAD, Attack, Hostile

NAMES: dict[str, str | bytes] = {
    "escape": "\x1b]0;owned\x07\x1b[31m",
    "newline": "n1\nforged\ttrue",
    "tab": "n1\ttrue",
    "carriage": "n1\roverwritten",
    "one-byte-escape": "\x9b31mred",
    "delete": "n1\x7f\x08\x08",
    "script": "<script>alert(1)<",
    "quotes": "\"'><img src=x onerror=alert(1)>",
    "not-utf-8": b"n\xff\xfe1",
    "reordered": "n1\u202egol.txt",
    "dashes": "--plugin=evil.py",
    "formula": "=cmd|' '!A0",
    "template": "{{7*7}}{% raw %}",
    "percent": "%s%n%d%2e%2e%2f",
    "long": "n" * 250,
    "blank": " ",
}


def attacks() -> Iterator[Attack]:
    """Each of :data:`NAMES` wherever a name can stand."""
    for word, name in NAMES.items():
        yield Attack(f"name:node {word}", partial(_node, name), derived=True)
        yield Attack(f"name:log {word}", partial(_log, name), derived=True)
        yield Attack(f"name:file {word}", partial(_file, name), derived=True)
        yield Attack(f"name:run {word}", _nothing, True, (SYSTEM, WORKLOAD, name))
        yield Attack(f"name:system {word}", _nothing, True, (name, WORKLOAD, RUN))
        if isinstance(name, str):
            for place, put in TEXTS.items():
                yield Attack(f"name:{place} {word}", partial(put, name))


def _nothing(hostile: Hostile) -> None:
    pass


def _node(name: str | bytes, hostile: Hostile) -> None:
    os.rename(hostile.run / "nodes" / "n2", hostile.run / "nodes" / os.fsdecode(name))


def _log(name: str | bytes, hostile: Hostile) -> None:
    log = Path(os.fsdecode(os.fsencode(name)[:240]) + ".log")
    os.rename(hostile.run / "nodes/n2/etcd.log", hostile.run / "nodes" / "n2" / log)


def _file(name: str | bytes, hostile: Hostile) -> None:
    (hostile.run / os.fsdecode(name)).write_text("more\n")
    (hostile.run / "evidence" / os.fsdecode(name)).write_text("more\n")


def _in_header(key: str, name: str, hostile: Hostile) -> None:
    rewrite_header(hostile, {key: [name] if key == "claims" else name})


def _in_facts(key: str, name: str, hostile: Hostile) -> None:
    value = [name] if key in ("checkers", "claims_of") else name
    value = {name: name} if key in ("versions", "checker_origins", "phases") else value
    rewrite_json(hostile, "evidence/run.json", lambda facts: {**facts, key: value})


def _in_scenario(key: str, name: str, hostile: Hostile) -> None:
    told = f"{key} = {json.dumps(name)}".replace("\x7f", "\\u007f")
    old = hostile.run.joinpath("scenario.toml").read_text().splitlines()
    kept = [line for line in old if not line.startswith(f"{key} =")]
    (hostile.run / "scenario.toml").write_text("\n".join([told, *kept]) + "\n")


def _in_verdict(name: str, hostile: Hostile) -> None:
    case = {"message": name, "witness": [0], "key": name}
    part = {"valid": False, "why": name, "anomalies": {name: [case]}, "not": [name]}
    rewrite_json(
        hostile,
        "verdict.json",
        lambda old: {
            **old, "valid": False, "why": name, "claims": [name], "reproduce": name,
            "checkers": {name: part}, "settle": [{"about": name, "do": name}],
            "operations": {name: {"ok": 1}}, "faults": {name: {"injected": 1}},
        },
    )  # fmt: skip


def _in_ledger(name: str, hostile: Hostile) -> None:
    entry = {"id": 9, "fault": name, "targets": [name], "event": "intend", "time": 1}
    rewrite_text(hostile, "faults.jsonl", lambda old: old + json.dumps(entry) + "\n")


def _in_history(name: str, hostile: Hostile) -> None:
    def renamed(text: str) -> str:
        quoted = json.dumps(name)
        return text.replace('"f": "write"', f'"f": {quoted}').replace('"n1"', quoted)

    rewrite_text(hostile, "history.jsonl.zst", renamed)


def _in_log_line(name: str, hostile: Hostile) -> None:
    rewrite_text(hostile, "nodes/n2/etcd.log", lambda old: f"panic: {name}\n{old}{name}")


TEXTS: dict[str, Callable[[str, Hostile], None]] = {
    **{f"header.{key}": partial(_in_header, key)
       for key in ("run", "system", "workload", "model", "claims", "not_durable", "initial")},
    **{f"facts.{key}": partial(_in_facts, key)
       for key in ("id", "provider", "checkers", "checker_origins", "claims_of", "versions",
                   "phases", "ended_early")},
    **{f"scenario.{key}": partial(_in_scenario, key)
       for key in ("system", "workload", "nemesis", "provider", "plugin", "consistency_models",
                   "journal", "concurrency", "rate", "extra-option")},
    "verdict": _in_verdict,
    "ledger": _in_ledger,
    "history": _in_history,
    "log line": _in_log_line,
}  # fmt: skip

"""Attacks on what the files say: a wrong kind of value at each key of each JSON and TOML file."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import zstandard

from tests.hostile import run_folders
from tests.hostile.run_folders import Attack, Hostile

ODD: dict[str, Any] = {
    "null": None,
    "false": False,
    "number": 7,
    "negative": -1,
    "float": 0.5,
    "large": 10**25,
    "text": "odd",
    "empty text": "",
    "list": [[1]],
    "empty list": [],
    "object": {"a": {}},
    "empty object": {},
}
"""One of each kind, in the place of what is expected."""
HISTORY = "history.jsonl.zst"
OBJECTS = ("verdict.json", "evidence/run.json", "evidence/final_states.json",
           "evidence/progress.json")  # fmt: skip
REGISTRATION: dict[str, Any] = {
    "provider": "plain",
    "host": "another-machine",
    "reaper": {"pid": 4194200, "start_ticks": 5, "boot_id": "b", "pid_namespace": 1},
    "front": {"pid": 4194201, "start_ticks": 5, "boot_id": "b", "pid_namespace": 1},
    "left_running": False,
    "facts": {"project": "polygraph-nobody", "container": "n1", "hosts": []},
    "run": "20261120T100000-abcdef",
    "schema": 1,
}
NESTED: dict[str, tuple[tuple[str, ...], ...]] = {
    "verdict.json": (
        ("checkers", "linearizable"),
        ("checkers", "linearizable", "valid"),
        ("checkers", "linearizable", "why"),
        ("checkers", "linearizable", "anomalies"),
        ("checkers", "linearizable", "anomalies", "stale-read"),
        ("checkers", "linearizable", "not"),
        ("checkers", "linearizable", "stats"),
        ("checkers", "linearizable", "no_fault"),
        ("operations", "read"),
        ("operations", "read", "ok"),
        ("faults", "partition"),
        ("faults", "partition", "bit"),
    ),
    "evidence/run.json": (
        ("phases", "final"),
        ("phases", "main"),
        ("recovery", "ready"),
        ("recovery", "why"),
        ("lag_ms", "p99"),
        ("lag_ms", "max"),
        ("final_keys", "read"),
        ("versions", "etcd"),
        ("checker_options", "crash_patterns"),
        ("checker_options", "expected_exits"),
        ("checker_options", "log_patterns"),
        ("checker_options", "expected_lines"),
        ("checker_options", "claims"),
        ("checker_options", "directory"),
        ("ended_early",),
        ("final_unread",),
        ("clients", "n1"),
    ),
    "evidence/final_states.json": (
        ("states", "n1"),
        ("states", "n1", "0"),
        ("states", "n1", "0", "value"),
        ("unread", "n1"),
    ),
}
"""Ways into each file beyond its first level."""
LEDGER_DETAILS = ("processes", "effects", "what", "proof", "plan", "links", "shape", "why", "holds")
OTHER_FIELDS = ("seq", "node", "trace", "wall_time_ns", "error", "extra")
"""Of a record, beside those that it has."""


def attacks() -> Iterator[Attack]:
    """Each odd value at each key."""
    for name in OBJECTS:
        derived = name in ("verdict.json", "evidence/progress.json")
        ways: list[tuple[str, ...]] = [(key,) for key in _object(name)]
        for way in (*ways, *NESTED.get(name, ())):
            yield from _each(name, way, partial(_in_object, name), derived)
        for kind, value in ODD.items():
            put = partial(_whole_file, name, json.dumps(value))
            yield Attack(f"type:{name} is {kind}", put, derived)
    for way in (*((key,) for key in REGISTRATION), ("reaper", "pid"), ("reaper", "boot_id"),
                ("front", "pid"), ("facts", "project")):  # fmt: skip
        yield from _each("cluster.json", way, _in_registration, True)
    for kind, value in ODD.items():
        put = partial(_whole_file, "cluster.json", json.dumps(value))
        yield Attack(f"type:cluster.json is {kind}", put, True)
    yield from _of_lines()
    yield from _of_scenario()


def _of_lines() -> Iterator[Attack]:
    header, *records = history_rows(run_folders.whole_run())
    for key in (*header, "options.time_limit", "extra", "schema", "type", "pairing"):
        yield from _each("header", tuple(key.split(".")), _in_header, False)
    for key in dict.fromkeys((*records[1], *OTHER_FIELDS)):
        yield from _each("record", (key,), _in_record, False)
    for key in ("id", "fault", "targets", "event", "time", "detail"):
        yield from _each("faults.jsonl", (key,), _in_ledger, False)
    for key in LEDGER_DETAILS:
        yield from _each("faults.jsonl", ("detail", key), _in_ledger, False)


def _of_scenario() -> Iterator[Attack]:
    for line in (run_folders.whole_run() / "scenario.toml").read_text().splitlines():
        key, is_one, _ = line.partition(" = ")
        if not is_one:
            continue
        for kind, value in TOML.items():
            yield Attack(f"type:scenario.toml {key} is {kind}", partial(_in_toml, key, value))
    for key in ("op_timeout", "budget", "consistency_models", "plugin", "serializable_reads",
                "directory", "claims", "anomalies", "versions"):  # fmt: skip
        for kind, value in TOML.items():
            yield Attack(f"type:scenario.toml new {key} is {kind}", partial(_in_toml, key, value))


TOML = {
    "false": "false",
    "number": "7",
    "negative": "-1",
    "zero": "0",
    "infinite": "inf",
    "nan": "nan",
    "large": "1" + "0" * 4000,
    "long in hexadecimal": "0x" + "f" * 5000,
    "text": '"odd"',
    "list": "[[1]]",
    "table": "{a = {}}",
    "date": "1979-05-27T07:32:00Z",
}


def _each(
    name: str, way: tuple[str, ...], put: Callable[..., None], derived: bool
) -> Iterator[Attack]:
    for kind, value in ODD.items():
        told = f"type:{name} {'.'.join(way)} is {kind}"
        yield Attack(told, partial(put, way, value), derived)
    yield Attack(f"type:{name} {'.'.join(way)} is missing", partial(put, way, ...), derived)


def replaced(found: Any, way: tuple[str, ...], value: Any) -> Any:
    """``found`` with ``value`` at the end of ``way``; without it, where it is ``...``."""
    key, *rest = way
    inside = dict(found) if isinstance(found, dict) else {}
    if rest:
        inside[key] = replaced(inside.get(key), tuple(rest), value)
    elif value is ...:
        inside.pop(key, None)
    else:
        inside[key] = value
    return inside


def _object(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((run_folders.whole_run() / name).read_text())
    return found


def rewrite_json(hostile: Hostile, name: str, change: Callable[[Any], Any]) -> None:
    """Write the JSON file again with what ``change`` makes of it."""
    rewrite_text(hostile, name, lambda text: json.dumps(change(json.loads(text))))


def rewrite_text(hostile: Hostile, name: str, change: Callable[[str], str]) -> None:
    """Write the file again, compressed as it was."""
    path = hostile.run / name
    if path.suffix == ".zst":
        text = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().decode()
        path.write_bytes(zstandard.compress(change(text).encode(errors="surrogatepass")))
    else:
        text = path.read_text("utf-8")
        path.write_bytes(change(text).encode(errors="surrogatepass"))


def rewrite_header(hostile: Hostile, facts: Mapping[str, Any]) -> None:
    """Put ``facts`` into the first line of the history."""

    def changed(text: str) -> str:
        first, _, rest = text.partition("\n")
        return json.dumps({**json.loads(first), **facts}) + "\n" + rest

    rewrite_text(hostile, HISTORY, changed)


def history_rows(run: Any) -> list[dict[str, Any]]:
    """The header and the records of a sealed run."""
    data = (run / HISTORY).read_bytes()
    text = zstandard.ZstdDecompressor().stream_reader(data).read()
    return [json.loads(line) for line in text.splitlines()]


def _in_object(name: str, way: tuple[str, ...], value: Any, hostile: Hostile) -> None:
    rewrite_json(hostile, name, lambda found: replaced(found, way, value))


def _whole_file(name: str, text: str, hostile: Hostile) -> None:
    (hostile.run / name).write_text(text)


def _in_registration(way: tuple[str, ...], value: Any, hostile: Hostile) -> None:
    """Of this machine, so that ``heal`` and ``down`` look at it; of processes that are not."""
    import socket

    found = {**REGISTRATION, "host": socket.gethostname()}
    (hostile.run / "cluster.json").write_text(json.dumps(replaced(found, way, value)))


def _in_line(number: int, way: tuple[str, ...], value: Any, text: str) -> str:
    lines = text.splitlines()
    lines[number] = json.dumps(replaced(json.loads(lines[number]), way, value))
    return "\n".join(lines) + "\n"


def _in_header(way: tuple[str, ...], value: Any, hostile: Hostile) -> None:
    rewrite_text(hostile, HISTORY, partial(_in_line, 0, way, value))


def _in_record(way: tuple[str, ...], value: Any, hostile: Hostile) -> None:
    at = 20 + zlib.crc32(repr(way).encode()) % 60
    rewrite_text(hostile, HISTORY, partial(_in_line, at, way, value))


def _in_ledger(way: tuple[str, ...], value: Any, hostile: Hostile) -> None:
    rewrite_text(hostile, "faults.jsonl", partial(_in_line, 1, way, value))


def _in_toml(key: str, value: str, hostile: Hostile) -> None:
    old = (hostile.run / "scenario.toml").read_text().splitlines()
    kept = [line for line in old if not line.startswith(f"{key} =")]
    (hostile.run / "scenario.toml").write_text("\n".join([f"{key} = {value}", *kept]) + "\n")

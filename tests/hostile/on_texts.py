"""Attacks on the bytes of files, and with files that say to do something."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from harness.linux.identity import identify
from tests.hostile import run_folders
from tests.hostile.on_contents import HISTORY, REGISTRATION, rewrite_header, rewrite_text
from tests.hostile.run_folders import Attack, Hostile

DEEP = 100_000
TEXTS = ("verdict.json", "evidence/run.json", "evidence/final_states.json", "cluster.json",
         "evidence/progress.json", "faults.jsonl", "scenario.toml", "history.jsonl.zst",
         "evidence/metrics.jsonl", "run.log")  # fmt: skip
DERIVED = ("verdict.json", "cluster.json", "evidence/progress.json", "evidence/metrics.jsonl",
           "run.log")  # fmt: skip
NUMBERS = {
    "long integer": "1" + "0" * 5000,
    "infinite": "1e400",
    "nan": "NaN",
    "negative infinite": "-Infinity",
    "tiny": "1e-400",
    "19 digits": "9223372036854775808",
}


def attacks() -> Iterator[Attack]:
    """Every attack of this kind."""
    for name in TEXTS:
        for word, change in CHANGES.items():
            yield Attack(f"bytes:{name} {word}", partial(_rewrite, name, change), name in DERIVED)
        for word, number in NUMBERS.items():
            yield Attack(f"number:{name} {word}", partial(_number, name, number), name in DERIVED)
    yield from _nested()
    for word, make in BOMBS.items():
        yield Attack(f"bomb:{word}", partial(_bomb, make))
    for word, path in PLUGINS.items():
        yield Attack(f"plugin:scenario names {word}", partial(_plugin, path))
    for name in BESIDE:
        yield Attack(f"plugin:beside {name}", partial(_beside, name), True)
    for word, damage in COLUMNS.items():
        yield Attack(f"columns:{word}", partial(_columns, damage), True)
    for word, facts in REGISTERED.items():
        yield Attack(f"registered:{word}", partial(_registered, facts), True)
    yield Attack("registered:ledger names the first process", _ledger_of_init)
    yield Attack("registered:ledger names another process", _ledger_of_victim)
    for word, value in HEADERS.items():
        yield Attack(f"header:{word}", lambda hostile, value=value: rewrite_header(hostile, value))


def _nested() -> Iterator[Attack]:
    deep = {
        "lists": "[" * DEEP + "]" * DEEP,
        "objects": '{"a":' * DEEP + "1" + "}" * DEEP,
        "unclosed": "[" * DEEP,
    }
    for name in TEXTS:
        for word, text in deep.items():
            yield Attack(f"deep:{name} {word}", partial(_number, name, text), name in DERIVED)
    for word, text in deep.items():
        for key in ("options", "initial", "claims", "extra"):
            told = f"deep:header {key} {word}"
            yield Attack(told, partial(_deep_header, key, text))
    for depth in (50, 200, 900, 1100):
        text = "[" * depth + "]" * depth
        yield Attack(f"deep:record {depth}", partial(_deep_record, text))
        yield Attack(f"deep:header initial {depth}", partial(_deep_header, "initial", text))


def _doubled_keys(text: str) -> str:
    """Every key twice, the second one odd."""
    return text.replace("{", '{"valid": false, "type": 3, "system": [], ', 1)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "utf-16": lambda data: data.decode(errors="replace").encode("utf-16"),
    "nul at the start": lambda data: b"\0" + data,
    "nul in the middle": lambda data: data[: len(data) // 2] + b"\0" * 9 + data[len(data) // 2 :],
    "nuls alone": lambda data: b"\0" * 4096,
    "lines end as on windows": lambda data: data.replace(b"\n", b"\r\n"),
    "lines end as on old macs": lambda data: data.replace(b"\n", b"\r"),
    "not utf-8": lambda data: data.replace(b"e", b"\xff", 1),
    "lone surrogates": lambda data: data.replace(b'"', b'"\\ud800', 1),
    "raw surrogates": lambda data: data.replace(b"e", b"\xed\xa0\x80", 1),
    "doubled keys": lambda data: _doubled_keys(data.decode()).encode(),
    "escapes": lambda data: b"\x1b]0;owned\x07\x1b[2J" + data,
    "cut": lambda data: data[: len(data) * 2 // 3],
    "cut at the first byte": lambda data: data[:1],
    "doubled": lambda data: data + data,
    "reversed": lambda data: data[::-1],
    "a long line": lambda data: b'{"a":"' + b"a" * 20_000_000 + b'"}\n' + data,
    "a page": lambda data: b"<html><script>alert(1)</script></html>",
    "an archive": lambda data: b"PK\x03\x04" + data,
}


def _rewrite(name: str, change: Callable[[bytes], bytes], hostile: Hostile) -> None:
    path = hostile.run / name
    if name == "cluster.json":
        found = {**REGISTRATION, "host": socket.gethostname()}
        path.write_text(json.dumps(found))
    data = path.read_bytes()
    if name != HISTORY:
        path.write_bytes(change(data))
        return
    data = change(zstandard.ZstdDecompressor().stream_reader(data).read())
    path.write_bytes(zstandard.compress(data))


def _number(name: str, number: str, hostile: Hostile) -> None:
    """``number`` as it stands in the text, at a place where a value is read."""
    path = hostile.run / name
    if name == "cluster.json":
        host = json.dumps(socket.gethostname())
        path.write_text(
            f'{{"provider": "plain", "host": {host}, "reaper": {{"pid": {number}, "start_ticks":'
            f' {number}, "boot_id": "b", "pid_namespace": {number}}}, "front": null,'
            f' "left_running": false, "facts": {{"a": {number}}}}}'
        )
    elif name == "scenario.toml":
        toml = {"NaN": "nan", "-Infinity": "-inf"}.get(number, number)
        old = path.read_text().replace("seed = 7", f"seed = {toml}").replace("nodes = 3\n", "")
        path.write_text(f"nodes = {toml}\nother = {toml}\n{old}")
    elif name == "run.log":
        path.write_text(f"{number}\n" * 3)
    elif path.suffix == ".json":
        path.write_text(path.read_text().replace("{", f'{{"seed": {number}, "time_s": {number}, '))
    else:
        keys = f'"time": {number}, "pid": '
        rewrite_text(hostile, name, lambda text: text.replace('"time": ', f"{keys}", 3))


def _deep_header(key: str, text: str, hostile: Hostile) -> None:
    def changed(lines: str) -> str:
        first, _, rest = lines.partition("\n")
        known = {name: each for name, each in json.loads(first).items() if name != key}
        return f'{json.dumps(known)[:-1]}, "{key}": {text}}}\n{rest}'

    rewrite_text(hostile, HISTORY, changed)


def _deep_record(text: str, hostile: Hostile) -> None:
    def changed(lines: str) -> str:
        return lines.replace('"value": [0, 2]', f'"value": [0, {text}]')

    rewrite_text(hostile, HISTORY, changed)


@cache
def _again(suffix: str, of: bytes) -> bytes:
    """Sixteen gigabytes of ``of`` in a row, compressed: of a size on the disk that says nothing."""
    part = of * (PART // len(of))
    packed = gzip.compress(part, 9) if suffix == ".gz" else zstandard.compress(part)
    return packed * (SIXTEEN_GIGABYTES // PART)


SIXTEEN_GIGABYTES = 16 << 30
PART = 64 << 20
BOMBS: dict[str, Callable[[], tuple[str, bytes]]] = {
    "zst": lambda: (".zst", _again(".zst", b"\0")),
    "zst of lines": lambda: (".zst", _again(".zst", b'{"a":1}\n')),
    "zst of one line": lambda: (".zst", _again(".zst", b"[")),
    "gz": lambda: (".gz", _again(".gz", b"\0")),
    "zst in zst in zst": lambda: (
        ".zst",
        zstandard.compress(zstandard.compress(_again(".zst", b"\0"))),
    ),
    "many frames": lambda: (".zst", zstandard.compress(b"") * 1_000_000),
}


def _bomb(make: Callable[[], tuple[str, bytes]], hostile: Hostile) -> None:
    run_folders.remove(hostile.run / HISTORY)
    suffix, data = make()
    (hostile.run / f"history.jsonl{suffix}").write_bytes(data)


EVIL = """
import os, pathlib
pathlib.Path({marker!r}).write_text("run")
CHECKERS = {{"linearizable": lambda options: None}}
SYSTEMS = {{"etcd": lambda options: None}}
WORKLOADS = {{}}
NEMESES = {{}}
"""
PLUGINS: dict[str, Callable[[Hostile], Path | str]] = {
    "an absolute path": lambda hostile: hostile.outside / "evil.py",
    "one in the run": lambda hostile: hostile.run / "evil.py",
    "a relative one": lambda hostile: "evil.py",
    "one above": lambda hostile: "../evil.py",
    "one below": lambda hostile: "./nodes/evil.py",
}
BESIDE = ("sitecustomize.py", "usercustomize.py", "numba.py", "numpy.py", "harness.py", "json.py",
          "checkers.py", "checkers/__init__.py", "polygraph.toml", "conftest.py", "msgspec.py",
          "zstandard.py", "matplotlibrc", "pyvenv.cfg", "click.py", "rich.py",
          "secrets.py")  # fmt: skip
"""Files that some program takes for code or settings where it finds them."""


def _plugin(path: Callable[[Hostile], Path | str], hostile: Hostile) -> None:
    code = EVIL.format(marker=str(hostile.marker))
    for folder in (hostile.outside, hostile.run, hostile.run / "nodes", hostile.run.parent):
        (folder / "evil.py").write_text(code)
    scenario = hostile.run / "scenario.toml"
    named = json.dumps(str(path(hostile)))
    scenario.write_text(scenario.read_text().replace("plugin = []", f"plugin = [{named}]"))
    facts = hostile.run / "evidence" / "run.json"
    known = json.loads(facts.read_text())
    known["checker_origins"] = {"linearizable": str(path(hostile))}
    facts.write_text(json.dumps(known))


def _beside(name: str, hostile: Hostile) -> None:
    code = EVIL.format(marker=str(hostile.marker))
    if name == "polygraph.toml":
        code = 'plugin = ["evil.py"]\n'
    if name == "matplotlibrc":
        code = f"backend: module://evil\nsavefig.directory: {hostile.outside}\n"
    for folder in (hostile.run, hostile.store, hostile.run.parent):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code)
        (folder / "evil.py").write_text(EVIL.format(marker=str(hostile.marker)))


class _Runs:
    """What runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> Any:
        return os.system, (self._command,)


def _pickled(hostile: Hostile) -> bytes:
    return pickle.dumps(_Runs(f"touch '{hostile.marker}'"))


def _pickled_columns(hostile: Hostile) -> bytes:
    """Columns as objects: whoever lets numpy unpickle runs what they say."""
    runs = np.array([_Runs(f"touch '{hostile.marker}'")], dtype=object)
    return _packed(dict.fromkeys(_a_copy(), runs))


def _a_copy() -> dict[str, np.ndarray]:
    """A columnar copy of the history, as runs of older versions have one: derived, and believed."""
    count = 240
    names = np.array(["write"], dtype=np.str_)
    whole = np.arange(count, dtype=np.int64)
    return {
        "of_bytes": np.array([1 << 20]), "time": whole, "type": (whole % 2).astype(np.int8),
        "process": np.zeros(count, np.int32), "f": np.zeros(count, np.int32), "f_names": names,
        "pair": (whole ^ 1).astype(np.int32), "key": np.zeros(count, np.int32), "value": whole,
    }  # fmt: skip


def _packed(columns: dict[str, np.ndarray]) -> bytes:
    out = io.BytesIO()
    np.savez(out, **columns)  # type: ignore[arg-type]
    return out.getvalue()


COLUMNS: dict[str, Callable[[Hostile], bytes]] = {
    "a pickle": _pickled,
    "pickled columns": _pickled_columns,
    "of another history": lambda hostile: _packed(_a_copy()),
    "odd bounds": lambda hostile: _packed({key: each[::-1] for key, each in _a_copy().items()}),
    "damaged": lambda hostile: _packed(_a_copy())[::-1],
    "cut": lambda hostile: _packed(_a_copy())[:200],
}


def _columns(damage: Callable[[Hostile], bytes], hostile: Hostile) -> None:
    (hostile.run / "history.npz").write_bytes(damage(hostile))


def _victims_identity(hostile: Hostile) -> dict[str, Any]:
    found = identify(hostile.start_victim().pid)
    assert found is not None
    return asdict(found)


def _ssh_facts(hostile: Hostile) -> dict[str, Any]:
    """Hosts with a configuration that has ssh run a command to find out which part of it fits."""
    configuration = hostile.run / "ssh_config"
    command = f"touch {hostile.marker}"
    configuration.write_text(
        f'Match exec "{command}"\n  User nobody\nHost *\n  ProxyCommand {command}\n'
        f"  KnownHostsCommand /bin/sh -c '{command}'\n"
    )
    host = {"host": "localhost", "port": 9, "user": "nobody", "name": "n1", "address": "127.0.0.1"}
    return {
        "hosts": [host], "nodes": [host], "ssh_config": str(configuration),
        "config": str(configuration), "keeper": _victims_identity(hostile),
    }  # fmt: skip


def _folder_facts(hostile: Hostile) -> dict[str, Any]:
    return {
        "root": str(hostile.outside),
        "data": str(hostile.outside),
        "processes": [_victims_identity(hostile)],
        "nodes": {"n1": {"data": str(hostile.outside / "nodes")}},
    }


def _project_facts(hostile: Hostile) -> dict[str, Any]:
    return {"project": "polygraph-hostile-nobodys", "engine": "unix:///nowhere/docker.sock"}


REGISTERED: dict[str, tuple[str, Callable[[Hostile], dict[str, Any]]]] = {
    "another process as reaper, userns": ("userns", _folder_facts),
    "another process as reaper, root": ("root", _folder_facts),
    "another process as reaper, plain": ("plain", _folder_facts),
    "another process as reaper, local:plain": ("local:plain", _folder_facts),
    "another process as reaper, of ssh": ("ssh", _ssh_facts),
    "another process as reaper, of docker": ("docker", _project_facts),
    "a provider of nobody": ("../../evil", _folder_facts),
}


def _registered(facts: tuple[str, Callable[[Hostile], dict[str, Any]]], hostile: Hostile) -> None:
    """``cluster.json`` names a process that has nothing to do with the run."""
    provider, told = facts
    content = {
        **REGISTRATION, "provider": provider, "host": socket.gethostname(),
        "reaper": _victims_identity(hostile), "front": None, "facts": told(hostile),
    }  # fmt: skip
    (hostile.run / "cluster.json").write_text(json.dumps(content))
    data = hostile.run / "nodes" / "n1" / "data"
    data.symlink_to(hostile.outside / "nodes" / "n1" / "data")
    run_folders.remove(hostile.run / "nodes" / "n3")
    (hostile.run / "nodes" / "n3").symlink_to(hostile.outside / "nodes" / "n1")


def _ledger_of(identity: dict[str, Any], hostile: Hostile) -> None:
    entry = {"id": 9, "fault": "pause", "targets": ["n1"], "event": "intend", "time": 1,
             "detail": {"processes": [identity], "effects": [identity]}}  # fmt: skip
    rewrite_text(hostile, "faults.jsonl", lambda old: old + json.dumps(entry) + "\n")


def _ledger_of_init(hostile: Hostile) -> None:
    found = identify(1)
    _ledger_of(asdict(found) if found is not None else {"pid": 1}, hostile)


def _ledger_of_victim(hostile: Hostile) -> None:
    _ledger_of(_victims_identity(hostile), hostile)


HEADERS: dict[str, dict[str, Any]] = {
    "claims in a list": {"claims": [[1]]},
    "claims in an object": {"claims": {"a": {}}},
    "no such claim": {"claims": ["strict-serialisable-ish"]},
    "many claims": {"claims": ["serializable"] * 100_000},
    "deep options": {"options": {"a": {"b": [{"c": [[[[{}]]]]}]}}},
    "an option that is a path": {"options": {"directory": "/", "time_limit": "x"}},
    "a model of nobody": {"model": "../../evil", "workload": "evil"},
    "not independent": {"independent": "yes"},
    "a later version": {"polygraph": 10**6},
    "an initial state of text": {"initial": "x", "model": "bank", "workload": "bank"},
    "another workload": {"workload": "list-append", "model": "list-append"},
}

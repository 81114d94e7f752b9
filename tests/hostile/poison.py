"""Writes the secret into every file of a run, so that each still is what its name says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import zstandard

from tests.hostile import run_folders


def poison(run: Path) -> Path:
    """``run`` with the secret in each of its files; a canary beside them that is no part of it."""
    for path in run_folders.plain_files(run):
        _poison(path)
    (run / "nodes" / "n1" / "data").mkdir()
    (run / "nodes" / "n1" / "data" / "wal").write_text(run_folders.SECRET)
    (run / "nodes" / "n1" / "passwd.log").write_text(f"root:{run_folders.SECRET}\n")
    return run


def _poison(path: Path) -> None:
    secret = run_folders.SECRET
    if path.suffix == ".json":
        path.write_text(json.dumps(_said(json.loads(path.read_text())) | {"why": secret}))
    elif path.name == "history.jsonl.zst":
        packed = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read()
        header, _, rest = packed.partition(b"\n")
        told = {**json.loads(header), "run": secret, "system": secret, "not_durable": secret}
        text = rest.replace(b'"n1"', json.dumps(secret).encode())
        path.write_bytes(zstandard.compress(json.dumps(told).encode() + b"\n" + text))
    elif path.name == "faults.jsonl":
        path.write_text(path.read_text().replace("dropped", secret))
    elif path.suffix == ".toml":
        path.write_text(path.read_text().replace('"etcd"', json.dumps(secret)))
    elif path.suffix in (".npz", ".png"):
        path.write_bytes(path.read_bytes() + secret.encode())
    else:
        path.write_text(f"{path.read_text()}{secret}\n")


def _said(found: Any) -> dict[str, Any]:
    """An object with the secret for every text that it holds at its top."""
    secret = run_folders.SECRET
    return {key: secret if isinstance(value, str) else value for key, value in found.items()}

"""Who served, and the system's own timestamps: written, sealed, read back and exported."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from harness.history.formats.known import export
from harness.history.journal import Journal
from harness.history.operation import Header, Operation
from harness.history.reader import read_history
from harness.history.seal import PLAIN, seal

TIMES = {"start": 17, "commit": "1700000000.5,3"}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "scenario.toml").write_text("")
    with Journal(tmp_path / PLAIN, Header(system="toy", workload="register")) as journal:
        journal.append(Operation(-1, -1, 0, "invoke", "read", None, node="n1"))
        answer = Operation(-1, -1, 0, "ok", "read", 3, served="n2", timestamps=TIMES)
        journal.append(answer)
    return tmp_path


def told(path: Path) -> list[Any]:
    return [(op.served, op.timestamps, op.extra) for op in read_history(path).operations]


def test_what_was_told_is_sealed_and_read_back(run_dir: Path) -> None:
    seal(run_dir)
    assert told(run_dir) == [(None, None, None), ("n2", TIMES, None)]


@pytest.mark.parametrize("format", ["jsonl", "json", "edn"])
def test_what_was_told_is_exported_and_read_back(run_dir: Path, format: str) -> None:
    out = io.BytesIO()
    export(read_history(run_dir), out, format)
    path = run_dir / f"history.{format}"
    path.write_bytes(out.getvalue())
    assert told(path) == [(None, None, None), ("n2", TIMES, None)]


def test_what_other_tools_mean_by_these_keys_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    line = '{"index":0,"time":0,"process":0,"type":"invoke","f":"read","value":null,%s}\n'
    path.write_text(line % '"served":3,"timestamps":{"at":[1]}')
    assert told(path) == [(None, None, {"served": 3, "timestamps": {"at": [1]}})]

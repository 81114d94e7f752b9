"""Histories that others recorded get the verdicts of their index, also after an export."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from harness.cli.model_names import checker_for
from harness.history.formats.known import FORMATS, export
from harness.history.history import History
from harness.history.reader import parse_history, read_history
from harness.plugins import Registry
from harness.verdict.record import Record
from harness.verdict.verdict import Budget
from tests.checkers.simulated import COMMENTS, COUNTER, LOG, QUEUE, SET, WATCH, Kind, simulated
from tests.shared_data import HISTORIES

recorded = pytest.mark.histories
INDEX: list[tuple[str, str, bool | str]] = [
    ("elle-cli/jepsen/bank-neg.edn", "bank", True),
    ("elle-cli/jepsen/bank-tidb.edn.gz", "bank", False),
    ("elle-cli/jepsen/counter.edn", "counter", "unknown"),
    ("elle-cli/jepsen/counter.json", "counter", "unknown"),
    ("elle-cli/jepsen/set.edn", "set", True),
    ("elle-cli/jepsen/set.edn", "set-full", True),
    ("elle-cli/custom/comments.edn", "comments", False),
    ("knossos/mutex/bad/etcd.edn", "lock", False),
    ("dgraph/bank-v1.0.10-drift.jsonl.gz", "bank", False),
    ("dgraph/bank-v1.1.1-moves.jsonl.gz", "bank", False),
    ("dgraph/bank-v25.4.0-held.jsonl.gz", "bank", False),
]
"""File, model, verdict; ``comments`` has none upstream: a later write is read without an earlier
one. Of the counter there is not one read, which upstream calls valid. ``mutex`` is judged by held
intervals here, and exactly elsewhere."""

REGISTRY = Registry()


def judged(model: str, history: History) -> dict[str, Any]:
    checker = REGISTRY.get("checkers", checker_for(model, history, REGISTRY))
    answer: dict[str, Any] = checker({}).check(Record(history=history), Budget.start()).as_json()
    return answer


def exported(history: History, format: str) -> History:
    out = io.BytesIO()
    export(history, out, format)
    return parse_history(out.getvalue(), format)


@recorded
@pytest.mark.parametrize(("file", "model", "valid"), INDEX)
def test_a_recorded_history_gets_the_verdict_of_its_index(
    file: str, model: str, valid: bool | str
) -> None:
    history = read_history(HISTORIES / file)
    found = judged(model, history)
    assert found["valid"] == valid
    if len(history) < 2000:
        for format in FORMATS:
            assert judged(model, exported(history, format)) == found


@recorded
def test_the_logs_of_old_jepsen_get_porcupines_verdicts() -> None:
    """Read by the reader of logs; half of them, as the checker's own tests take all."""
    index = (HISTORIES / "INDEX.md").read_text()
    logs = sorted((HISTORIES / "porcupine/etcd-jepsen").glob("*.log"))[::2]
    assert len(logs) > 20
    for path in logs:
        expected = f"{path.name} | linearizable=true" in index
        history = read_history(path)
        assert history.header.model is not None
        assert judged(history.header.model, history)["valid"] is expected, path.name


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("kind", "models"),
    [
        (SET, ["set", "set-full"]),
        (COUNTER, ["counter"]),
        (QUEUE, ["queue", "total-queue"]),
        (COMMENTS, ["comments"]),
        (LOG, ["log"]),
        (WATCH, ["watch"]),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_an_export_is_judged_alike(kind: Kind, models: list[str], format: str) -> None:
    history = simulated(kind, 3, 60)
    spoiled = replace(history, operations=list(history)[:-1])
    spoiled.operations[2] = structs.replace(spoiled.operations[2], value=77)  # type: ignore[index]
    for each in (history, spoiled):
        for model in models:
            assert judged(model, exported(each, format)) == judged(model, each)

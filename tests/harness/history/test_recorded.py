"""Histories that other tools recorded are read whole, and an export of one is the same again."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from harness.errors import HistoryError
from harness.history.columns import columns
from harness.history.formats.known import FORMATS, export
from harness.history.operation import Operation
from harness.history.reader import parse_history, read_history
from tests.shared_data import HISTORIES

RECORDED = sorted(
    path
    for folder in ("dgraph", "elle", "elle-cli", "knossos")
    for path in (HISTORIES / folder).rglob("*.*")
    if path.is_file() and "LICEN" not in path.name
)
NO_JSON = ("multi-register.edn", "bank-tidb.edn.gz")
"""Where keywords are keys or values, which elle-cli could not tell from text."""
pytestmark = pytest.mark.histories


@pytest.mark.slow
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_a_recorded_history_is_read_and_exported_without_loss(path: Path) -> None:
    history = read_history(path)
    assert len(history) > 0
    assert not history.partial
    assert len(columns(history)) == len(history)
    for format in FORMATS:
        out = io.BytesIO()
        if format == "json" and path.name in NO_JSON:
            with pytest.raises(HistoryError, match="cannot say"):
                export(history, out, format)
            continue
        export(history, out, format)
        again = parse_history(out.getvalue(), format)
        if format == "edn":
            assert list(again) == list(history)
        assert [flat(op) for op in again if op.is_client] == [
            flat(op) for op in history if op.is_client
        ]
        assert again.header == history.header


def flat(operation: Operation) -> Any:
    """An operation in JSON, where a set is a list."""
    return json.loads(json.dumps(structs.astuple(operation)))


@pytest.mark.parametrize(
    ("name", "records"),
    [("v1.0.10-drift", 15_732), ("v1.1.1-moves", 9_872), ("v25.4.0-held", 7_836)],
)
def test_the_headers_of_the_dgraph_histories_are_understood(name: str, records: int) -> None:
    history = read_history(HISTORIES / "dgraph" / f"bank-{name}.jsonl.gz")
    assert len(history) == records
    assert history.header.initial == {str(account): 10 for account in range(10)}
    assert history.header.workload == "bank"
    assert history.header.extra is not None
    assert history.header.extra["total"] == 100


def test_twins_in_edn_and_json_say_the_same() -> None:
    for stem in ("elle/paper-example", "jepsen/counter"):
        folder = HISTORIES / "elle-cli"
        edn, array = (read_history(folder / f"{stem}.{kind}") for kind in ("edn", "json"))
        assert [(op.process, op.type, op.f, op.value) for op in edn] == [
            (op.process, op.type, op.f, op.value) for op in array
        ]

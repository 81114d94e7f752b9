"""The same checkers say the same of a history and of every export of it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from checkers.linearizable import CHECKERS as LINEARIZABLE
from checkers.objects.bank import CHECKERS as BANK
from checkers.run.stats import CHECKERS as STATS
from harness.history.formats.known import FORMATS, export
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.history.reader import parse_history, read_history
from harness.verdict.record import Record
from harness.verdict.verdict import Budget
from tests.shared_data import HISTORIES

TABLE = {**BANK, **LINEARIZABLE, **STATS}


def exported(history: History, format: str) -> History:
    out = io.BytesIO()
    export(history, out, format)
    return parse_history(out.getvalue(), format)


def judged(name: str, history: History) -> dict[str, object]:
    return TABLE[name]({}).check(Record(history=history), Budget.start()).as_json()


def registers(last_read: int) -> History:
    """Two independent registers, as a run records them; one read is stale unless it reads 2."""
    lines = [
        (0, "invoke", "write", ["x", 1]),
        (0, "ok", "write", ["x", 1]),
        (1, "invoke", "write", ["y", [7, 8]]),
        ("nemesis", "info", "start-partition", {"shape": "halves"}),
        (0, "invoke", "write", ["x", 2]),
        (0, "ok", "write", ["x", 2]),
        (1, "info", "write", ["y", [7, 8]]),
        (2, "invoke", "read", ["x", None]),
        (2, "ok", "read", ["x", last_read]),
    ]
    operations = [Operation(index, index * 1000, *line) for index, line in enumerate(lines)]
    return History(operations, Header(model="register", independent=True, workload="register"))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("last_read", "valid"), [(2, True), (1, False)])
@pytest.mark.parametrize("name", ["linearizable", "stats"])
def test_a_register_run(format: str, last_read: int, valid: bool, name: str) -> None:
    history = registers(last_read)
    expected = judged(name, history)
    if name == "linearizable":
        assert expected["valid"] is valid
    assert judged(name, exported(history, format)) == expected


@pytest.mark.slow
@pytest.mark.histories
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["v1.1.1-moves", "v25.4.0-held"])
def test_a_recorded_bank(format: str, name: str) -> None:
    history = read_history(HISTORIES / "dgraph" / f"bank-{name}.jsonl.gz")
    expected = judged("bank", history)
    assert expected["valid"] is False
    assert judged("bank", exported(history, format)) == expected


@pytest.mark.histories
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["good/memstress3-37", "bad/rethink-fail-minimal"])
def test_a_recorded_register(format: str, name: str) -> None:
    history = read_history(HISTORIES / "knossos" / "cas-register" / f"{name}.edn")
    history = replace(history, header=Header(model="cas-register"))  # nil at first
    expected = judged("linearizable", history)
    assert expected["valid"] is name.startswith("good")
    assert judged("linearizable", exported(history, format)) == expected

"""Elle's flags of ``polygraph check``, each through the command line, with what holds and not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from harness.history.formats.known import export
from harness.history.history import History
from tests.checkers.elle.lists.drawing import drawn_lists
from tests.checkers.elle.registers.drawing import drawn

Fixture = Any

OVERWRITTEN = "p: [wx1] [wx2]\nq:              [rx1]"
"""A stale read of a key whose writes nothing orders but time or process."""
OVERTAKEN = "p: [wx1] [rx1 wx2 wy1]\nq:                         [ry1 rx1]"
"""The last read sees y and misses x of a transaction that read x before it wrote it."""
BACKWARDS = "p: [ax1] [rx ]"
"""A process that misses its own append."""
UNREAD = "p: [ax1    ry1]\nq: [ax2    ay1]"
"""The first read what the second wrote, and nobody read x."""
MIXED = "p: [wx1] [rx1 ry8]\nq: [wy2] [rx9 ry2]\nr: [wx9] [rx1 ry2]\ns: [wy8] [rx9 ry8]"
"""All four mixtures of two versions of x and two of y, whose order nothing tells."""
SLOW = "p: [ax1 ry1]\nq: [ay1 rx1]"


def told(polygraph: Fixture, history: History, path: Path, *flags: str) -> dict[str, Any]:
    """What ``polygraph check --json`` says of ``history``."""
    with (path / "h.jsonl").open("wb") as out:
        export(history, out, "jsonl")
    model = "list-append" if any(op.value[0][0] == "append" for op in history) else "rw-register"
    done = polygraph("check", "--json", "-m", model, *flags, "h.jsonl")
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == {True: 0, False: 1, "unknown": 2}[answer["valid"]]
    return {"valid": answer["valid"], **answer["checkers"][model]}


ROWS: list[tuple[Callable[..., History], str, Sequence[str], object, str]] = [
    (drawn, OVERWRITTEN, ["-c", "serializable"], True, ""),
    (drawn, OVERWRITTEN, ["-c", "serializable", "--sequential-keys"], True, ""),
    (drawn, OVERWRITTEN, ["-c", "serializable", "--linearizable-keys"], False, "cyclic-versions"),
    (drawn, OVERTAKEN, ["-c", "consistent-view"], False, "no-consistent-view"),
    (drawn, OVERTAKEN, ["-c", "consistent-view", "--wfr-keys"], False, "G-single-item"),
    (drawn, MIXED, ["-c", "serializable"], False, "no-serial-order"),
    (drawn, MIXED, ["-c", "serializable", "--inference", "complete"], False, "no-serial-order"),
    (drawn, MIXED, ["-c", "serializable", "--inference", "elle"], "unknown", ""),
    (drawn_lists, BACKWARDS, ["-c", "serializable"], True, ""),
    (drawn_lists, BACKWARDS, ["-c", "strong-session-serializable"], False, "G-single-item-process"),
    (drawn_lists, BACKWARDS, ["-c", "serializable", "-a", "G-single-process"], False, "G-single"),
    (drawn_lists, SLOW, ["-c", "read-uncommitted"], True, ""),
    (drawn_lists, SLOW, ["-c", "read-uncommitted", "-a", "G0"], True, ""),
    (drawn_lists, SLOW, ["-c", "read-uncommitted", "-a", "G1c"], False, "G1c"),
    (drawn_lists, SLOW, ["-c", "read-committed", "-s", "0"], False, "G1c"),
]
"""How it is drawn, the drawing, the flags, the answer, and what one anomaly's name begins with."""


@pytest.mark.slow
@pytest.mark.parametrize(("draw", "drawing", "flags", "valid", "anomaly"), ROWS)
def test_each_flag_changes_the_answer(
    draw: Callable[..., History],
    drawing: str,
    flags: Sequence[str],
    valid: object,
    anomaly: str,
    polygraph: Fixture,
    tmp_path: Path,
) -> None:
    answer = told(polygraph, draw(drawing), tmp_path, *flags)
    assert answer["valid"] == valid
    assert any(kind.startswith(anomaly) for kind in answer["anomaly_types"]) is bool(anomaly)


def numbered(drawing: str, *numbers: int) -> History:
    """The history drawn, with ``numbers`` as ``commit_ts`` of the ok completions in order."""
    history = drawn_lists(drawing)
    left = iter(numbers)
    return replace(
        history,
        operations=[
            structs.replace(op, extra={"commit_ts": next(left)}) if op.type == "ok" else op
            for op in history
        ],
    )


@pytest.mark.slow
def test_the_order_of_commits_shows_what_no_read_does(polygraph: Fixture, tmp_path: Path) -> None:
    """T1 read what T2 wrote, and was committed before it."""
    flags = ["-c", "serializable"]
    ordered = [*flags, "--commit-order", "commit_ts"]
    assert told(polygraph, numbered(UNREAD, 5, 9), tmp_path, *flags)["valid"] is True
    assert told(polygraph, numbered(UNREAD, 9, 5), tmp_path, *ordered)["valid"] is True
    broken = told(polygraph, numbered(UNREAD, 5, 9), tmp_path, *ordered)
    assert broken["valid"] is False
    assert broken["anomaly_types"] == ["G1c"]
    assert "by the database's own order" in broken["anomalies"]["G1c"][0]["message"]


@pytest.mark.slow
def test_an_additional_graph_is_looked_at_where_an_anomaly_of_it_is(
    polygraph: Fixture, tmp_path: Path
) -> None:
    history = drawn_lists(BACKWARDS)
    flags = ["-c", "serializable", "-a", "G-single-item-realtime"]
    with_process = [*flags, "--additional-graphs", "process"]
    assert told(polygraph, history, tmp_path, *flags)["anomaly_types"] == ["G-single-item-realtime"]
    answer = told(polygraph, history, tmp_path, *with_process)
    assert answer["valid"] is False
    assert answer["anomaly_types"] == ["G-single-item-process"]


def test_a_graph_that_there_is_not_is_refused(polygraph: Fixture, history: str) -> None:
    done = polygraph("check", "--additional-graphs", "time", "-m", "list-append", history)
    assert (done.returncode, done.stdout) == (4, "")
    assert "--additional-graphs 'time' is not one of process, realtime" in done.stderr

"""Every model of single objects, from a file to the answer: one valid and one invalid history."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from harness.history.formats.known import export
from harness.history.history import History
from harness.history.operation import Operation


class Case(NamedTuple):
    """Operations one after another, each ``(process, f, asked, answered)``; flags to give.

    ``bad`` follows ``good`` in the invalid history, which is valid without it.
    """

    good: list[tuple[int, str, Any, Any]]
    bad: list[tuple[int, str, Any, Any]]
    flags: tuple[str, ...] = ()


REGISTER = [(0, "write", 1, 1), (1, "read", None, 1)]
LOCKED = [(0, "acquire", None, None), (0, "release", None, None), (1, "acquire", None, None)]
SENT = [(0, "send", [["send", "x", 1]], [["send", "x", [0, 1]]])]
POLLED = [(1, "poll", [["poll"]], [["poll", {"x": [[0, 1]]}]])]
WRITTEN = [["write", "x", 1], ["write", "y", 2]]
ASKED = [["read", "x", None], ["read", "y", None]]
BALANCES = {"0": 5, "1": 5}
MOVE = {"from": 0, "to": 1, "amount": 1}
FORK = [(0, "write", [["w", 0, 1]], [["w", 0, 1]]), (1, "write", [["w", 1, 1]], [["w", 1, 1]])]


def seen(first: Any, second: Any) -> Any:
    """What one read of a group of two was answered."""
    return (2, "read", [["r", 0, None], ["r", 1, None]], [["r", 0, first], ["r", 1, second]])


IDS = [(0, "generate", None, 1), (0, "generate", None, 2)]
CASES = {
    "register": Case(REGISTER, [(2, "read", None, 2)]),
    "cas-register": Case(
        [*REGISTER, (0, "cas", [1, 2], [1, 2]), (1, "read", None, 2)], [(0, "cas", [1, 3], [1, 3])]
    ),
    "linearizable": Case([(1, "read", None, 7), *REGISTER], [(2, "read", None, 7)], ("-i", "7")),
    "multi-register": Case(
        [
            (0, "txn", WRITTEN, WRITTEN),
            (1, "read", ASKED, [["read", "x", 1], ["read", "y", 2]]),
        ],
        [(1, "txn", [["read", "x", None]], [["read", "x", 0]])],
        ("-i", "x=0,y=0"),
    ),
    "kv": Case(
        [
            (0, "put", ["k", "a"], ["k", "a"]),
            (0, "append", ["k", "b"], ["k", "b"]),
            (1, "get", ["k", None], ["k", "ab"]),
            (1, "get", ["other", None], ["other", ""]),
        ],
        [(0, "get", ["k", None], ["k", "a"])],
    ),
    "mutex": Case(LOCKED, [(0, "acquire", None, None)]),
    "owner-mutex": Case(LOCKED, [(0, "release", None, None)]),
    "reentrant-mutex": Case(
        [(0, "acquire", None, None), (0, "acquire", None, None), (0, "release", None, None)],
        [(1, "acquire", None, None)],
    ),
    "fenced-mutex": Case(
        [(0, "acquire", None, 1), (0, "release", None, None), (1, "acquire", None, 2)],
        [(1, "release", None, None), (0, "acquire", None, 2)],
    ),
    "lock": Case(LOCKED, [(0, "acquire", None, None)]),
    "linearizable-set": Case(
        [(0, "add", 1, 1), (1, "read", None, [1]), (0, "remove", 1, 1), (1, "contains", 1, False)],
        [(1, "read", None, [1])],
    ),
    "fifo-queue": Case(
        [(0, "enqueue", 1, 1), (0, "enqueue", 2, 2), (1, "dequeue", None, 1)],
        [(0, "enqueue", 3, 3), (1, "dequeue", None, 3)],
    ),
    "unordered-queue": Case(
        [(0, "enqueue", 1, 1), (0, "enqueue", 2, 2), (1, "dequeue", None, 2)],
        [(1, "dequeue", None, 2)],
    ),
    "stack": Case(
        [(0, "push", 1, 1), (0, "push", 2, 2), (1, "pop", None, 2)],
        [(0, "push", 3, 3), (1, "pop", None, 1)],
    ),
    "linearizable-counter": Case(
        [(0, "add", 2, 2), (1, "decrement", 1, 1), (1, "read", None, 1)], [(1, "read", None, 2)]
    ),
    "counter": Case(
        [(0, "add", 2, 2), (1, "add", -1, -1), (1, "read", None, 1)], [(1, "read", None, 2)]
    ),
    "set": Case([(0, "add", 1, 1), (1, "read", None, [1])], [(1, "read", None, [])]),
    "set-full": Case([(0, "add", 1, 1), (1, "read", None, [1])], [(1, "read", None, [])]),
    "queue": Case([(0, "enqueue", 1, 1), (1, "dequeue", None, 1)], [(1, "dequeue", None, 1)]),
    "total-queue": Case(
        [(0, "enqueue", 1, 1), (1, "dequeue", None, 1), (1, "drain", None, [])],
        [(0, "enqueue", 2, 2), (1, "drain", None, [])],
    ),
    "unique-ids": Case(IDS, [(1, "generate", None, 1)]),
    "ids": Case(IDS, [(1, "generate", None, 1)]),
    "comments": Case(
        [(0, "write", 1, 1), (1, "write", 2, 2), (1, "read", None, [1, 2])],
        [(0, "read", None, [2])],
    ),
    "log": Case([*SENT, *POLLED], [(0, "poll", [["poll"]], [["poll", {"x": [[0, 9]]}]])]),
    "kafka": Case([*SENT, *POLLED], [(0, "poll", [["poll"]], [["poll", {"x": [[0, 9]]}]])]),
    "watch": Case(
        [
            (0, "write", "a", ["a", 2]),
            (1, "watch", None, {"after": 0, "to": 2, "events": [[2, "a"]]}),
        ],
        [(1, "watch", None, {"after": 0, "to": 2, "events": []})],
    ),
    "bank": Case(
        [(0, "read", None, BALANCES), (0, "transfer", MOVE, MOVE)],
        [(1, "read", None, {"0": 5, "1": 6})],
        ("-o", "10"),
    ),
    "long-fork": Case([*FORK, seen(1, None)], [seen(None, 1)], ("-g", "2")),
}


def written(folder: Path, name: str, operations: list[tuple[int, str, Any, Any]]) -> list[str]:
    """The names of files of one history in every format."""
    records = []
    for process, f, asked, answered in operations:
        for kind, value in (("invoke", asked), ("ok", answered)):
            at = len(records)
            records.append(Operation(at, at, process, kind, f, value))
    names = []
    for format in ("edn", "json", "jsonl"):
        out = io.BytesIO()
        export(History(records), out, format)
        names.append(f"{name}.{format}")
        (folder / names[-1]).write_bytes(out.getvalue())
    return names


@pytest.mark.slow
@pytest.mark.parametrize("model", CASES)
def test_a_valid_and_an_invalid_history_in_every_format(
    polygraph: Any, tmp_path: Path, model: str
) -> None:
    case = CASES[model]
    good = written(tmp_path, "good", case.good)
    bad = written(tmp_path, "bad", [*case.good, *case.bad])
    done = polygraph("check", "-m", model, *case.flags, *good, *bad)
    told = [f"{name}\ttrue" for name in good] + [f"{name}\tfalse" for name in bad]
    assert done.stdout.splitlines() == told, done.stderr
    assert done.returncode == 1

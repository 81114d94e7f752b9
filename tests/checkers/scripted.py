"""Histories as scripts: one line a record or a whole operation, in the order of the records.

    0 add 1             invoked and acknowledged at once
    0 read = [1]        a read that asks for nothing and answers [1]
    0 add 1 !           invoked, and failed
    0 add 1 ?           invoked, and never known (the process number is retired)
    0 + add 1           only invoked
    0 - ok              its completion: ok, ok VALUE, fail or info, with an error after #

Values are JSON. Each record takes a millisecond. A process that had an info goes on as a new one.
"""

from __future__ import annotations

import json
from typing import Any

from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.history.record import Record
from harness.history.verdict import Budget, Verdict

_RETIRED = 100


class _Script:
    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.numbers: dict[int, int] = {}
        self.open: dict[int, tuple[str, Any]] = {}

    def add(self, line: str) -> None:
        who, rest = line.split(maxsplit=1)
        process = int(who)
        if rest.startswith("+ "):
            self.invoke(process, *_asked(rest[2:]))
        elif rest.startswith("- "):
            kind, _, value = rest[2:].partition(" ")
            text, _, error = value.partition("#")
            asked = self.open[process][1]
            answer = json.loads(text) if text.strip() else asked
            self.complete(process, kind, answer, json.loads(error) if error else None)
        elif rest[-1] in "!?":
            self.invoke(process, *_asked(rest[:-1]))
            kind = "fail" if rest[-1] == "!" else "info"
            self.complete(process, kind, self.open[process][1])
        else:
            asked_text, _, answer_text = rest.partition("=")
            self.invoke(process, *_asked(asked_text))
            answer = json.loads(answer_text) if answer_text else self.open[process][1]
            self.complete(process, "ok", answer)

    def invoke(self, process: int, f: str, value: Any) -> None:
        self.open[process] = (f, value)
        self.record(process, "invoke", f, value)

    def complete(self, process: int, kind: str, value: Any, error: Any = None) -> None:
        f, _ = self.open.pop(process)
        self.record(process, kind, f, value, error)
        if kind == "info":
            self.numbers[process] = self.numbers.get(process, process) + _RETIRED

    def record(self, process: int, kind: str, f: str, value: Any, error: Any = None) -> None:
        at = len(self.operations)
        number = self.numbers.get(process, process)
        time_ns = at * 1_000_000
        self.operations.append(Operation(at, time_ns, number, kind, f, value, error))


def _asked(text: str) -> tuple[str, Any]:
    f, _, value = text.strip().partition(" ")
    return f, json.loads(value) if value.strip() else None


def scripted(text: str, **header: Any) -> History:
    """The history that ``text`` tells."""
    script = _Script()
    for line in text.splitlines():
        if line.strip():
            script.add(line.strip())
    return History(script.operations, Header(**header))


def judged(
    checker: Any, text: str, header: dict[str, Any] | None = None, **options: Any
) -> Verdict:
    """What ``checker`` (a factory) says of the history that ``text`` tells."""
    record = Record(history=scripted(text, **(header or {})))
    return checker(options).check(record, Budget.start(60))  # type: ignore[no-any-return]


def kinds(verdict: Verdict) -> dict[str, int]:
    """How many cases of each anomaly are told."""
    return {kind: len(cases) for kind, cases in verdict.anomalies.items()}

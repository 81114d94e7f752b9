"""Transactions over lists as drawings: one line a process, time from left to right.

    p: [ax1 ry  ]        [rx12]
    q:     [ax2 ry3 ?

``[`` is an invocation, ``]`` its ok, ``?`` an info, ``!`` a fail; a transaction that is cut off
by the end of its line is never answered. ``ax1`` appends 1 to key x, ``rx12`` reads [1, 2],
``rx`` reads the empty list and ``rx_`` nil. Records are ordered by column, then by line; a column
is a millisecond. After ? the line goes on as a new process.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from checkers.elle.list_append import ListAppend
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.history.record import Record
from harness.history.verdict import Budget, Verdict

_TRANSACTION = re.compile(r"\[(?P<what>[^\]?!\[]*)(?P<end>[\]?!]|$)")
_ENDS = {"]": "ok", "?": "info", "!": "fail"}


def drawn_lists(text: str, **header: Any) -> History:
    """The history that ``text`` draws."""
    records: list[tuple[int, int, str, int, Any]] = []
    lanes = [line for line in text.splitlines() if line.strip()]
    for lane, line in enumerate(lanes):
        node, _, drawing = line.partition(":")
        shift, process = len(node) + 1, lane
        for found in _TRANSACTION.finditer(drawing):
            answer = [_micro_operation(word) for word in found["what"].split()]
            asked = [[f, key, None if f == "r" else value] for f, key, value in answer]
            records.append((shift + found.start(), lane, "invoke", process, asked))
            kind = _ENDS.get(found["end"])
            if kind is not None:
                value = answer if kind == "ok" else asked
                records.append((shift + found.end() - 1, lane, kind, process, value))
            if kind == "info":
                process += len(lanes)
    records.sort(key=lambda record: record[:2])
    operations = [
        Operation(index, column * 1_000_000, process, kind, "txn", value)
        for index, (column, _, kind, process, value) in enumerate(records)
    ]
    return History(operations, Header(**header))


def _micro_operation(word: str) -> list[Any]:
    f, key, rest = word[0], word[1], word[2:]
    if f == "a":
        return ["append", key, int(rest)]
    return ["r", key, None if rest == "_" else [int(digit) for digit in rest]]


def judged(
    history: str | History, *models: str, anomalies: Sequence[str] = (), **options: Any
) -> Verdict:
    """The verdict of list-append on a drawing or history against ``models``."""
    found = drawn_lists(history) if isinstance(history, str) else history
    asked = {"consistency_models": models, "anomalies": anomalies, **options}
    return ListAppend(asked).check(Record(history=found), Budget.start(60))

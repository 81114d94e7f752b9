"""Transactions over lists as drawings; see :mod:`checkers.explained.notation`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checkers.explained.notation import lanes, lists
from checkers.isolation.list_append.checker import ListAppend
from harness.history.history import History
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict


def drawn_lists(text: str, **header: Any) -> History:
    """The history that ``text`` draws."""
    return lanes(text, lists, **header)


def judged(
    history: str | History, *models: str, anomalies: Sequence[str] = (), **options: Any
) -> Verdict:
    """The verdict of list-append on a drawing or history against ``models``."""
    found = drawn_lists(history) if isinstance(history, str) else history
    asked = {"consistency_models": models, "anomalies": anomalies, **options}
    return ListAppend(asked).check(Record(history=found), Budget.start(60))

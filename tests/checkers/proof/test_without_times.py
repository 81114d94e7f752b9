"""A history without times is proved wrong by its order alone, and no proof tells a time of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checkers.isolation.list_append.checker import ListAppend
from checkers.linearizable.checker import Linearizable
from checkers.objects.bank import Bank
from checkers.objects.set_full import SetFull
from harness.history.reader import read_history
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Checker

A_TIME = re.compile(r"\d m?s\b")


def both(process: int, f: str, asked: Any, answer: Any) -> list[dict[str, Any]]:
    """Both records of an operation that ran alone."""
    common = {"process": process, "f": f}
    return [
        {**common, "type": "invoke", "value": asked},
        {**common, "type": "ok", "value": answer},
    ]


@pytest.mark.parametrize("has_times", [False, True])
@pytest.mark.parametrize(
    ("checker", "options", "records"),
    [
        (
            Linearizable,
            {},
            [*both(0, "write", 1, 1), *both(0, "write", 2, 2), *both(1, "read", None, 1)],
        ),
        (
            ListAppend,
            {},
            [
                *both(0, "txn", [["append", 1, 1]], [["append", 1, 1]]),
                *both(1, "txn", [["r", 1, None]], [["r", 1, None]]),
            ],
        ),
        (
            Bank,
            {"total_amount": 10},
            [*both(0, "read", None, {"0": 5, "1": 5}), *both(1, "read", None, {"0": 5, "1": 4})],
        ),
        (
            SetFull,
            {"claims": ["linearizable"]},
            [
                *both(0, "add", 1, 1),
                *both(1, "read", None, []),
                *both(1, "read", None, [1]),
            ],
        ),
    ],
)
def test_a_proof_tells_times_only_where_they_are_known(
    tmp_path: Path,
    checker: Callable[[Any], Checker],
    options: dict[str, Any],
    records: list[dict[str, Any]],
    has_times: bool,
) -> None:
    path = tmp_path / "history.jsonl"
    lines = [
        {**record, **({"time": 1_000_000 * (at + 1)} if has_times else {})}
        for at, record in enumerate(records)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    verdict = checker(options).check(Record(history=read_history(path)), Budget.start(20.0))
    assert verdict.valid is False
    proofs = [case.message for cases in verdict.anomalies.values() for case in cases]
    assert proofs
    assert [bool(A_TIME.search(proof)) for proof in proofs] == [has_times] * len(proofs), proofs

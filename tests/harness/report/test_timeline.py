"""The timeline's data: whole where it can be, thinned where it must be."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest

from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.report import timeline
from harness.report.intervals import Calls, pair_calls
from harness.report.timeline import timeline_data
from harness.report.wording import Wording


def many(count: int, value: Any = 1) -> Calls:
    """``count`` calls of one process, 3 µs each, one after another."""
    operations = []
    for call in range(count):
        for half, type in enumerate(("invoke", "ok")):
            time = call * 10_000 + half * 3_000
            operations.append(Operation(2 * call + half, time, 0, type, "write", value))
    return pair_calls(History(operations, Header(start_wall_ns=5_000_000)))


def data_of(calls: Calls, anomalies: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return timeline_data(calls, [], anomalies or [], wording=Wording(calls), threads=1)


def test_columns_unpack_to_the_calls() -> None:
    data = data_of(many(4))
    assert list(accumulate(data["start"])) == [0, 10, 20, 30]
    assert data["took"] == [3, 3, 3, 3]
    assert data["index"] == [0, 2, 4, 6]
    assert data["done"] == [1, 3, 5, 7]
    assert data["type"] == "1111"
    assert [data["texts"][number] for number in data["asked"]] == ["1"] * 4
    assert [data["texts"][number] for number in data["answered"]] == [""] * 4
    assert data["wall_ms"] == 5.0
    assert data["left_out"] == 0


def test_too_many_calls_are_thinned_but_never_round_an_anomaly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timeline, "MOST_CALLS", 100)
    monkeypatch.setattr(timeline, "_KEPT_AROUND", 5)
    anomaly = {"number": 1, "title": "G1a", "calls": [777], "start": 0, "end": 1}
    data = data_of(many(1000), [anomaly])
    kept = [index // 2 for index in data["index"]]
    assert len(kept) < 100
    assert set(range(772, 782)) <= set(kept)
    assert kept[data["anomalies"][0]["calls"][0]] == 777
    assert data["left_out"] == 1000 - len(kept)


def test_long_values_are_cut_shorter_until_all_text_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MOST_TEXT", 200)
    data = data_of(many(3, "y" * 300))
    assert data["value_limit"] < 400
    assert any("(cut, 300 characters in all)" in text for text in data["texts"])

"""Pictures and proofs of cycles: whole, well-formed, and only where they were asked for."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

from checkers.elle.draw import layout
from checkers.isolation.list_append.checker import ListAppend
from harness.verdict.record import LedgerEntry, Record
from harness.verdict.verdict import Budget, Verdict
from tests.checkers.elle.lists.drawing import drawn_lists

SKEW = "a: [ax1 ay1]\nb: [rx  ry1]"
LONG_FORK = "a: [ax1    ]\nb: [ay1    ]\nc: [rx1 ry ]\nd: [rx  ry1]"
SVG = "{http://www.w3.org/2000/svg}"


def judged_into(folder: Path | None, drawing: str, **record: object) -> Verdict:
    options = {"directory": str(folder)} if folder else {}
    found = Record(history=drawn_lists(drawing), **record)  # type: ignore[arg-type]
    return ListAppend(options).check(found, Budget.start(60))


def texts(path: Path) -> list[str]:
    root = ElementTree.fromstring(path.read_text("utf-8"))
    return ["".join(found.itertext()) for found in root.iter(f"{SVG}text")]


def test_each_cycle_gets_a_picture_with_its_transactions_and_labels(tmp_path: Path) -> None:
    judged_into(tmp_path, LONG_FORK)
    told = texts(tmp_path / "G-nonadjacent-item" / "0.svg")
    assert [text[:2] for text in told if text.startswith("T")] == ["T1", "T2", "T3", "T4"]
    assert sorted(text for text in told if text in ("rw", "wr")) == ["rw", "rw", "wr", "wr"]


def test_a_picture_holds_the_proof_as_its_description(tmp_path: Path) -> None:
    verdict = judged_into(tmp_path, SKEW)
    root = ElementTree.fromstring((tmp_path / "G-single-item" / "0.svg").read_text("utf-8"))
    found = root.find(f"{SVG}desc")
    assert found is not None
    assert found.text == verdict.anomalies["G-single-item"][0].message


def test_a_graphviz_file_stands_beside_it(tmp_path: Path) -> None:
    judged_into(tmp_path, SKEW)
    dot = (tmp_path / "G-single-item" / "0.dot").read_text("utf-8")
    assert dot.startswith("digraph component {")
    assert dot.count(" -> ") == 2
    assert 'label="rw"' in dot


def test_nothing_is_written_unless_asked_for(tmp_path: Path) -> None:
    judged_into(None, SKEW)
    judged_into(tmp_path / "valid", "a: [ax1] [rx1]")
    assert list(tmp_path.iterdir()) == []


def test_no_two_transactions_overlap() -> None:
    for count in range(2, 40):
        places, width, height = layout(count)
        assert all(165 <= x <= width - 165 and 23 <= y <= height - 23 for x, y in places)
        for (x1, y1), (x2, y2) in combinations(places, 2):
            assert abs(x1 - x2) > 330 or abs(y1 - y2) > 46, count


def test_a_proof_tells_the_faults_that_were_active() -> None:
    ledger = [
        LedgerEntry(1, "partition", ["n1"], "intend", 0),
        LedgerEntry(1, "partition", ["n1"], "healed", 9_000_000),
    ]
    message = judged_into(None, SKEW, faults=ledger).anomalies["G-single-item"][0].message
    assert message.splitlines()[-1].startswith("While it ran: partition of n1 (fault 1")


def test_a_proof_can_go_into_a_bug_report_as_it_stands() -> None:
    message = judged_into(None, SKEW).anomalies["G-single-item"][0].message
    assert message == (
        "Let:\n"
        '  T1 = {index 3, process 1, ok, from 0.003 s to 0.011 s: [["r", "x", []], '
        '["r", "y", [1]]]}\n'
        '  T2 = {index 2, process 0, ok, from 0.003 s to 0.011 s: [["append", "x", 1], '
        '["append", "y", 1]]}\n'
        "\n"
        "Then:\n"
        '  - T1 < T2, because T1 observed the initial (nil) state of key "x", which T2 created '
        "by appending 1.\n"
        '  - However, T2 < T1, because T1 observed T2\'s append of 1 to key "y": a contradiction!'
    )

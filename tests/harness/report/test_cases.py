"""The head of the page and its anomalies: in plain words, the decisive part in sight."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.report import render
from tests.harness.report.test_page import op, page_of


@pytest.mark.slow
def test_an_interrupted_run_says_so_once_and_what_was_found_until_then(
    make_run: Callable[..., Path],
) -> None:
    folder = make_run(count=30)
    reason = "the run was interrupted at 9 s of 20 s"
    issue = {
        "check": "interrupted",
        "level": "unknown",
        "message": reason,
        "settle": "run it again",
    }
    verdict = {"valid": "unknown", "why": f"not decided: {reason}", "health": [issue]}
    verdict["settle"] = [{"about": reason, "do": "run it again"}]
    (folder / "verdict.json").write_text(json.dumps(verdict))
    evidence = json.loads((folder / "evidence" / "run.json").read_text())
    write = folder / "evidence" / "run.json"
    write.write_text(json.dumps({**evidence, "interrupted": True}))
    render(folder)
    text = page_of(folder).text
    assert re.search(r"Interrupted at [\d.]+ s of 15 s; nothing was found in 30 operations\.", text)
    assert "was interrupted" not in text, "the reason is told twice"
    assert text.count("run it again") == 1


def test_a_history_without_times_is_told_without_lengths_and_rates(
    write_history: Callable[..., Path], write_part: Callable[[Path, str], None]
) -> None:
    untimed = [
        {**op(0, 0, "invoke", "write", 1), "time": 0},
        {**op(1, 0, "ok", "write", 1), "time": 1},
        {**op(2, 1, "invoke", "read", None), "time": 2},
        {**op(3, 1, "ok", "read", 0), "time": 3},
    ]
    folder = write_history(untimed)
    case = {"message": "T1 = write 1, index 1\nT2 = read, index 3", "witness": [1, 3]}
    checker = {"valid": False, "anomalies": {"stale-read": [case]}}
    verdict = {"valid": False, "why": "Stale.", "checkers": {"linearizable": checker}}
    write_part(folder / "verdict.json", json.dumps(verdict))
    render(folder)
    page = page_of(folder)
    assert "The history has no times" in page.text
    assert re.findall(r"\d (?:s|ms|µs|ops/s)\b", page.text) == []
    data = json.loads(page.scripts["timeline-data"])
    assert (data["timed"], data["start"], data["took"]) == (False, [0, 2], [1, 1])


@pytest.mark.slow
def test_the_operations_that_the_headline_names_are_told_under_it(
    write_history: Callable[..., Path], write_part: Callable[[Path, str], None]
) -> None:
    records = [op(0, 0, "invoke", "write", 7), op(1, 0, "ok", "write", 7)]
    folder = write_history(records)
    message = "Stale: T1 was missed.\nLet:\n  T1 = write 7 by process 0, ok at index 1"
    other = "Stale: T1 was late.\nLet:\n  T1 = write 7 by process 0, ok at index 1"
    cases = [{"message": text, "witness": [1]} for text in (other, message)]
    checkers = {"c": {"valid": False, "anomalies": {"stale-read": cases}}}
    verdict = {"valid": False, "why": "Stale: T1 was missed (c)", "checkers": checkers}
    write_part(folder / "verdict.json", json.dumps(verdict))
    render(folder)
    assert "T1 is write 7 by process 0" in page_of(folder).text
    verdict["why"] = "Nobody proves that T1 was missed"
    write_part(folder / "verdict.json", json.dumps(verdict))
    render(folder)
    assert "T1 is" not in page_of(folder).text


@pytest.mark.slow
def test_a_value_without_room_is_cut_with_the_whole_behind_it(
    write_history: Callable[..., Path], write_part: Callable[[Path, str], None]
) -> None:
    value = list(range(400))
    records = [op(0, 0, "invoke", "write", value), op(1, 0, "ok", "write", value)]
    folder = write_history(records)
    case = {"message": "bad", "witness": [1]}
    checkers = {"c": {"valid": False, "anomalies": {"odd": [case]}}}
    write_part(folder / "verdict.json", json.dumps({"valid": False, "checkers": checkers}))
    render(folder)
    page = page_of(folder)
    assert [a for tag, a in page.tags if tag == "details" and a.get("class") == "whole"]
    assert page.text.count("397,398,399]") >= 1


@pytest.mark.slow
def test_of_a_proof_with_many_operations_the_early_ones_are_folded_and_the_last_are_drawn(
    write_history: Callable[..., Path], write_part: Callable[[Path, str], None]
) -> None:
    records = [
        record
        for n in range(80)
        for record in (
            op(2 * n, n % 3, "invoke", "acquire", None),
            op(2 * n + 1, n % 3, "ok", "acquire", None),
        )
    ]
    folder = write_history(records)
    named = "".join(f"  T{n} = acquire by process 0, index {2 * n + 1}\n" for n in range(80))
    message = f"No order.\nLet:\n{named}Then:\n  - however, T79 does not fit: a contradiction"
    case = {"message": message, "witness": list(range(1, 160, 2))}
    checkers = {"mutex": {"valid": False, "anomalies": {"nonlinearizable": [case]}}}
    write_part(folder / "verdict.json", json.dumps({"valid": False, "checkers": checkers}))
    render(folder)
    page = page_of(folder)
    assert "No order. Let: the earlier operations T0 = " in page.text
    assert "36 operations came before" in page.text, "24 of the 60 that are kept are drawn"
    assert "48 earlier operations of the witness" in page.text
    assert "20 still earlier operations of the witness stand in verdict.json" in page.text
    bars = [a["href"] for _, a in page.tags if "bar-op" in (a.get("class") or "")]
    assert bars[-1] == "#op-158", "the operation that does not fit"

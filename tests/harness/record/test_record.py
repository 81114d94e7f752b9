"""Findings: read, counted, resumed, and told on the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import run
from harness.cli.record import _Recorder
from harness.errors import UsageError
from harness.record.code import state_of
from harness.record.finding import Finding, chosen, findings, parsed, scenario_of
from harness.record.page import BEGIN, END, keep, kept, rewrite, written
from harness.record.result import Result, exit_code, first_seen_s, is_as_expected, result_of
from harness.soak.book import Entry, Settings

MEMORY = str(Path(__file__).parents[2] / "toys/memory_system.py")
STALE = "linearizable: stale-read"
TEXT = """
system = "toy"
time_limit = 3

[finding]
what = "it is stale"
expect = ["linearizable: stale-read"]
control = "toy-clean"
"""


def finding(**changed: Any) -> Finding:
    plain: dict[str, Any] = {
        "name": "toy-stale",
        "what": "it is | stale",
        "expect": [STALE],
        "source": "[here](https://example.org)",
        "scenario": {"system": "toy"},
    }
    return Finding(**(plain | changed))


def settings(runs: int) -> Settings:
    return Settings(
        scenario={},
        seed=1,
        runs=runs,
        duration_s=None,
        until_failure=False,
        parallel=1,
        confidence=0.95,
        at_most=0.05,
        hard_limit_s=9,
        start_wall_ns=0,
    )


def ended(number: int, exit_code: int, *signatures: str, run_dir: str | None = None) -> Entry:
    return Entry(
        number=number,
        event="ended",
        seed=number,
        wall_ns=0,
        exit=exit_code,
        signatures=list(signatures),
        operations=10,
        run_dir=run_dir,
        reproduce=f"again {number}",
        why="why",
    )


def test_a_scenario_without_the_table_is_no_finding() -> None:
    assert parsed("plain", 'system = "toy"\n') is None


def test_the_table_is_the_findings_and_the_rest_the_scenarios() -> None:
    found = parsed("toy-stale", TEXT)
    assert found is not None
    assert (found.expect, found.control, found.is_control) == ([STALE], "toy-clean", False)
    assert found.scenario == {"system": "toy", "time_limit": 3}
    assert scenario_of({"system": "toy", "finding": {}}) == {"system": "toy"}


def test_a_wrong_word_in_the_table_is_told() -> None:
    with pytest.raises(UsageError, match=r"toy-stale: \[finding\]: .*expects"):
        parsed("toy-stale", TEXT.replace("expect =", "expects ="))


def test_every_shipped_finding_has_a_source_and_a_control() -> None:
    positives = [each for each in findings().values() if not each.is_control]
    assert positives
    for each in positives:
        assert each.source, each.name
        assert each.control, each.name
        assert each.name.startswith(each.system), each.name


def test_those_named_come_with_their_controls_and_those_of_a_system_alone() -> None:
    known = findings()
    assert [each.name for each in chosen(known, ["etcd-stale"], [])] == [
        "etcd-stale",
        "etcd-honest",
    ]
    assert {each.system for each in chosen(known, [], ["sqlite"])} == {"sqlite"}
    assert len(chosen(known, [], [])) == len(known)
    with pytest.raises(UsageError, match="etcd-stale"):
        chosen(known, ["etcd-stail"], [])
    with pytest.raises(UsageError, match="no finding on the system nowhere"):
        chosen(known, [], ["nowhere"])


def test_only_what_was_expected_counts_as_found_and_the_undecided_for_nothing() -> None:
    runs = [
        ended(1, 1, STALE),
        ended(2, 1, "linearizable: nonlinearizable"),
        ended(3, 0),
        ended(4, 2),
        ended(5, 3),
    ]
    result = result_of(finding(), settings(5), runs, "abc", "2026-12-01")
    assert (result.runs, result.decided, result.found) == (5, 3, 1)
    assert result.others == {"linearizable: nonlinearizable": 1}
    assert (result.unknown, result.infrastructure) == (1, 1)
    assert 0 < result.low < 1 / 3 < result.high < 1
    assert result.reproduce == "again 1"
    assert is_as_expected(finding(), result) is True


def test_a_controls_violations_all_count_and_a_clean_one_has_a_bound() -> None:
    control = finding(expect=[])
    clean = result_of(control, settings(10), [ended(n, 0) for n in range(10)], "abc", "")
    assert is_as_expected(control, clean) is True
    assert clean.high == pytest.approx(1 - 0.05**0.1, abs=1e-4)
    broken = result_of(control, settings(1), [ended(1, 1, "bank: wrong-total")], "abc", "")
    assert is_as_expected(control, broken) is False
    assert broken.others == {"bank: wrong-total": 1}


def test_what_was_never_decided_is_no_success() -> None:
    result = result_of(finding(), settings(1), [ended(1, 3)], "abc", "")
    assert is_as_expected(finding(), result) is None
    assert exit_code([True, None]) == 2
    assert exit_code([True, None, False]) == 1
    assert exit_code([True, True]) == 0


def test_the_earliest_expected_anomaly_that_is_shown_counts(tmp_path: Path) -> None:
    lines = [
        {"index": 0, "time": 1e9, "process": 0, "type": "invoke", "f": "read", "value": None},
        {"index": 1, "time": 4e9, "process": 0, "type": "ok", "f": "read", "value": 1},
        {"index": 2, "time": 5e9, "process": 0, "type": "invoke", "f": "read", "value": None},
        {"index": 3, "time": 6e9, "process": 0, "type": "ok", "f": "read", "value": 2},
    ]
    text = "".join(json.dumps({**line, "time": int(line["time"])}) + "\n" for line in lines)
    (tmp_path / "history.jsonl").write_text(text)
    anomalies = {"stale-read": [{"witness": [2, 3]}, {"witness": [0]}], "other": [{"witness": [0]}]}
    verdict = {"checkers": {"linearizable": {"valid": False, "anomalies": anomalies}}}
    (tmp_path / "verdict.json").write_text(json.dumps(verdict))
    assert first_seen_s(tmp_path, [STALE]) == 4.0
    assert first_seen_s(tmp_path, ["bank: wrong-total"]) is None
    assert first_seen_s(tmp_path / "gone", [STALE]) is None


def result(name: str, **changed: Any) -> Result:
    plain: dict[str, Any] = {
        "finding": name,
        "commit": "abc",
        "day": "2026-12-01",
        "versions": {"toy": "1.2"},
        "provider": "local",
        "runs": 10,
        "decided": 10,
        "found": 9,
        "others": {},
        "unknown": 0,
        "infrastructure": 0,
        "confidence": 0.95,
        "low": 0.555,
        "high": 0.9975,
        "seen_s": [1.0, 2.0, 8.5],
        "operations": 12345,
        "reproduce": "",
    }
    return Result(**(plain | changed))


def test_the_page_holds_every_finding_with_its_control(tmp_path: Path) -> None:
    page = tmp_path / "track-record.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    known = {
        "toy-stale": finding(control="toy-clean"),
        "toy-clean": finding(name="toy-clean", expect=[], what="clean"),
    }
    keep(page, result("toy-stale"))
    keep(page, result("toy-clean", found=0, low=0.0, high=0.2589, seen_s=[]))
    assert set(kept(page)) == set(known)
    rewrite(page, known)
    rewrite(page, known)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert r"it is \| stale" in text
    assert "| 9 of 10 | 55.5 % to 99.8 % | 2 s (1 to 8.5) | `toy-clean`: 0 of 10 invalid |" in text
    assert "| 0 of 10 | 25.9 % | 12,345 | `abc` |" in text


def test_what_was_not_run_and_what_did_not_show_is_said() -> None:
    known = {"toy-stale": finding(tried="not seen in 18,460 transactions")}
    assert "not run" in written(known, {})
    table = written(known, {"toy-stale": result("toy-stale", found=0, low=0.0, high=0.3085)})
    assert "0 of 10; not seen in 18,460 transactions" in table


def test_a_page_without_a_place_for_it_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(UsageError, match="no place for the table"):
        rewrite(page, {})


def test_code_that_is_no_checkout_has_its_version(tmp_path: Path) -> None:
    assert state_of(tmp_path).startswith("v")


@pytest.mark.cluster
@pytest.mark.userns
def test_a_finding_is_run_counted_and_gone_on_with(tmp_path: Path) -> None:
    scenario = {
        "system": "memory",
        "plugin": [MEMORY],
        "misbehave": "stale",
        "nodes": 3,
        "time_limit": 2,
        "concurrency": "6",
    }
    stale = finding(name="memory-stale", scenario=scenario)
    first = _Recorder(tmp_path, 1, quiet=True).result(stale)
    assert first is not None
    assert (first.decided, first.found) == (1, 1)
    assert len(first.seen_s) == 1
    assert 0 <= first.seen_s[0] <= 30
    again = _Recorder(tmp_path, 1, quiet=True).result(stale)
    assert again == first


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("no-such-finding",), "no-such-finding"),
        (("--system", "nowhere"), "no finding on the system nowhere"),
        (("--table-only",), "--page FILE"),
        (("--page", "gone.md"), "cannot read gone.md"),
    ],
)
def test_what_cannot_be_recorded_is_told_before_anything_runs(
    argv: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(("record", *argv)) == 4
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_tables_alone_are_written_from_what_lies_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "track-record.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    keep(page, result("etcd-stale", found=3, decided=4, runs=4))
    assert run(("record", "--page", str(page), "--table-only")) == 0
    assert "| 3 of 4 |" in page.read_text()
    assert "`sqlite-wal`" in page.read_text()


def test_every_result_that_lies_beside_our_page_is_a_findings() -> None:
    page = Path(__file__).parents[3] / "docs/track-record.md"
    results = kept(page)
    assert results
    assert set(results) <= set(findings())

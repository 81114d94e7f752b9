"""Summary, JUnit and page of a soak: correct to the run, and safe with hostile text."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import junitparser
import msgspec
import pytest
from msgspec.structs import replace

from harness.errors import UsageError
from harness.soak import here
from harness.soak.book import BOOK, Book, Entry, Settings
from harness.soak.cells import Cell
from harness.soak.ci import github_annotations, keep_artifacts, step_summary
from harness.soak.junit import junit
from harness.soak.oddities import oddest
from harness.soak.page import headline, needed, page, write_page
from harness.soak.summary import exit_code, never_reached, summarize

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[31m\x00\u2028"


def settings(**changed: Any) -> Settings:
    plain: dict[str, Any] = {
        "scenario": {"system": "etcd", "workload": "register", "nemesis": "kill"},
        "seed": 7,
        "runs": 6,
        "duration_s": None,
        "until_failure": False,
        "parallel": 1,
        "confidence": 0.95,
        "at_most": 0.5,
        "hard_limit_s": 60.0,
        "start_wall_ns": 1_795_000_000_000_000_000,
    }
    return Settings(**{**plain, **changed})


def run(number: int, exit: int | None, why: str = "", *signatures: str) -> Entry:
    return Entry(
        number=number,
        event="ended",
        seed=number,
        wall_ns=number,
        exit=exit,
        why=why,
        seconds=1.5,
        signatures=list(signatures),
        reproduce=f"polygraph test etcd --seed {number}",
        faults={"kill": {"injected": 2, "bit": 2, "healed": 2}},
    )


ALL = [
    run(1, 0),
    run(2, 1, "stale", "linearizable: stale-read"),
    run(3, 2, "too little"),
    run(4, 3, HOSTILE),
    run(5, 1, "stale again", "linearizable: stale-read"),
    run(6, 1, "crash", "crash: crash"),
]


def test_counts_are_kept_apart_and_only_decided_runs_estimate() -> None:
    summary = summarize(settings(), ALL, interrupted=False)
    assert summary["counts"] == {"passed": 1, "violation": 3, "unknown": 1, "infrastructure": 1}
    assert (summary["estimate"]["runs"], summary["estimate"]["failures"]) == (4, 3)
    assert summary["exit"] == 1
    assert [group["runs"] for group in summary["groups"]] == [[2, 5], [6]]


def test_runs_that_ended_before_an_earlier_one_do_not_count_yet() -> None:
    under_way = Entry(number=2, event="begun", seed=2, wall_ns=2)
    some = [under_way, *(entry for entry in ALL if entry.number != 2)]
    estimate = summarize(settings(), some, interrupted=False, under_way=True)["estimate"]
    assert (estimate["runs"], estimate["failures"]) == (1, 0)


@pytest.mark.parametrize(
    ("exit_codes", "known", "said"),
    [([0] * 9, "at most", "at most 50 % is shown"), ([1] * 12, "above", "above 50 % is shown")],
)
def test_what_is_known_of_the_rate_is_said(exit_codes: list[int], known: str, said: str) -> None:
    runs = [run(number, code) for number, code in enumerate(exit_codes, 1)]
    summary = summarize(settings(until_known=True, runs=None), runs, interrupted=False)
    assert summary["known"] == known
    assert said in needed(summary)


def test_runs_after_the_first_failure_do_not_count_in_a_loop_until_failure() -> None:
    estimate = summarize(settings(until_failure=True), ALL, interrupted=False)["estimate"]
    assert (estimate["runs"], estimate["failures"], estimate["rule"]) == (2, 1, "until-failure")


@pytest.mark.parametrize(
    ("asked", "state", "rule", "said"),
    [
        ({"runs": 6}, {}, "fixed-n", "set beforehand"),
        ({"runs": 9}, {"interrupted": True}, "any-time", "whyever one stops"),
        ({"runs": 9}, {"under_way": True}, "any-time", "of the runs so far"),
        ({"runs": None, "duration_s": 9.0}, {}, "fixed-time", "set by the clock"),
        ({"runs": 9, "duration_s": 9.0}, {}, "fixed-time", "set by the clock"),
        ({"runs": None, "duration_s": 9.0}, {"under_way": True}, "any-time", "so far"),
        ({"runs": None, "until_failure": True}, {}, "until-failure", "geometric"),
        ({"runs": 6, "until_known": True}, {}, "any-time", "whenever one looks"),
    ],
)
def test_what_set_the_number_of_runs_is_said_as_it_was(
    asked: dict[str, Any], state: dict[str, bool], rule: str, said: str
) -> None:
    summary = summarize(settings(**asked), ALL, **{"interrupted": False, **state})
    assert summary["estimate"]["rule"] == rule
    assert said in summary["sentence"]


@pytest.mark.parametrize(
    ("codes", "worst"),
    [([0, 0], 0), ([0, 2], 2), ([2, 3, 0], 3), ([4, 3], 4), ([0, 1, 4, 3], 1), ([-9], 3), ([], 2)],
)
def test_the_worst_run_is_the_exit_code(codes: list[int], worst: int) -> None:
    assert exit_code([run(i + 1, code) for i, code in enumerate(codes)]) == worst


@pytest.mark.parametrize(("unknown", "skipped", "errors"), [("error", 0, 2), ("skipped", 1, 1)])
def test_junit_has_a_case_a_run_with_its_kind(unknown: str, skipped: int, errors: int) -> None:
    summary = summarize(settings(), ALL, interrupted=False)
    suite = ElementTree.fromstring(junit(summary, "etcd.register", 0, unknown=unknown))[0]
    assert suite.attrib["tests"] == "6"
    assert suite.attrib["failures"] == "3"
    assert (suite.attrib["errors"], suite.attrib["skipped"]) == (str(errors), str(skipped))
    cases = suite.findall("testcase")
    assert [len(suite.findall(f"testcase/{kind}")) for kind in ("failure", "error", "skipped")] == [
        3,
        errors,
        skipped,
    ]
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "stale"
    assert "--seed 2" in (failure.text or "")


@pytest.mark.parametrize("unknown", ["error", "skipped"])
def test_a_parser_of_junit_reads_every_run_with_its_outcome(unknown: str) -> None:
    """By junitparser: what the pages of CIs make of it."""
    summary = summarize(settings(), ALL, interrupted=False)
    (suite,) = junitparser.JUnitXml.fromstring(junit(summary, "etcd.register", 0, unknown=unknown))
    kinds = [type(case.result[0]).__name__ if case.result else "passed" for case in suite]
    assert kinds == ["passed", "Failure", unknown.capitalize(), "Error", "Failure", "Failure"]
    assert (suite.tests, suite.failures, suite.errors + suite.skipped) == (6, 3, 2)
    assert suite.time == pytest.approx(6 * 1.5)
    assert [case.name for case in suite] == [f"run {n} seed {n}" for n in range(1, 7)]
    suite.update_statistics()
    assert (suite.tests, suite.failures, suite.errors + suite.skipped) == (6, 3, 2)


def test_hostile_text_is_dead_on_the_page(tmp_path: Path) -> None:
    summary = summarize(settings(), ALL, interrupted=True)
    html = page(tmp_path, summary, {})
    assert "<img" not in html
    assert "\x1b" not in html
    assert not re.search(r"<[^>]*\s(src|href)\s*=", html)
    assert "polygraph soak --resume" in html


def test_the_headline_says_the_worst_first_and_what_is_missing() -> None:
    summary = summarize(settings(), ALL, interrupted=False)
    assert headline(summary).startswith("3 of 6 runs broke the claim")
    few = summarize(settings(at_most=0.05), [run(1, 0)], interrupted=False)
    assert "58 further runs" in needed(few)
    none = summarize(settings(until_failure=True), [run(1, 0)], interrupted=False)
    assert needed(none) == ""


def test_the_page_of_a_soak_without_runs_can_be_made(tmp_path: Path) -> None:
    assert "nothing is known" in page(tmp_path, summarize(settings(), [], interrupted=False), {})


def test_what_would_settle_an_unknown_run_is_said_on_the_page_and_to_the_ci(
    tmp_path: Path,
) -> None:
    open_run = msgspec.structs.replace(run(1, 2, "too little"), settle=["--time-limit 40"])
    summary = summarize(settings(), [open_run], interrupted=False)
    assert "To settle it: --time-limit 40" in page(tmp_path, summary, {})
    assert b"to settle it: --time-limit 40" in junit(summary, "etcd.register", 0)


def test_the_page_links_the_reports_that_there_are(tmp_path: Path) -> None:
    there = tmp_path / "store" / "etcd" / "a b&c"
    there.mkdir(parents=True)
    (there / "report.html").write_text("report")
    soak = tmp_path / "store" / "soaks" / "1"
    soak.mkdir(parents=True)
    runs = [msgspec.structs.replace(run(1, 0), run_dir=str(there)), run(2, 3)]
    html = write_page(soak, summarize(settings(), runs, interrupted=False)).read_text()
    assert re.findall(r'href="([^"]*)"', html) == ["../../etcd/a%20b%26c/report.html"]
    kept = tmp_path / "kept"
    bad = [msgspec.structs.replace(runs[0], exit=1), runs[1]]
    keep_artifacts(summarize(settings(), bad, interrupted=False), soak, kept)
    html = (kept / "index.html").read_text()
    assert re.findall(r'href="([^"]*)"', html) == ["runs/a%20b%26c/report.html"]


def test_annotations_and_step_summary_name_each_kind_and_hold_hostile_text() -> None:
    summary = summarize(settings(), ALL, interrupted=False)
    lines = list(github_annotations(summary))
    assert [line.split(" ")[0] for line in lines] == ["::error", "::error", "::warning"]
    assert all("\n" not in line for line in lines)
    assert "linearizable%3A stale-read" in lines[0]
    markdown = step_summary(summary, headline(summary), needed(summary))
    assert "<img" not in markdown
    assert markdown.count("| infrastructure |") == 1


def test_artifacts_keep_failing_runs_whole_and_passing_ones_small(tmp_path: Path) -> None:
    def folder(name: str) -> Path:
        path = tmp_path / "store" / name
        (path / "evidence").mkdir(parents=True)
        for file in ("scenario.toml", "verdict.json", "history.jsonl.zst", "evidence/run.json"):
            (path / file).write_text(name)
        return path

    runs = [
        msgspec.structs.replace(run(1, 0), run_dir=str(folder("good"))),
        msgspec.structs.replace(run(2, 1), run_dir=str(folder("bad"))),
        msgspec.structs.replace(run(3, 3), run_dir=str(tmp_path / "never-was")),
    ]
    summary = summarize(settings(), runs, interrupted=False)
    for _ in range(2):
        keep_artifacts(summary, tmp_path, tmp_path / "artifacts")
    kept = tmp_path / "artifacts" / "runs"
    assert sorted(path.name for path in kept.iterdir()) == ["bad", "good"]
    assert (kept / "bad" / "history.jsonl.zst").read_text() == "bad"
    assert not (kept / "good" / "history.jsonl.zst").exists()
    assert (kept / "good" / "evidence" / "run.json").read_text() == "good"


def test_artifacts_are_plain_files_of_runs_of_the_store_alone(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    (secret / "evidence").mkdir(parents=True)
    (secret / "verdict.json").write_text("secret")
    store = tmp_path / "store"
    soak = store / "soaks" / "1"
    soak.mkdir(parents=True)
    bad = store / "etcd" / "register" / "bad"
    bad.mkdir(parents=True)
    (bad / "verdict.json").write_text("bad")
    (bad / "report.html").symlink_to(secret / "verdict.json")
    (bad / "evidence").symlink_to(secret)
    os.mkfifo(bad / "run.log")
    (bad.parent / "linked").symlink_to(secret)
    (soak / "soak.jsonl").symlink_to(secret / "verdict.json")
    named = [bad, secret, bad.parent / "linked", store / "etcd" / ".." / ".." / "secret", Path("/")]
    runs = [
        msgspec.structs.replace(run(number, 1), run_dir=str(path))
        for number, path in enumerate(named, 1)
    ]
    kept = tmp_path / "artifacts"
    keep_artifacts(summarize(settings(), runs, interrupted=False), soak, kept, store)
    found = sorted(path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file())
    assert found == ["index.html", "runs/bad/verdict.json"]


def test_a_book_that_leads_elsewhere_is_neither_read_nor_gone_on_with(tmp_path: Path) -> None:
    book = Book.create(tmp_path / "one", settings())
    book.close()
    other = tmp_path / "other"
    other.mkdir()
    (other / BOOK).symlink_to(tmp_path / "one" / BOOK)
    with pytest.raises(UsageError, match="a link, which is not followed"):
        Book.resume(other, 0)
    (other / BOOK).unlink()
    os.mkfifo(other / BOOK)
    with pytest.raises(UsageError, match="a pipe"):
        Book.resume(other, 0)


def test_what_runs_say_goes_through_no_link(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("polygraph: secret")
    (tmp_path / "soak" / "words").mkdir(parents=True)
    words = tmp_path / "soak" / "words" / "1.txt"
    words.symlink_to(secret)
    result = words.with_suffix(".json")
    result.symlink_to(secret)
    assert here._words(words) == "the run's process died without a word"
    assert here.result_in(result) == {}
    result.unlink()
    result.write_text("[" * 100_000)
    assert here.result_in(result) == {}


MATRIX = [Cell("nemesis=kill", {"system": "etcd", "time_limit": 60}), Cell("nemesis=<b>", {})]


def in_cells() -> list[Entry]:
    return [replace(each, cell=MATRIX[each.number % 2].name) for each in ALL]


def test_each_cell_of_a_matrix_has_a_rate_of_its_own_and_the_whole_has_none() -> None:
    summary = summarize(settings(cells=MATRIX, runs=3), in_cells(), interrupted=False)
    assert summary["estimate"] is None
    assert summary["counts"]["violation"] == 3
    told = [(cell["name"], cell["estimate"]["runs"], cell["runs"]) for cell in summary["cells"]]
    assert told == [("nemesis=kill", 2, 3), ("nemesis=<b>", 2, 3)]
    assert summary["cells"][0]["estimate"]["rule"] == "fixed-n"
    assert summary["sentence"].startswith("2 of 2 cells had a violation: nemesis=kill, nemesis=<b>")
    assert summary["groups"][0]["cells"] == ["nemesis=<b>", "nemesis=kill"]


def test_where_the_choice_of_cells_follows_from_what_was_found_only_any_time_is_stated() -> None:
    summary = summarize(settings(cells=MATRIX, adaptive=True), in_cells(), interrupted=False)
    assert {cell["estimate"]["rule"] for cell in summary["cells"]} == {"any-time"}


def test_the_page_and_junit_of_a_matrix_name_the_cells(tmp_path: Path) -> None:
    summary = summarize(settings(cells=MATRIX, runs=3), in_cells(), interrupted=False)
    html = page(tmp_path, summary, {})
    assert "nemesis=&lt;b&gt;" in html
    assert "<b>" not in html
    assert b'name="nemesis=kill run 2 seed 2"' in junit(summary, "etcd.register", 0)


def test_undecided_runs_are_also_counted_as_if_they_had_failed() -> None:
    summary = summarize(settings(), ALL, interrupted=False)
    assert (
        summary["worst_case"]
        == "Had all 2 that decided nothing failed: at most 99.6 % (5 of 6 runs)."
    )
    assert summarize(settings(), ALL[:2], interrupted=False)["worst_case"] == ""


def test_failures_are_counted_by_fault_and_minute() -> None:
    scenario = {"system": "etcd", "time_limit": 30}
    found = summarize(settings(scenario=scenario), ALL, interrupted=False)["by_exposure"]
    assert [(rate["per"], rate["failures"], rate["exposure"]) for rate in found] == [
        ("fault that bit", 3, 8.0), ("minute of load", 3, 2.0),
    ]  # fmt: skip
    assert (found[1]["low"], found[1]["high"]) == pytest.approx((0.6187 / 2, 8.7673 / 2), abs=1e-3)


def test_older_summaries_have_a_page(tmp_path: Path) -> None:
    summary = summarize(settings(), ALL, interrupted=False)
    later = ("confidence", "cells", "worst_case", "by_exposure", "slowest", "oddest")
    later += ("known", "creeping")
    old = {key: value for key, value in summary.items() if key not in later}
    old["results"] = [{k: v for k, v in each.items() if k != "cell"} for each in old["results"]]
    assert "Every run" in page(tmp_path, old, {})


def test_what_stands_out_among_runs_of_one_kind_is_told() -> None:
    runs = [replace(run(at, 0), seconds=10.0 + at / 10, operations=1000) for at in range(1, 11)]
    odd = [replace(runs[3], operations=20), replace(runs[7], seconds=99.0)]
    found = oddest([*runs[:3], odd[0], *runs[4:7], odd[1], *runs[8:]])
    assert [each["number"] for each in found] == [8, 4] or [each["number"] for each in found] == [
        4,
        8,
    ]
    assert any("20 operations where 1000 are usual" in each["why"] for each in found)
    assert oddest(runs) == []
    assert oddest(odd) == []


def test_a_milestone_that_no_run_reached_is_listed_with_what_that_shows() -> None:
    reached = [{"leader-change": 2, "compaction": 0}, {"leader-change": 0, "compaction": 0}, {}]
    runs = [replace(run(n, 0), milestones=each) for n, each in enumerate(reached, 1)]
    summary = summarize(settings(runs=3), runs, interrupted=False)
    leader, compaction = summary["milestones"]
    assert leader == {"name": "leader-change", "runs": 2, "reached_in": 1, "times": 2}
    assert compaction["at_most"] == pytest.approx(1 - 0.05**0.5)
    (line,) = never_reached(summary)
    assert line.startswith("never reached in 2 runs: compaction (a run reaches it with at most 77")
    assert "Never reached in 2 runs: compaction" in page(Path("/s"), summary, {})
    cells = [Cell("k=a", {}), Cell("k=b", {})]
    of_cells = [replace(runs[0], cell="k=a"), replace(runs[1], cell="k=b")]
    told = never_reached(summarize(settings(cells=cells), of_cells, interrupted=False))
    assert [each.partition(" (")[0] for each in told] == [
        "k=a: never reached in 1 runs: compaction",
        "k=b: never reached in 1 runs: leader-change",
        "k=b: never reached in 1 runs: compaction",
    ]

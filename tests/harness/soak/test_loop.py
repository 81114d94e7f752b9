"""The loop and its book, with runs that are small scripts: counted once, whatever is killed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.soak.book import BOOK, Book, Entry, Settings, ended, read, seed_of
from harness.soak.cells import Cell
from harness.soak.here import Here
from harness.soak.loop import Loop, signatures
from harness.soak.summary import summarize

pytestmark = pytest.mark.slow


Tell = Callable[[Entry], None]
RUN = """
import json, os, sys, time
table = json.load(open(sys.argv[1])); seed = int(sys.argv[2])
mode = table["mode"]
if mode == "hang":
    time.sleep(600)
if mode == "die":
    os.kill(os.getpid(), 9)
if mode.startswith("leave"):
    os._exit(int(mode.removeprefix("leave")))
time.sleep(table.get("takes", 0))
code = {"pass": 0, "fail": 1, "seeded": 1 if seed % 4 == 0 else 0, "usage": 4,
        "half": seed % 2}[mode]
part = {"valid": False, "anomalies": {"stale-read": []}}
verdict = {"why": "stale", "checkers": {"linearizable": part}} if code == 1 else {}
result = {"exit": code, "run_dir": "/store/run", "verdict": verdict, "reproduce": "again"}
json.dump(result, open(sys.argv[4], "w"))
sys.exit(code)
"""


def settings(**changed: Any) -> Settings:
    plain: dict[str, Any] = {
        "scenario": {"mode": "pass"},
        "seed": 7,
        "runs": 5,
        "duration_s": None,
        "until_failure": False,
        "parallel": 2,
        "confidence": 0.95,
        "at_most": 0.05,
        "hard_limit_s": 60.0,
        "start_wall_ns": 0,
    }
    return Settings(**{**plain, **changed})


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "run.py"
    path.write_text(RUN)
    return path


def soak(folder: Path, script: Path, **changed: Any) -> Book:
    book = Book.create(folder, settings(**changed))
    carry_on(book, script)
    return book


def carry_on(book: Book, script: Path, tell: Tell = lambda entry: None, **more: Any) -> Loop:
    clock = {"clock": more["clock"]} if "clock" in more else {}
    here = Here(book, book.path.parent, [sys.executable, str(script)], **clock)
    loop = Loop(book, here, tell, **more)
    loop.run()
    book.close()
    return loop


def test_every_run_is_counted_once_with_a_seed_of_its_own(tmp_path: Path, script: Path) -> None:
    book = soak(tmp_path / "soak", script)
    assert [entry.number for entry in book.ended()] == [1, 2, 3, 4, 5]
    assert len({entry.seed for entry in book.ended()}) == 5
    assert [entry.seed for entry in book.ended()] == [seed_of(7, n) for n in range(1, 6)]
    assert {entry.outcome for entry in book.ended()} == {"passed"}
    assert read(tmp_path / "soak")[1] == book.entries


def test_until_failure_stops_at_the_first_violation(tmp_path: Path, script: Path) -> None:
    scenario = {"mode": "seeded"}
    book = soak(
        tmp_path / "soak", script, scenario=scenario, runs=None, until_failure=True, parallel=1
    )
    first = next(n for n in range(1, 100) if seed_of(7, n) % 4 == 0)
    assert [entry.number for entry in book.ended()] == list(range(1, first + 1))
    summary = summarize(book.settings, book.entries, interrupted=False)
    assert summary["counts"]["violation"] == 1
    assert summary["estimate"]["rule"] == "until-failure"
    assert summary["exit"] == 1
    assert summary["groups"][0]["signatures"] == ["linearizable: stale-read"]


@pytest.mark.parametrize(("mode", "known", "runs"), [("pass", "at most", 6), ("fail", "above", 5)])
def test_until_known_stops_as_soon_as_it_is(
    tmp_path: Path, script: Path, mode: str, known: str, runs: int
) -> None:
    asked = {"scenario": {"mode": mode}, "until_known": True, "runs": None, "parallel": 1}
    book = soak(tmp_path / "soak", script, at_most=0.45, **asked)
    assert len(book.ended()) == runs
    summary = summarize(book.settings, book.entries, interrupted=False)
    assert (summary["known"], summary["estimate"]["rule"]) == (known, "any-time")


GOOD, BAD = Cell("k=good", {"mode": "pass"}), Cell("k=bad", {"mode": "fail"})


def names(book: Book) -> list[str]:
    return [entry.cell.removeprefix("k=") for entry in book.ended()]


def test_the_cells_of_a_matrix_take_turns_each_with_its_scenario(
    tmp_path: Path, script: Path
) -> None:
    book = soak(tmp_path / "soak", script, cells=[GOOD, BAD], runs=2, parallel=1)
    assert names(book) == ["good", "bad", "good", "bad"]
    assert [entry.outcome for entry in book.ended()] == ["passed", "violation"] * 2


def test_the_first_violation_ends_the_whole_matrix(tmp_path: Path, script: Path) -> None:
    asked = {"cells": [GOOD, BAD], "runs": 5, "until_failure": True, "parallel": 1}
    assert names(soak(tmp_path / "soak", script, **asked)) == ["good", "bad"]


def test_an_adaptive_matrix_goes_where_runs_fail_and_has_as_many_in_all(
    tmp_path: Path, script: Path
) -> None:
    half = Cell("k=bad", {"mode": "half"})
    asked = {"cells": [GOOD, half], "runs": 10, "adaptive": True, "parallel": 1}
    found = names(soak(tmp_path / "soak", script, **asked))
    assert len(found) == 20
    assert found.count("bad") > 11
    assert found.count("good") >= 3


def test_a_cell_that_is_impossible_is_tried_once_and_leaves_the_others(
    tmp_path: Path, script: Path
) -> None:
    cells = [Cell("k=odd", {"mode": "usage"}), GOOD]
    book = soak(tmp_path / "soak", script, cells=cells, runs=3, parallel=1)
    assert names(book) == ["odd", "good", "good", "good"]


def test_a_half_done_run_of_a_matrix_is_made_again_in_its_cell(
    tmp_path: Path, script: Path
) -> None:
    book = Book.create(tmp_path / "soak", settings(cells=[GOOD, BAD], runs=1))
    book.add(Entry(number=1, event="begun", seed=5, wall_ns=1, cell="k=bad"))
    book.close()
    resumed = Book.resume(tmp_path / "soak", 2)
    carry_on(resumed, script)
    assert [(entry.number, entry.cell) for entry in resumed.ended()] == [
        (1, "k=bad"),
        (2, "k=good"),
    ]


def test_two_that_are_compared_take_turns_in_pairs_whose_order_is_drawn(
    tmp_path: Path, script: Path
) -> None:
    asked = {"cells": [BAD, GOOD], "runs": 6, "compares": True, "parallel": 1}
    book = soak(tmp_path / "soak", script, **asked)
    found = names(book)
    pairs = [tuple(found[at : at + 2]) for at in range(0, 12, 2)]
    assert {tuple(sorted(pair)) for pair in pairs} == {("bad", "good")}
    assert len(set(pairs)) == 2
    compared = summarize(book.settings, book.entries, interrupted=False)["comparison"]
    assert (compared["word"], compared["is_planned"]) == ("fixed", True)
    assert (compared["a"]["failures"], compared["b"]["failures"]) == (6, 0)
    stopped = summarize(book.settings, book.entries, interrupted=True)["comparison"]
    assert (stopped["word"], stopped["is_planned"]) == ("not shown", False)


def test_a_run_over_its_hard_limit_is_killed_and_is_infrastructure(
    tmp_path: Path, script: Path
) -> None:
    book = soak(
        tmp_path / "soak", script, scenario={"mode": "hang"}, runs=1, hard_limit_s=0.2, parallel=1
    )
    (run,) = book.ended()
    assert (run.outcome, run.exit) == ("infrastructure", 3)
    assert "hard limit" in run.why


def test_a_run_that_is_impossible_is_made_once_and_says_why(tmp_path: Path, script: Path) -> None:
    script.write_text(
        "import sys\nprint('polygraph: too short\\n  try: a longer one')\nsys.exit(4)\n"
    )
    book = soak(tmp_path / "soak", script, runs=None, until_failure=True, parallel=1)
    (run,) = book.ended()
    assert (run.outcome, run.exit, run.why) == ("infrastructure", 4, "too short")
    assert summarize(book.settings, book.entries, interrupted=False)["exit"] == 4


def test_a_run_that_dies_without_a_word_is_infrastructure(tmp_path: Path, script: Path) -> None:
    book = soak(tmp_path / "soak", script, scenario={"mode": "die"}, runs=2)
    assert {entry.outcome for entry in book.ended()} == {"infrastructure"}
    assert "without a word" in book.ended()[0].why


@pytest.mark.parametrize("code", [0, 1, 2])
def test_an_exit_code_without_its_result_is_no_verdict(
    tmp_path: Path, script: Path, code: int
) -> None:
    folder = tmp_path / "soak"
    book = Book.create(folder, settings(scenario={"mode": f"leave{code}"}, runs=1))
    (folder / "words").mkdir()
    (folder / "words" / "1.json").write_text(f'{{"exit": {code}}}')  # of a half-done attempt
    carry_on(book, script)
    (run,) = book.ended()
    assert (run.outcome, run.exit) == ("infrastructure", 3)
    assert f"exit code {code} and no verdict" in run.why


def test_a_duration_begins_no_run_after_its_end(tmp_path: Path, script: Path) -> None:
    now_s = [0.0]

    def tell(entry: Entry) -> None:
        now_s[0] += 1.0 if entry.event == "ended" else 0.0

    unlimited = settings(runs=None, duration_s=2.5, parallel=1)
    book = Book.create(tmp_path / "soak", unlimited)
    carry_on(book, script, tell, clock=lambda: now_s[0])
    assert len(book.ended()) == 3


SITTING = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from harness.soak.book import Book
from harness.soak.here import Here
from harness.soak.loop import Loop
folder = Path({folder!r})
def tell(entry):
    print(entry.event, flush=True)
    if entry.event == "ended":
        sys.stdin.readline()  # until we are killed: the other runs are under way then
book = Book.resume(folder, 0)
Loop(book, Here(book, folder, [sys.executable, {script!r}]), tell).run()
"""


@pytest.mark.slow
def test_a_soak_killed_twice_resumes_and_counts_each_run_once(tmp_path: Path, script: Path) -> None:
    folder = tmp_path / "soak"
    scenario = {"mode": "pass", "takes": 0.05}
    Book.create(folder, settings(runs=12, parallel=3, scenario=scenario)).close()
    root = str(Path(__file__).parents[3])
    code = textwrap.dedent(SITTING).format(paths=[root], folder=str(folder), script=str(script))
    for _ in range(2):
        sitting = begin_sitting(code)
        while sitting.stdout.readline() != b"ended\n":
            assert sitting.poll() is None
        end_sitting(sitting)
    book = Book.resume(folder, 0)
    half_done = [entry for entry in book.entries if entry.event == "half-done"]
    assert len(half_done) == 4
    carry_on(book, script)
    assert [entry.number for entry in book.ended()] == list(range(1, 13))
    assert len(book.ended()) == 12
    assert book.open_runs() == []
    summary = summarize(book.settings, book.entries, interrupted=False)
    assert summary["half_done"] == [entry.number for entry in half_done]
    assert (summary["runs"], summary["counts"]["passed"]) == (12, 12)


def test_the_runs_of_a_killed_soak_die_with_it(tmp_path: Path, script: Path) -> None:
    folder = tmp_path / "soak"
    Book.create(folder, settings(runs=1, scenario={"mode": "hang"})).close()
    root = str(Path(__file__).parents[3])
    code = textwrap.dedent(SITTING).format(paths=[root], folder=str(folder), script=str(script))
    sitting = begin_sitting(code)
    assert sitting.stdout.readline() == b"begun\n"
    children = Path(f"/proc/{sitting.pid}/task/{sitting.pid}/children")
    child = _wait_for_child(children)
    pidfd = os.pidfd_open(child)
    end_sitting(sitting)
    assert select.select([pidfd], [], [], 60.0)[0]
    os.close(pidfd)


def begin_sitting(code: str) -> Any:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe)


def end_sitting(sitting: Any) -> None:
    sitting.kill()
    sitting.wait()
    sitting.stdin.close()
    sitting.stdout.close()


def _wait_for_child(children: Path) -> int:
    """The run's pid, once it is the script: the kernel's promise is set before it is executed."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pid in children.read_text().split():
            if "run.py" in Path(f"/proc/{pid}/cmdline").read_text():
                return int(pid)
    raise AssertionError("the run never began")


def test_ctrl_c_stops_the_runs_and_leaves_a_book_to_go_on_with(
    tmp_path: Path, script: Path
) -> None:
    book = Book.create(tmp_path / "soak", settings(scenario={"mode": "hang"}))
    seen: list[str] = []

    def tell(entry: Entry) -> None:
        seen.append(entry.event)
        if seen == ["begun", "begun"]:
            os.kill(os.getpid(), signal.SIGINT)

    loop = Loop(book, Here(book, tmp_path, [sys.executable, str(script)]), tell)
    loop.run()
    book.close()
    assert loop.is_stopped
    assert book.open_runs() == []


DEAF = """
import json, os, signal, sys, time
from pathlib import Path
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(1))
Path(sys.argv[4] + ".up").touch()
while not heard:
    time.sleep(0.01)
deadline = time.monotonic() + 0.5
while time.monotonic() < deadline:  # healing: a second signal would have ended a real run here
    time.sleep(0.01)
json.dump({"exit": 130, "run_dir": f"heard {len(heard)}"}, open(sys.argv[4], "w"))
sys.exit(130)
"""


def test_a_run_under_way_is_asked_once_to_stop_though_another_is_being_started(
    tmp_path: Path, script: Path
) -> None:
    script.write_text(DEAF)
    folder = tmp_path / "soak"
    book = Book.create(folder, settings(runs=2))

    def tell(entry: Entry) -> None:
        if (entry.number, entry.event) == (2, "begun"):
            while not (folder / "words" / "1.json.up").exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

    carry_on(book, script, tell)
    (first,) = [each for each in book.entries if (each.number, each.event) == (1, "half-done")]
    assert first.run_dir == "heard 1"


SPEECHLESS = """
import os, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, lambda *_: os._exit(1))
Path(sys.argv[4] + ".up").touch()
time.sleep(600)
"""


def test_a_run_that_is_stopped_before_it_has_a_verdict_is_half_done_whatever_its_code(
    tmp_path: Path, script: Path
) -> None:
    """An interpreter that is interrupted while it starts ends in 1, which is no violation."""
    script.write_text(SPEECHLESS)
    folder = tmp_path / "soak"
    book = Book.create(folder, settings(runs=1))
    stopped: list[bool] = []

    def tick() -> None:
        if not stopped and (folder / "words" / "1.json.up").exists():
            stopped.append(True)
            os.kill(os.getpid(), signal.SIGINT)

    carry_on(book, script, tick=tick)
    assert [entry.event for entry in book.entries] == ["begun", "half-done"]


def test_a_torn_last_line_is_cut_off(tmp_path: Path, script: Path) -> None:
    folder = tmp_path / "soak"
    soak(folder, script, runs=2)
    with (folder / BOOK).open("ab") as book:
        book.write(b'{"number": 3, "event": "be')
    again = Book.resume(folder, 0)
    again.close()
    assert len(again.ended()) == 2
    assert (folder / BOOK).read_bytes().endswith(b"\n")
    assert read(folder)[1] == again.entries


def test_a_folder_that_is_no_soak_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not the folder"):
        read(tmp_path)
    (tmp_path / BOOK).write_text('{"soak": "no"}\n')
    with pytest.raises(UsageError, match="not the book"):
        read(tmp_path)


def test_an_entry_that_ended_twice_is_counted_once() -> None:
    entry = Entry(number=1, event="ended", seed=1, wall_ns=0, exit=0)
    assert ended([entry, entry]) == [entry]


def test_signatures_name_checker_and_kind_of_what_is_invalid() -> None:
    verdict = {
        "checkers": {
            "linearizable": {
                "valid": False,
                "anomalies": {"stale-read": [], "nonlinearizable": []},
            },
            "bank": {"valid": "unknown", "anomalies": {"wrong-total": []}},
            "stats": {"valid": True, "anomalies": {}},
        }
    }
    assert signatures(verdict) == ["linearizable: nonlinearizable", "linearizable: stale-read"]

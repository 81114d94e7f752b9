"""Answers by processes: counted once, gone on with after a kill; and a run read back."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import SetupError, UsageError
from harness.explore.recorded import Recorded, kept_schedule, recorded
from harness.explore.shrinking import Ask, Shrink, Tally
from harness.explore.smaller import Candidate
from harness.explore.trials import Stopped, Trials
from harness.plugins import Registry
from harness.run.schedule import Schedule
from harness.run.schedule_file import read_lines, text_of
from harness.soak.book import Entry
from tests.harness.explore.simulated import NODES, candidate

pytestmark = pytest.mark.slow

RUN = """
import json, sys
table = json.load(open(sys.argv[1]))
names = [json.loads(line).get("name") for line in open(table["schedule"])]
if "broken" in table:
    sys.exit(3)
kind = table.get("kind", "stale-read")
code = 1 if "kill-1" in names and "restart-1" in names else 2 if "pause-1" in names else 0
part = {"valid": False, "anomalies": {kind: []}}
verdict = {"why": "it is so", "checkers": {"linearizable": part}} if code == 1 else {}
result = {"exit": code, "run_dir": "/store/run", "verdict": verdict, "reproduce": "again"}
json.dump(result, open(sys.argv[4], "w"))
sys.exit(code)
"""
START = candidate("pause-1", "kill-1", "pause-2", "restart-1")


class Killed(BaseException):
    """As if the shrink's process ended here."""


def trials(folder: Path, more: Mapping[str, Any] | None = None, after: int = 10**6) -> Trials:
    script = folder.parent / "run.py"
    script.write_text(RUN)
    made = 0

    def tell(entry: Entry) -> None:
        nonlocal made
        made += entry.event == "ended"
        if made > after:
            raise Killed

    def table(found: Candidate) -> dict[str, Any]:
        schedule = kept_schedule(folder.parent, found.schedule)
        return {"schedule": str(schedule), "time_limit": found.time_limit_s, **(more or {})}

    return Trials(
        folder=folder,
        store=folder.parent,
        command=[sys.executable, str(script)],
        seed=7,
        parallel=2,
        signatures=frozenset({"linearizable: stale-read"}),
        table=table,
        hard_limit_s=lambda _: 60.0,
        tell=tell,
    )


def shrink(by: Trials) -> Shrink:
    return Shrink(
        START, by, targets=dict.fromkeys(("kill-1",), NODES), stages=frozenset({"faults"})
    )


def test_a_shrink_that_is_killed_goes_on_to_the_same_end_without_a_run_more(tmp_path: Path) -> None:
    whole = trials(tmp_path / "whole")
    found = shrink(whole).run()
    assert found.names == "kill-1, restart-1"
    for after in (0, 5, 14):
        with pytest.raises(Killed):
            shrink(trials(tmp_path / "killed", after=after)).run()
    resumed = trials(tmp_path / "killed")
    again = shrink(resumed)
    assert again.run() == found
    assert resumed.asked == whole.asked
    assert resumed.made < whole.made
    books = sorted((tmp_path / "killed").iterdir())
    ended = [line for book in books for line in (book / "soak.jsonl").read_text().splitlines()]
    numbers = [json.loads(line) for line in ended if '"ended"' in line]
    assert len(numbers) == whole.made
    assert {each["seed"] for each in numbers} == {7}


def test_another_question_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    shrink(trials(tmp_path / "one")).run()
    with pytest.raises(UsageError, match="another question"):
        shrink(trials(tmp_path / "one", {"rate": 3})).run()


def test_another_kind_of_anomaly_is_not_the_failure(tmp_path: Path) -> None:
    asks = Ask("reference", START, "as it was", lambda tally: 3 - tally.runs)
    assert trials(tmp_path / "other", {"kind": "lost-write"})(asks) == Tally(3, 0)
    assert trials(tmp_path / "same")(asks) == Tally(3, 3)


def test_runs_that_are_all_trouble_end_the_search(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be run"):
        shrink(trials(tmp_path / "one", {"broken": True})).run()


def test_a_stop_ends_the_search_and_keeps_what_was_found(tmp_path: Path) -> None:
    by = trials(tmp_path / "one")
    by.begin = lambda ask, tally: (_ for _ in ()).throw(Stopped(2))
    with pytest.raises(Stopped):
        shrink(by).run()
    assert shrink(trials(tmp_path / "one")).run().names == "kill-1, restart-1"


# -- a run's folder ----------------------------------------------------------------------------


def run_folder(tmp_path: Path, schedule: Schedule, happened: list[Any], **more: Any) -> Path:
    folder = tmp_path / "run"
    (folder / "evidence").mkdir(parents=True)
    table = 'system = "etcd"\nnemesis = "kill,partition"\nseed = 3\ntime_limit = 60\n'
    table += 'partition_targets = "primaries"\nkill_targets = "one"\n'
    (folder / "scenario.toml").write_text(table)
    (folder / "schedule.jsonl").write_text(text_of(schedule, happened))
    (folder / "evidence" / "run.json").write_text(json.dumps(more))
    return folder


def test_a_run_is_read_back_and_made_again_with_what_its_faults_need(tmp_path: Path) -> None:
    start = candidate("kill-1", "partition-1", time_limit_s=60.0)
    told = [{"began_s": 10.2, "targets": ["n4", "n2"]}, {"never": "the operations were over"}]
    was = recorded(run_folder(tmp_path, start.schedule, told, versions={"etcd": "3.5.1"}))
    assert (was.seed, was.time_limit_s, was.versions) == (3, 60.0, {"etcd": "3.5.1"})
    assert was.again() == start
    assert was.again("happened").schedule.occurrences[0].plan["order"] == ["n4", "n2"]
    table = was.scenario(was.again(), tmp_path, Registry())
    assert table["nemesis"] == "kill,partition"
    assert read_lines(Path(table["schedule"])).faults == ["kill", "partition"]
    only = start.of(start.schedule.occurrences[:1])
    alone = was.scenario(only, tmp_path, Registry())
    assert "partition_targets" not in alone
    assert alone["kill_targets"] == "one"
    bare = was.scenario(start.of(()), tmp_path, Registry())
    assert was.paths(Registry()) == {}
    (was.run_dir / "scenario.toml").write_text(
        'system = "etcd"\nclient = "./c"\nbinary = "/x/etcd"\n'
    )
    assert recorded(was.run_dir).paths(Registry()) == {"client": "./c", "binary": "/x/etcd"}
    assert (bare["nemesis"], "schedule" in bare, "seed" in bare) == ("", False, False)


def test_what_a_damaged_folder_does_not_tell_is_not_guessed(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, candidate("kill-1").schedule, [{"targets": 3, "began_s": "x"}])
    (folder / "faults.jsonl").write_text("no ledger\n")
    (folder / "evidence" / "run.json").write_text("[")
    was: Recorded = recorded(folder)
    assert (was.targets(), was.signatures, was.versions) == ({"kill-1": []}, [], {})
    assert was.began_ns() == {"kill-1": 10_000_000_000}
    (folder / "verdict.json").write_text('{"checkers": [1]}')
    assert recorded(folder).signatures == []
    (folder / "scenario.toml").write_text("nodes = 3\n")
    with pytest.raises(UsageError, match="names no system"):
        recorded(folder)

"""Milestones: every line and every change of a figure, once, with when it was at the earliest."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.evidence.milestones import Milestone, MilestoneWatch, compiled, names_of
from harness.evidence.tail import Tail


class Clock:
    """Goes on by one with each look."""

    def __init__(self) -> None:
        self.ticks = itertools.count()

    def __call__(self) -> int:
        return next(self.ticks) * 1_000_000_000


class Talks:
    """A system whose logs tell its leaders and snapshots."""

    def milestones(self) -> Mapping[str, Sequence[str]]:
        return {
            "leader": [r"became leader at term (?P<term>\d+)", r"elected (?P<who>\w+)"],
            "snapshot": ["snapshot installed"],
        }


class Counts:
    """A system whose nodes tell a term, when they answer."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def figure_names(self) -> Sequence[str]:
        return ["term"]

    def milestone_figures(self, node: Any, timeout_s: float) -> Mapping[str, Any]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise OSError("no answer")
        return {"term": answer}


class Bench:
    """A watch on nodes whose logs a test writes."""

    def __init__(self, path: Path, system: Any, nodes: Sequence[str] = ("n1", "n2")) -> None:
        for node in nodes:
            (path / node).mkdir()
        self.path = path
        self.news = threading.Condition()
        self.told: list[Milestone] = []
        cluster: Any = SimpleNamespace(
            nodes=[SimpleNamespace(name=node, log_dir=path / node) for node in nodes]
        )
        warnings: list[str] = []
        self.warnings = warnings
        self.watch = MilestoneWatch(
            path / "evidence" / "milestones.jsonl",
            system,
            cluster,
            Clock(),
            self._tell,
            warnings.append,
            is_awaited=True,
        )

    def _tell(self, milestone: Milestone) -> None:
        with self.news:
            self.told.append(milestone)
            self.news.notify_all()

    def until(self, condition: Callable[[], Any]) -> None:
        with self.news:
            assert self.news.wait_for(condition, timeout=60), self.told

    def write(self, node: str, text: str) -> None:
        with (self.path / node / "db.log").open("a") as log:
            log.write(text)

    def kept(self) -> list[dict[str, Any]]:
        text = (self.path / "evidence" / "milestones.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


def test_lines_that_match_are_told_at_once_and_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Talks())
    bench.write("n1", "became leader at term 1\n")
    bench.watch.start()
    bench.write("n1", "nothing\nbecame leader at te")
    bench.write("n2", "elected n1; snapshot installed\n")
    bench.until(lambda: len(bench.told) == 2)
    bench.write("n1", "rm 2\n")
    bench.until(lambda: len(bench.told) == 3)
    bench.watch.stop()
    found = [(each["node"], each["name"]) for each in bench.kept()]
    assert found == [("n2", "leader"), ("n2", "snapshot"), ("n1", "leader")]
    detail = {"who": "n1", "file": "db.log", "line": "elected n1; snapshot installed"}
    assert bench.kept()[0]["detail"] == detail
    assert bench.kept()[2]["detail"]["term"] == "2"
    assert all(0 <= each["time"] - each["error_ns"] <= each["time"] for each in bench.kept())
    assert bench.watch.reached() == {"leader": 2, "snapshot": 1}


def test_the_last_look_comes_when_it_is_stopped(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Talks())
    bench.watch.is_awaited = False
    bench.write("n1", "begins\n")
    bench.watch.start()
    bench.write("n1", "snapshot installed\n")
    bench.watch.stop()
    bench.watch.stop()
    assert [each["name"] for each in bench.kept()] == ["snapshot"]


def test_a_system_without_milestones_leaves_no_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path, object())
    bench.watch.start()
    bench.watch.stop()
    assert not (tmp_path / "evidence").exists()
    assert names_of(object()) == []  # type: ignore[arg-type]


def test_each_change_of_a_figure_is_one_also_across_silence(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Counts(1, 1, 2, None, 2, None, 4), nodes=["n1"])
    bench.watch.start()
    bench.until(lambda: len(bench.told) == 2)
    bench.watch.stop()
    assert [(e.name, e.detail) for e in bench.told] == [
        ("term", {"was": 1, "is": 2}),
        ("term", {"was": 2, "is": 4}),
    ]
    assert all(each.error_ns > 0 for each in bench.told)
    assert names_of(bench.watch.system) == ["term"]


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Talks())
    (tmp_path / "evidence").write_text("in the way")
    bench.watch.start()
    bench.write("n1", "snapshot installed\nsnapshot installed\n")
    bench.until(lambda: len(bench.told) == 2)
    bench.watch.stop()
    (warning,) = bench.warnings
    assert "milestones are no longer kept" in warning


def test_a_log_is_followed_from_its_creation_and_again_from_its_start(tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    tail = Tail({"n1": tmp_path / "n1"}, Clock())
    tail.open()
    log = tmp_path / "n1" / "db.log"
    log.write_text("one\ntwo\nthr")
    assert [each.text for each in tail.look()] == ["one", "two"]
    log.write_text("again\n")
    assert [each.text for each in tail.look()] == ["again"]
    (tmp_path / "n1" / "link.log").symlink_to("/etc/hostname")
    assert list(tail.look()) == []
    tail.close()
    tail.close()


def test_alternatives_are_one_name() -> None:
    pattern = compiled({"leader": ["a(?P<x>.)", "b"], "none": []})
    assert list(pattern) == ["leader"]
    assert pattern["leader"].search("-b")


def test_who_waits_is_woken_by_a_written_line(tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    log = tmp_path / "n1" / "db.log"
    log.touch()
    tail = Tail({"n1": tmp_path / "n1"}, Clock())
    tail.open()
    waiting = threading.Thread(target=tail.wait, args=(60.0,), daemon=True)
    waiting.start()
    log.write_text("a new leader\n")
    waiting.join(30)
    assert not waiting.is_alive(), "it would have waited for a minute"
    assert [found.text for found in tail.look()] == ["a new leader"]
    tail.close()

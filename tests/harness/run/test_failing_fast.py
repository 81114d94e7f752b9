"""``--fail-fast``: what breaks the claim ends a run's operations, once, and decides nothing."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.plugins import Registry
from harness.run import __main__ as run_process
from harness.run.failing_fast import ANOMALY, FailFast, breaks
from harness.verdict.lookout import Sighting

SEEN = Sighting(kind="stale-read", index=7, time_ns=10**9, message="a read of 1" + " again" * 99)


class Onlooker:
    """Has seen what it is told to have seen."""

    def __init__(self, first: Sighting | None) -> None:
        self.first = first

    def told(self) -> dict[str, Any]:
        assert self.first is not None
        facts = {"kind": self.first.kind, "time_s": 1.0, "index": self.first.index}
        return {"anomaly": {"checker": "linearizable", **facts, "message": self.first.message}}


def told(first: Sighting | None, *, is_asked: bool = True, **more: Any) -> list[str]:
    """The lines that the run process gets, however often it is looked."""
    scenario = SimpleNamespace(fail_fast=is_asked, claims=more.get("by", "assumed"))
    parts: Any = SimpleNamespace(scenario=scenario, claims=more.get("claims", ["linearizable"]))
    onlooker: Any = Onlooker(first)
    fail_fast, lines = FailFast(onlooker, parts, Registry()), []
    fail_fast.tell = lines.append
    fail_fast.look()
    fail_fast.look()
    return lines


def test_it_is_told_once_and_short_and_only_where_it_was_asked_for() -> None:
    (line,) = told(SEEN)
    word, _, facts = line.partition(" ")
    assert word == ANOMALY
    assert json.loads(facts)["index"] == 7
    assert len(line) < 400
    assert told(None) == []
    assert told(SEEN, is_asked=False) == []


def test_what_breaks_no_claim_ends_no_run() -> None:
    assert told(SEEN, claims=["strict-serializable"])
    assert told(SEEN, claims=["serializable"]) == []
    assert told(SEEN, claims=[], by="documented") == []
    assert told(SEEN, claims=[])
    assert breaks("duplicated", ["serializable"], Registry())
    assert breaks("somebody's own", ["serializable"], Registry())


def test_the_run_process_hears_of_it_between_other_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []
    over = threading.Event()
    life = SimpleNamespace(fail_fast=heard.append, stop=heard.append)
    monkeypatch.setattr(run_process, "_abandon", lambda life: over.set())
    lines = 'odd\nanomaly {"kind": "lost update", "index": 3}\nstop SIGTERM\n'
    monkeypatch.setattr(run_process.sys, "stdin", io.StringIO(lines))
    run_process._listen(life)
    assert over.wait(60)
    assert heard == [{"kind": "lost update", "index": 3}, 15]


def test_what_the_front_says_is_one_line(tmp_path: Path) -> None:
    from harness.run.interrupts import Interrupts

    interrupts = Interrupts(lambda event: None)
    interrupts.say("before there is anybody")
    with (tmp_path / "stdin").open("wb") as stdin:
        interrupts.pass_on_to(stdin.fileno())
        interrupts.say("anomaly {}")
        interrupts.end()
        interrupts.say("afterwards")
    assert (tmp_path / "stdin").read_text() == "anomaly {}\n"

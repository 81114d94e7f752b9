"""Lines of work: each occurrence at its moment, none holding up another, what never came told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from harness.contract.action import Outcome
from harness.history.faults import recorded_faults, unhealed
from harness.history.ledger import Ledger, read_ledger
from harness.history.operation import Operation
from harness.run.injection import Limits
from harness.run.lines import Lines
from harness.run.nemesis import Nemesis
from harness.run.schedule import AfterFault, AfterMilestone, At, Moment, Occurrence, Schedule
from nemeses.process.kill import Kill
from nemeses.process.pause import Pause
from tests.toys import honest_cluster

NODES = ["n1", "n2", "n3"]
PATIENT = Limits(poll_s=0.001, heal_s=0.02, call_s=60.0)
MS = 1_000_000
FOREVER_S = 1000.0


def on(node: str) -> dict[str, Any]:
    return {"target": "one", "order": [node, *(n for n in NODES if n != node)]}


class Compact:
    """An action that is refused from its second time on."""

    name = "compact"

    def __init__(self) -> None:
        self.done = 0

    def refusal(self, cluster: Any, system: Any) -> None:
        return None

    def plan(self, nodes: Any, rng: Any) -> dict[str, Any]:
        return {}

    def resolve(self, plan: Any, stage: Any) -> tuple[list[str], dict[str, Any]]:
        return ["n1"], {}

    def act(self, stage: Any, targets: Any, detail: Any) -> Outcome:
        self.done += 1
        is_done = self.done == 1
        return Outcome(is_done=is_done, what="compacted" if is_done else "nothing to compact")


class Bench:
    """Lines on the honest cluster, their history and ledger, and waiting for what is in them."""

    def __init__(self, path: Path, occurrences: list[Occurrence], *faults: Any) -> None:
        self.path = path / "faults.jsonl"
        self.stage: Any = honest_cluster.stage(3)
        self.start_ns = time.monotonic_ns()
        self.news = threading.Condition()
        self.records: list[Operation] = []
        self.ledger = Ledger(self.path, self.now, listener=lambda entry: self._tell())
        every = faults or (Kill({}), Pause({}))
        self.nemesis = Nemesis(every, self.stage, self.ledger, PATIENT)
        schedule = Schedule(seed=1, occurrences=tuple(occurrences))
        self.lines = Lines(schedule, self.nemesis, self._record, self.now, FOREVER_S, every)
        self.lines.start()

    def now(self) -> int:
        return time.monotonic_ns() - self.start_ns

    def _tell(self) -> None:
        with self.news:
            self.news.notify_all()

    def _record(self, operation: Operation) -> Operation:
        with self.news:
            recorded = msgspec.structs.replace(operation, index=len(self.records), time=self.now())
            self.records.append(recorded)
            self.news.notify_all()
        return recorded

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 60
        with self.news:
            while not condition():  # not all that may be waited for is told by news
                assert time.monotonic() < deadline, (self.events(), self.fs())
                self.news.wait(0.01)

    def events(self, fault: str | None = None) -> list[str]:
        return [e.event for e in self.ledger.entries if fault in (None, e.fault)]

    def fs(self) -> list[str]:
        return [each.f for each in self.records]

    def close(self) -> None:
        async def closing() -> None:
            await self.lines.close(60.0, asyncio.Event(), 60.0)
            assert await self.nemesis.heal_all() == []

        asyncio.run(closing())
        assert self.lines.trouble == []


def planned(fault: str, begin: Moment, *, lasts_ms: int | None = 1, node: str = "n1") -> Occurrence:
    name = f"{fault}-{node}"
    lasts_ns = None if lasts_ms is None else lasts_ms * MS
    return Occurrence(name=name, fault=fault, begin=begin, lasts_ns=lasts_ns, plan=on(node))


def held_up(fault: Any, method: str) -> threading.Event:
    """``method`` of the fault waits for this event."""
    go, real = threading.Event(), getattr(fault, method)

    def waiting(*args: Any) -> Any:
        assert go.wait(60)
        return real(*args)

    setattr(fault, method, waiting)
    return go


def test_a_slow_heal_holds_up_no_other_fault(tmp_path: Path) -> None:
    kill = Kill({})
    go = held_up(kill, "heal")
    slow, quick = planned("kill", At(0)), planned("pause", At(20 * MS), node="n2")
    bench = Bench(tmp_path, [slow, quick], kill, Pause({}))
    bench.until(lambda: "healed" in bench.events("pause"))
    assert "heal" in bench.events("kill")
    assert "healed" not in bench.events("kill")
    bench.until(lambda: bench.fs().count("stop-pause") == 2)
    assert bench.fs().count("stop-kill") == 1
    go.set()
    bench.until(lambda: "healed" in bench.events("kill"))
    bench.close()
    assert unhealed(read_ledger(bench.path)) == []


def test_a_slow_heal_holds_up_no_other_of_the_same_fault(tmp_path: Path) -> None:
    pause = Pause({})
    go, real = threading.Event(), pause.heal

    def heal(stage: Any, targets: Any, detail: Any) -> None:
        assert targets == ["n2"] or go.wait(60)
        real(stage, targets, detail)

    pause.heal = heal  # type: ignore[method-assign]
    first, second = planned("pause", At(0)), planned("pause", At(10 * MS), node="n2")
    bench = Bench(tmp_path, [first, second], pause)
    bench.until(lambda: [e.id for e in bench.ledger.entries if e.event == "healed"] == [1])
    go.set()
    bench.until(lambda: bench.events().count("healed") == 2)
    bench.close()
    ends = [(each.f, (each.value or {}).get("occurrence")) for each in bench.records]
    assert sorted(ends) == sorted(
        2 * [(f, n) for f in ("start-pause", "stop-pause") for n in (0, 1)]
    )


def test_a_fault_fires_after_the_second_milestone_and_is_armed_before(tmp_path: Path) -> None:
    begin = AfterMilestone(milestone="leader-change", nth=2, delay_ns=2 * MS)
    bench = Bench(tmp_path, [planned("pause", begin, lasts_ms=5)])
    bench.lines.reached("snapshot", "n3", bench.now())
    assert bench.events() == []
    bench.lines.reached("leader-change", "n3", bench.now())
    bench.until(lambda: bench.events() == ["intend"])
    came_ns = bench.now()
    bench.lines.reached("leader-change", "n1", came_ns)
    bench.until(lambda: "healed" in bench.events())
    bench.close()
    assert bench.events() == ["intend", "fire", "injected", "bit", "heal", "healed"]
    (fault,) = recorded_faults(bench.ledger.entries)
    assert fault.intended_ns is not None
    assert fault.intended_ns < came_ns
    assert fault.begun_ns == fault.fired_ns is not None
    assert fault.fired_ns >= came_ns + 2 * MS
    assert bench.lines.happened()[0]["targets"] == ["n1"]


def test_only_the_milestones_of_its_node_count_where_one_is_named(tmp_path: Path) -> None:
    begin = AfterMilestone(milestone="leader-change", node="n2")
    bench = Bench(tmp_path, [planned("pause", begin)])
    bench.lines.reached("leader-change", "n1", bench.now())
    bench.lines.reached("leader-change", "n2", bench.now())
    bench.until(lambda: "healed" in bench.events())
    bench.close()


def test_what_was_armed_and_never_fired_is_said_and_was_never_in_force(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [planned("kill", AfterMilestone(milestone="leader-change"))])
    bench.until(lambda: bench.events() == ["intend"])
    (armed,) = recorded_faults(bench.ledger.entries)
    assert not armed.has_fired
    assert armed.is_open  # should the machine lose its power now, nobody knows
    bench.close()
    assert bench.events() == ["intend", "disarmed"]
    (fault,) = recorded_faults(bench.ledger.entries)
    assert not fault.is_open
    assert not fault.may_be_in_force(0, bench.now())
    assert bench.records == []
    assert bench.stage.daemons["n1"][0].alive()
    assert "never came" in bench.lines.happened()[0]["never"]


def test_an_armed_fault_is_armed_anew_when_another_changes_whom_it_aims_at(tmp_path: Path) -> None:
    waiting = planned("pause", AfterMilestone(milestone="leader-change"))
    bench = Bench(tmp_path, [waiting, planned("kill", At(30 * MS), lasts_ms=60_000)])
    bench.until(lambda: bench.events("pause") == ["intend", "disarmed", "intend"])
    bench.lines.reached("leader-change", "n3", bench.now())
    bench.until(lambda: "bit" in bench.events("pause"))
    assert bench.stage.daemons["n2"][0].state() == "T"  # n1 does not run
    bench.close()


def test_a_fault_begins_after_the_end_of_another(tmp_path: Path) -> None:
    first = planned("kill", At(0))
    bench = Bench(tmp_path, [first, planned("pause", AfterFault(fault=first.name))])
    bench.until(lambda: bench.fs().count("stop-pause") == 2)
    bench.close()
    done = [e for e in bench.ledger.entries if e.event in ("healed", "fire")]
    assert [(e.fault, e.event) for e in done][:2] == [("kill", "healed"), ("pause", "fire")]


def test_what_waits_for_a_fault_that_never_began_never_begins(tmp_path: Path) -> None:
    first = planned("kill", AfterMilestone(milestone="leader-change"))
    second = planned("pause", AfterFault(fault=first.name, event="begin"))
    bench = Bench(tmp_path, [first, second])
    bench.until(lambda: bench.events() == ["intend", "intend"])
    bench.close()
    assert bench.events("pause") == ["intend", "disarmed"]
    assert bench.records == []


def test_actions_are_done_or_refused_in_a_moment(tmp_path: Path) -> None:
    twice = [
        planned("compact", At(0), lasts_ms=None, node="n1"),
        planned("compact", AfterFault(fault="compact-n1"), lasts_ms=None, node="n2"),
    ]
    bench = Bench(tmp_path, twice, Compact())
    bench.until(lambda: len(bench.records) == 4)
    bench.close()
    assert bench.events() == ["intend", "done", "intend", "refused"]
    assert [each.f for each in bench.records] == ["compact"] * 4
    done, refused = recorded_faults(bench.ledger.entries)
    assert "(action" in str(done)
    assert (done.is_open, refused.is_open) == (False, False)
    assert unhealed(bench.ledger.entries) == []


def test_what_is_under_way_when_all_is_over_is_so_recorded(tmp_path: Path) -> None:
    pause = Pause({})
    go = held_up(pause, "inject")
    bench = Bench(tmp_path, [planned("pause", At(0))], pause)
    bench.until(lambda: bench.events() == ["intend"])

    async def close() -> None:
        hurry = asyncio.Event()
        hurry.set()
        await bench.lines.close(60.0, hurry, 0.01)

    closing = threading.Thread(target=lambda: asyncio.run(close()), daemon=True)
    closing.start()
    bench.until(lambda: len(bench.records) == 2)
    assert bench.records[-1].error == "still under way when the run was stopped"
    go.set()
    closing.join(60)
    bench.close()
    assert len(bench.records) == 2


def test_what_is_ready_is_fired_by_who_sees_the_milestone(tmp_path: Path) -> None:
    pause, threads = Pause({}), []
    real = pause.hold

    def hold(detail: Any) -> None:
        threads.append(threading.current_thread())
        real(detail)

    pause.hold = hold  # type: ignore[method-assign]
    begin = AfterMilestone(milestone="leader-change")
    bench = Bench(tmp_path, [planned("pause", begin, lasts_ms=5)], pause)
    bench.until(lambda: bench.events() == ["intend"])
    bench.until(lambda: bench.lines.is_ready(0))
    bench.lines.reached("leader-change", "n3", bench.now())
    assert threads == [threading.current_thread()]
    assert bench.fs() == ["start-pause"], "recorded before it is injected"
    bench.until(lambda: "healed" in bench.events())
    bench.close()
    assert bench.events() == ["intend", "fire", "injected", "bit", "heal", "healed"]
    assert bench.fs() == 2 * ["start-pause"] + 2 * ["stop-pause"]
    (fault,) = recorded_faults(bench.ledger.entries)
    (injected,) = [e for e in bench.ledger.entries if e.event == "injected"]
    assert fault.fired_ns is not None
    assert fault.fired_ns <= injected.detail["shot_ns"] <= injected.time


def test_what_is_ready_is_not_fired_once_all_is_halted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [planned("pause", AfterMilestone(milestone="leader-change"))])
    bench.until(lambda: bench.lines.is_ready(0))
    bench.close()
    bench.lines.reached("leader-change", "n3", bench.now())
    assert bench.events() == ["intend", "disarmed"]

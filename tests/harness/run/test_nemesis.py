"""The nemesis: ledger before, proof after, nothing lost, and all healed at the end."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.contract.fault import Stage
from harness.history.faults import unhealed
from harness.history.ledger import Ledger, LedgerEntry, read_ledger
from harness.history.operation import NEMESIS, Operation
from harness.run.injection import Limits
from harness.run.nemesis import Nemesis
from nemeses.network.partition import Partition
from nemeses.process.kill import Kill
from nemeses.process.pause import Pause
from tests.toys import honest_cluster

NODES = ["n1", "n2", "n3"]
ON_N1 = {"target": "one", "order": NODES}
CUT_N1 = {"shape": "one", "grudge": {"n1": ["n2", "n3"], "n2": ["n1"], "n3": ["n1"]}}
PATIENT = Limits(poll_s=0.001, heal_s=0.02, call_s=60.0)


class Bench:
    """A nemesis on the honest cluster, its ledger, and a way to wait for ledger entries."""

    def __init__(self, path: Path, faults: list[Any], limits: Limits = PATIENT) -> None:
        self.path = path
        self.stage: Any = honest_cluster.stage(3)
        self._news = threading.Condition()
        ticks = count()
        self.ledger = Ledger(path, lambda: next(ticks), listener=self._tell)
        self.nemesis = Nemesis(faults, self.stage, self.ledger, limits)

    def _tell(self, entry: LedgerEntry) -> None:
        with self._news:
            self._news.notify_all()

    def wait_for(self, event: str, fault: str) -> LedgerEntry:
        """The first such entry, as soon as it is there."""

        def found() -> LedgerEntry | None:
            return next(
                (e for e in self.ledger.entries if e.event == event and e.fault == fault), None
            )

        with self._news:
            entry = self._news.wait_for(found, timeout=60)
        assert entry is not None, f"no {event} of {fault} in {self.events()}"
        return entry

    def do(self, f: str, occurrence: int = 0, plan: Any = None) -> Operation:
        value = {"occurrence": occurrence, **({"plan": plan} if plan else {})}
        operation = Operation(3, 17, NEMESIS, "info", f, value)
        return asyncio.run(self.nemesis.invoke(operation))

    def heal_all(self) -> list[str]:
        return asyncio.run(self.nemesis.heal_all())

    def events(self, fault: str | None = None) -> list[str]:
        return [e.event for e in read_ledger(self.path) if fault in (None, e.fault)]

    def why(self, phase: str) -> str:
        """The reason of the last failure in ``phase``."""
        failed = [e for e in self.ledger.entries if e.event == "failed"]
        return str([e.detail["why"] for e in failed if e.detail["phase"] == phase][-1])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "faults.jsonl", [Partition({}), Kill({}), Pause({})])
    yield made
    made.heal_all()


def without(fault: Any, method: str) -> Any:
    """``fault`` with a method that does nothing."""
    setattr(fault, method, lambda *_: None)
    return fault


def test_a_fault_goes_through_the_ledger_step_by_step(bench: Bench) -> None:
    begun = bench.do("start-kill", plan=ON_N1)
    bench.wait_for("bit", "kill")
    ended = bench.do("stop-kill")
    assert bench.events() == ["intend", "injected", "bit", "heal", "healed"]
    assert begun.value["targets"] == ["n1"]
    assert begun.value["id"] == 0
    assert ended.value == {"id": 0, "occurrence": 0, "bit": True, "healed": True}
    assert (begun.error, ended.error) == (None, None)
    proof = bench.wait_for("bit", "kill").detail["proof"]
    assert proof["what"] == "1 of 1 processes on n1 ended by SIGKILL"


def test_trouble_on_a_node_stands_in_the_ledger_of_what_is_in_force_there(bench: Bench) -> None:
    bench.do("start-partition", 0, CUT_N1)
    bench.do("start-pause", 1, {"target": "one", "order": ["n3", "n1", "n2"]})
    bench.wait_for("bit", "pause")
    bench.nemesis.troubled("n2", "its new life could not be attended")
    failed = [entry for entry in bench.ledger.entries if entry.event == "failed"]
    assert [entry.fault for entry in failed] == ["partition"]
    assert failed[0].detail["node"] == "n2"
    assert bench.why("in force") == "its new life could not be attended"
    assert bench.heal_all() == []
    bench.nemesis.troubled("n2", "afterwards")
    assert bench.why("in force") == "its new life could not be attended"


def test_completions_keep_process_and_f_are_info_and_json(bench: Bench) -> None:
    begun = bench.do("start-partition", plan=CUT_N1)
    assert (begun.index, begun.process, begun.type, begun.f) == (3, NEMESIS, "info", begun.f)
    assert json.loads(json.dumps(begun.value)) == begun.value


def test_the_intention_is_on_disk_before_the_injection(tmp_path: Path) -> None:
    seen: list[list[str]] = []
    fault: Any = Kill({})
    real = fault.inject

    def inject(*args: Any) -> None:
        seen.append(bench.events())
        real(*args)

    fault.inject = inject
    fault.heal, heal = (lambda *a: (seen.append(bench.events()), heal(*a))), fault.heal
    bench = Bench(tmp_path / "faults.jsonl", [fault])
    bench.do("start-kill", plan=ON_N1)
    bench.wait_for("bit", "kill")
    bench.do("stop-kill")
    assert seen == [["intend"], ["intend", "injected", "bit", "heal"]]


def test_nothing_is_injected_if_the_ledger_cannot_be_written(bench: Bench) -> None:
    bench.ledger.close()
    begun = bench.do("start-kill", plan=ON_N1)
    assert "cannot be written" in str(begun.error)
    assert bench.stage.daemons["n1"][0].alive()
    assert bench.heal_all() == []


def test_a_ledger_that_fails_later_does_not_keep_a_fault_from_its_heal(bench: Bench) -> None:
    bench.do("start-kill", plan=ON_N1)
    bench.wait_for("bit", "kill")
    bench.ledger.close()
    ended = bench.do("stop-kill")
    assert ended.value["healed"]
    assert "cannot be written" in str(ended.error)
    assert bench.stage.daemons["n1"][0].alive()


@pytest.mark.parametrize(("kind", "plan"), [(Partition, CUT_N1), (Kill, ON_N1), (Pause, ON_N1)])
def test_a_fault_whose_inject_does_nothing_never_bites(
    tmp_path: Path, kind: Any, plan: Any
) -> None:
    bench = Bench(tmp_path / "faults.jsonl", [without(kind({}), "inject")])
    bench.do(f"start-{kind.name}", plan=plan)
    bench.stage.cluster.talk()
    bench.do(f"stop-{kind.name}")
    assert bench.events() == ["intend", "injected", "failed", "heal", "healed"]
    assert bench.why("bite")


@pytest.mark.parametrize(("kind", "plan"), [(Partition, CUT_N1), (Kill, ON_N1), (Pause, ON_N1)])
def test_a_fault_whose_heal_does_nothing_is_returned_by_the_final_heal(
    tmp_path: Path, kind: Any, plan: Any
) -> None:
    bench = Bench(tmp_path / "faults.jsonl", [without(kind({}), "heal")])
    bench.do(f"start-{kind.name}", plan=plan)
    bench.stage.cluster.talk()
    ended = bench.do(f"stop-{kind.name}")
    assert not ended.value["healed"]
    assert ended.error
    for _ in range(2):
        (left,) = bench.heal_all()
        assert left.startswith(f"{kind.name} of n1: ")
    assert [entry.fault for entry in unhealed(read_ledger(bench.path))] == [kind.name]
    assert bench.nemesis.open_faults() == [kind.name]


def test_a_cut_is_watched_until_the_database_runs_into_it(bench: Bench) -> None:
    bench.do("start-partition", plan=CUT_N1)
    assert bench.events() == ["intend", "injected"]
    bench.stage.cluster.talk()
    entry = bench.wait_for("bit", "partition")
    assert set(entry.detail["proof"]["figures"]["dropped"]) == {
        "n1->n2",
        "n1->n3",
        "n2->n1",
        "n3->n1",
    }


def test_a_cut_that_nobody_ran_into_is_written_down_as_no_bite(bench: Bench) -> None:
    bench.do("start-partition", plan=CUT_N1)
    ended = bench.do("stop-partition")
    assert ended.value["bit"] is False
    assert bench.why("bite") == "no packet has run into the cut"


def test_a_cut_that_has_not_bitten_yet_does_not_delay_other_faults(bench: Bench) -> None:
    bench.do("start-partition", 0, CUT_N1)
    bench.do("start-kill", 1, ON_N1)
    bench.wait_for("bit", "kill")
    assert bench.do("stop-kill", 1).value["healed"]
    assert "bit" not in bench.events("partition")
    assert bench.nemesis.open_faults() == ["partition"]


def test_trouble_of_an_injection_is_in_ledger_and_operation_and_is_healed(
    tmp_path: Path,
) -> None:
    fault: Any = Pause({})
    real = fault.inject

    def half_done(*args: Any) -> None:
        real(*args)
        raise RuntimeError("the line went dead")

    fault.inject = half_done
    bench = Bench(tmp_path / "faults.jsonl", [fault])
    begun = bench.do("start-pause", plan=ON_N1)
    assert begun.error == "RuntimeError: the line went dead"
    assert bench.why("inject") == begun.error
    assert bench.heal_all() == []
    assert bench.stage.daemons["n1"][0].state() == "S"
    assert bench.events() == ["intend", "failed", "heal", "healed"]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), StopIteration()], ids=repr)
def test_whatever_a_fault_raises_is_told_and_ends_nobody(
    tmp_path: Path, error: BaseException
) -> None:
    fault: Any = Pause({})

    def inject(*args: Any) -> None:
        raise error

    fault.inject = inject
    bench = Bench(tmp_path / "faults.jsonl", [fault])
    assert type(error).__name__ in str(bench.do("start-pause", plan=ON_N1).error)
    assert bench.events() == ["intend", "failed"]
    assert bench.heal_all() == []


def test_trouble_of_resolving_leaves_nothing_to_heal(bench: Bench) -> None:
    begun = bench.do("start-kill", plan={"target": "one"})
    assert "KeyError" in str(begun.error)
    assert bench.events() == []
    assert bench.heal_all() == []


def test_a_measurement_that_raises_is_tried_again(tmp_path: Path) -> None:
    fault: Any = Kill({})
    real, tried = fault.bit, []

    def flaky(*args: Any) -> Any:
        tried.append(args)
        if len(tried) == 1:
            raise OSError("no answer")
        return real(*args)

    fault.bit = flaky
    bench = Bench(tmp_path / "faults.jsonl", [fault])
    bench.do("start-kill", plan=ON_N1)
    assert bench.wait_for("bit", "kill").detail["proof"]["figures"]


def test_a_node_that_does_not_start_is_tried_again_at_the_end(bench: Bench) -> None:
    bench.do("start-kill", plan=ON_N1)
    bench.wait_for("bit", "kill")
    bench.stage.system.broken = {"n1"}
    ended = bench.do("stop-kill")
    assert "n1: the address is in use" in str(ended.error)
    assert bench.events()[-2:] == ["heal", "failed"]
    assert bench.heal_all() == [f"kill of n1: {ended.error}"]
    bench.stage.system.broken = set()
    assert bench.heal_all() == []
    assert bench.events()[-2:] == ["heal", "healed"]
    assert bench.stage.daemons["n1"][0].alive()


def test_the_final_heal_ends_everything_the_last_begun_first(bench: Bench) -> None:
    bench.do("start-partition", 0, CUT_N1)
    bench.do("start-pause", 1, {"target": "one", "order": ["n2", "n1", "n3"]})
    bench.do("start-kill", 2, ON_N1)
    assert bench.heal_all() == []
    healed = [e.fault for e in bench.ledger.entries if e.event == "healed"]
    assert healed == ["kill", "pause", "partition"]
    assert bench.nemesis.open_faults() == []
    before = bench.ledger.entries
    assert bench.heal_all() == []
    assert bench.ledger.entries == before


def test_a_pause_and_a_kill_of_the_same_process_are_both_healed(bench: Bench) -> None:
    bench.do("start-pause", 0, ON_N1)
    bench.wait_for("bit", "pause")
    bench.do("start-kill", 1, ON_N1)
    bench.wait_for("bit", "kill")
    assert bench.do("stop-pause", 0).value["healed"]
    assert bench.do("stop-kill", 1).value["healed"]
    assert bench.stage.daemons["n1"][0].state() == "S"


def test_after_the_final_heal_no_fault_begins(bench: Bench) -> None:
    bench.heal_all()
    begun = bench.do("start-kill", plan=ON_N1)
    assert "no fault is injected any more" in str(begun.error)
    assert bench.events() == []
    assert bench.stage.daemons["n1"][0].alive()


@pytest.mark.parametrize("f", ["start-flood", "stop-flood", "kill", ""])
def test_an_unknown_operation_is_an_error_in_the_operation(bench: Bench, f: str) -> None:
    assert "is not one of start-partition" in str(bench.do(f).error)


def test_a_stop_without_a_start_is_an_error_in_the_operation(bench: Bench) -> None:
    assert bench.do("stop-kill").error == "no kill is in force"
    assert bench.events() == []


def test_the_same_fault_twice_is_stopped_by_its_number(bench: Bench) -> None:
    bench.do("start-pause", 4, ON_N1)
    bench.do("start-pause", 5, {"target": "one", "order": ["n2", "n1", "n3"]})
    assert bench.do("stop-pause", 5).value["id"] == 1
    assert bench.stage.daemons["n1"][0].state() == "T"
    assert bench.do("stop-pause", 4).value["id"] == 0


class Stuck:
    """A pause of which one method does not return before it is let go."""

    def __init__(self, method: str) -> None:
        self.fault: Any = Pause({})
        self.entered, self.go = threading.Event(), threading.Event()
        real = getattr(self.fault, method)

        def stuck(*args: Any) -> Any:
            self.entered.set()
            self.go.wait(60)
            return real(*args)

        setattr(self.fault, method, stuck)


def test_an_injection_that_never_returns_is_given_up_and_reported(tmp_path: Path) -> None:
    hang = Stuck("inject")
    bench = Bench(
        tmp_path / "faults.jsonl", [hang.fault], Limits(call_s=0.01, poll_s=0.001, heal_s=60.0)
    )
    begun = bench.do("start-pause", plan=ON_N1)
    assert "start-pause has not returned after 0.01 s" in str(begun.error)
    assert hang.entered.wait(60)
    (left,) = bench.heal_all()
    assert "an earlier step of it has not returned" in left
    hang.go.set()
    bench.wait_for("injected", "pause")


def test_a_heal_that_hangs_is_not_started_a_second_time_beside_itself(tmp_path: Path) -> None:
    hang = Stuck("heal")
    limits: Any = SimpleNamespace(call_s=60.0, poll_s=0.001, heal_s=60.0)
    bench = Bench(tmp_path / "faults.jsonl", [hang.fault], limits)
    bench.do("start-pause", plan=ON_N1)
    bench.wait_for("bit", "pause")
    limits.call_s = 0.01
    ended = bench.do("stop-pause")
    assert "has not returned" in str(ended.error)
    assert hang.entered.wait(60)
    (left,) = bench.heal_all()
    assert "an earlier step of it has not returned" in left
    assert bench.events().count("heal") == 1
    hang.go.set()
    bench.wait_for("healed", "pause")


def test_the_loop_serves_others_while_a_fault_is_injected(tmp_path: Path) -> None:
    hang = Stuck("inject")
    bench = Bench(tmp_path / "faults.jsonl", [hang.fault])

    async def both() -> Operation:
        operation = Operation(-1, 0, NEMESIS, "info", "start-pause", {"plan": ON_N1})
        injecting = asyncio.create_task(bench.nemesis.invoke(operation))
        assert await asyncio.to_thread(hang.entered.wait, 60)
        hang.go.set()  # only a loop that is not blocked gets here
        return await injecting

    assert asyncio.run(both()).error is None


def test_a_cancelled_operation_leaves_its_fault_to_the_final_heal(tmp_path: Path) -> None:
    hang = Stuck("inject")
    bench = Bench(tmp_path / "faults.jsonl", [hang.fault])

    async def interrupted() -> list[str]:
        operation = Operation(-1, 0, NEMESIS, "info", "start-pause", {"plan": ON_N1})
        injecting = asyncio.create_task(bench.nemesis.invoke(operation))
        assert await asyncio.to_thread(hang.entered.wait, 60)
        injecting.cancel()
        hang.go.set()
        return await bench.nemesis.heal_all()

    assert asyncio.run(interrupted()) == []
    assert bench.stage.daemons["n1"][0].state() == "S"
    assert bench.events()[-1] == "healed"


def test_what_a_dead_run_leaves_can_be_healed_from_the_ledger_alone(bench: Bench) -> None:
    bench.do("start-pause", plan=ON_N1)
    (entry,) = unhealed(read_ledger(bench.path))
    stage: Stage = bench.stage
    Pause({}).heal(stage, entry.targets, entry.detail)
    assert stage.daemons["n1"][0].state() == "S"


def test_what_was_fired_is_not_armed_anew(bench: Bench) -> None:
    value = {"occurrence": 4, "plan": ON_N1}
    fired = Operation(3, 17, NEMESIS, "info", "start-pause", value)
    assert asyncio.run(bench.nemesis.arm("pause", 4, ON_N1)) is None
    bench.nemesis.shoot(fired)
    assert asyncio.run(bench.nemesis.arm("pause", 4, ON_N1)) is None
    assert bench.events() == ["intend", "fire"]
    asyncio.run(bench.nemesis.invoke(fired))
    assert asyncio.run(bench.nemesis.arm("pause", 4, ON_N1)) is None
    assert bench.heal_all() == []
    assert bench.events() == ["intend", "fire", "injected", "bit", "heal", "healed"]

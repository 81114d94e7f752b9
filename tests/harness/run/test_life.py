"""The life of a run, against registers in memory on a cluster that measures honestly."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import NotReady, SetupError, UsageError
from harness.generator import map_
from harness.history.faults import unhealed
from harness.history.ledger import read_ledger
from harness.history.reader import read_history
from harness.history.seal import find_history
from harness.judge.judge import judge_run
from harness.plugins import Registry
from harness.run import life as life_module
from harness.run import start_up
from harness.run.__main__ import EXITS, _exit_code
from harness.run.events import Events
from harness.run.injection import Limits
from harness.run.life import Life
from harness.run.preparation import prepare
from harness.run.scenario import resolve
from tests.disturbance import ATTEMPTS, was_held_up

pytestmark = pytest.mark.slow


PLUGIN = Path(__file__).parents[2] / "toys/memory_system.py"
Bend = Callable[[Life], None]


def make_life(run_dir: Path, **table: Any) -> Life:
    """A life that is ready to run, with everything small."""
    run_dir.mkdir()
    registry = Registry([PLUGIN])
    small = {"system": "memory", "nodes": 2, "time_limit": 3, "nemesis_interval": 0.3, "seed": 1}
    scenario = resolve({**small, "plugin": [str(PLUGIN)], "op_timeout": 0.5, **table}, registry)
    (run_dir / "scenario.toml").write_text(scenario.to_toml({}))
    parts = prepare(scenario, registry)
    cluster = _honest().HonestCluster(2)
    cluster.provider = "memory"
    return Life(parts, cluster, run_dir, Events(None))


def _honest() -> Any:
    import sys

    return sys.modules["honest_cluster_for_memory"]


def live(run_dir: Path, bend: Bend | None = None, **table: Any) -> tuple[Life, dict[str, Any]]:
    life = make_life(run_dir, **table)
    if bend is not None:
        bend(life)
    verdict = asyncio.run(life.run())
    assert verdict is not None
    assert json.loads((run_dir / "verdict.json").read_text()) == verdict
    return life, verdict


def undisturbed(
    run_dir: Path, bend: Bend | None = None, **table: Any
) -> tuple[Life, dict[str, Any]]:
    """A run that is not unknown because the machine stood still for long, so that too little
    happened in so short a time: that is right, and another matter than is looked at here.
    """
    for _ in range(ATTEMPTS):
        shutil.rmtree(run_dir, ignore_errors=True)
        life, verdict = live(run_dir, bend, **table)
        if verdict["valid"] != "unknown" or not was_held_up(life.facts):
            break
    return life, verdict


def grave(verdict: dict[str, Any]) -> list[str]:
    """The health checks that made the verdict unknown (a busy machine may add warnings)."""
    return [finding["check"] for finding in verdict["health"] if finding["level"] == "unknown"]


def nothing(*args: Any, **keywords: Any) -> None:
    """What a fault does when somebody has cut its wires."""


def test_an_honest_run_with_every_fault_is_valid_and_kept(tmp_path: Path) -> None:
    life, verdict = undisturbed(tmp_path / "run", nemesis="partition,kill,pause")
    assert verdict["valid"] is True, verdict["why"]
    assert _exit_code(life, verdict) == (0, "")
    assert all(c["bit"] and c["bit"] == c["healed"] for c in verdict["faults"].values())
    history = read_history(find_history(tmp_path / "run"))
    assert (history.partial, history.header.claims) == (False, ["linearizable"])
    assert history.header.initial is None


def test_stale_registers_are_invalid(tmp_path: Path) -> None:
    life, verdict = undisturbed(tmp_path / "run", misbehave="stale", time_limit=1)
    assert verdict["valid"] is False
    assert "stale-read" in verdict["checkers"]["linearizable"]["anomaly_types"]
    assert verdict["reproduce"] == life.parts.scenario.command()
    assert _exit_code(life, verdict)[0] == 1


ANOMALY: Any = {"checker": "linearizable", "kind": "stale-read", "time_s": 0.1, "index": 9}


def seeing(anomaly: Any) -> Bend:
    """An onlooker sees it once fifty operations have begun; the limit would be far away."""

    def bend(life: Life) -> None:
        original, begun = life._main_generator, itertools.count()

        def seen(operation: Any) -> Any:
            if next(begun) == 50:
                life.fail_fast(anomaly)
                life.fail_fast({**anomaly, "index": 10})
            return operation

        life._main_generator = lambda: map_(seen, original())  # type: ignore[method-assign]

    return bend


def test_the_first_anomaly_ends_the_operations_and_is_read_after_and_judged(
    tmp_path: Path,
) -> None:
    short = {"nemesis": "partition", "nemesis_interval": 60, "time_limit": 600}
    bend = seeing({**ANOMALY, "message": "1"})
    life, verdict = undisturbed(tmp_path / "run", bend, misbehave="stale", **short)
    assert verdict["valid"] is False
    assert grave(verdict) == ["fail-fast"]
    assert life.facts["stopped_at"] == {**ANOMALY, "message": "1"}
    assert (life.facts["interrupted"], life.facts["partial"]) == (False, False)
    assert life.facts["phases"]["final"][1] > life.facts["phases"]["run"][1]
    assert verdict["faults"]["partition"]["injected"] == 0
    assert verdict["settle"] == []


def test_a_run_that_was_ended_for_an_anomaly_that_is_none_is_unknown(tmp_path: Path) -> None:
    life, verdict = live(tmp_path / "run", seeing({**ANOMALY, "message": "1"}), time_limit=600)
    assert verdict["valid"] == "unknown"
    assert grave(verdict) == ["fail-fast"]
    assert "without --fail-fast" in verdict["settle"][0]["do"]
    assert _exit_code(life, verdict)[0] == 2


def test_a_gauge_that_leaks_at_every_four_hundredth_request_is_seen_by_nothing_else(
    tmp_path: Path,
) -> None:
    _, verdict = undisturbed(tmp_path / "run", misbehave="leak", rate=800, time_limit=2)
    assert verdict["valid"] is False
    assert verdict["checkers"]["linearizable"]["valid"] is True
    assert list(verdict["checkers"]["metrics"]["anomalies"]) == ["gauge-not-returned"]
    assert "pending of n1 did not come back" in verdict["why"]
    again = judge_run(tmp_path / "run", registry=Registry([PLUGIN]))
    assert again["checkers"]["metrics"] == verdict["checkers"]["metrics"]
    (tmp_path / "run" / "evidence" / "metrics.jsonl").unlink()
    assert judge_run(tmp_path / "run")["checkers"]["metrics"]["valid"] == "unknown"


def test_an_inject_replaced_by_nothing_makes_the_run_unknown(tmp_path: Path) -> None:
    def cut_the_wires(life: Life) -> None:
        for fault in life.parts.faults:
            fault.inject = nothing  # type: ignore[method-assign]

    life, verdict = undisturbed(tmp_path / "run", cut_the_wires, nemesis="pause")
    assert verdict["valid"] == "unknown"
    assert "pause" in verdict["why"]
    assert grave(verdict) == ["fault-bit"]
    assert _exit_code(life, verdict)[0] == 2


def test_a_heal_replaced_by_nothing_ends_with_exit_3_and_says_what_is_left(tmp_path: Path) -> None:
    def cut_the_wires(life: Life) -> None:
        life.limits = Limits(heal_s=0.3)
        for fault in life.parts.faults:
            fault.heal = nothing  # type: ignore[method-assign]

    life, verdict = live(tmp_path / "run", cut_the_wires, nemesis="pause")
    exit_code, message = _exit_code(life, verdict)
    assert exit_code == 3
    assert "pause" in message
    assert "fault-heal" in grave(verdict)
    assert verdict["valid"] == "unknown"


def test_a_history_that_cannot_be_written_any_more_ends_with_exit_3_and_is_kept(
    tmp_path: Path,
) -> None:
    def fill_the_disk(life: Life) -> None:
        real = life.parts.faults[0].inject

        def inject(*given: Any, **more: Any) -> Any:
            assert life.journal is not None
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, life.journal._file)
            os.close(full)
            return real(*given, **more)

        life.parts.faults[0].inject = inject  # type: ignore[method-assign]

    life, verdict = live(tmp_path / "run", fill_the_disk, nemesis="pause")
    exit_code, message = _exit_code(life, verdict)
    assert exit_code == 3
    assert "No space left on device" in message
    assert "the history so far is kept" in message
    assert verdict["valid"] == "unknown"
    history = read_history(find_history(tmp_path / "run"))
    assert history.partial
    assert len(history) > 10
    assert unhealed(read_ledger(tmp_path / "run" / "faults.jsonl")) == []


def test_a_system_that_does_not_come_back_is_no_recovery(tmp_path: Path) -> None:
    _, verdict = live(tmp_path / "run", misbehave="no-return", nemesis="kill")
    assert verdict["valid"] is False
    assert verdict["checkers"]["no-recovery"]["anomaly_types"] == ["no-recovery"]


def test_a_defect_in_asking_whether_it_recovered_is_no_fault_of_the_system(tmp_path: Path) -> None:
    _, verdict = live(tmp_path / "run", misbehave="defect", nemesis="kill")
    assert verdict["valid"] == "unknown"
    assert verdict["checkers"]["no-recovery"]["valid"] == "unknown"


def test_a_readiness_that_never_returns_is_a_set_up_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_up, "GRACE_S", 0.1)
    life = make_life(tmp_path / "run", recovery_timeout=0.1)
    never = threading.Event()
    life.parts.system.ready = lambda stage, timeout_s: never.wait()  # type: ignore[assignment]

    async def run_and_release() -> None:
        try:
            await life.run()
        finally:
            never.set()

    with pytest.raises(NotReady, match="did not return"):
        asyncio.run(run_and_release())


def test_a_cluster_that_loses_a_node_proves_nothing_against_the_system(tmp_path: Path) -> None:
    def bend(life: Life) -> None:
        cluster: Any = life.cluster
        cluster.lost = lambda: ["n2: its side-car is gone"]

    life, verdict = live(tmp_path / "run", bend, time_limit=1)
    assert verdict["valid"] == "unknown"
    assert life.facts["lost_nodes"] == ["n2"]
    assert "ended-early" in grave(verdict)


@pytest.mark.parametrize("lost", ["faults.jsonl", "evidence/run.json"])
def test_a_verdict_does_not_get_better_by_losing_evidence(tmp_path: Path, lost: str) -> None:
    undisturbed(tmp_path / "run", nemesis="pause", time_limit=2.5)
    assert judge_run(tmp_path / "run")["valid"] is True
    (tmp_path / "run" / lost).unlink()
    verdict = judge_run(tmp_path / "run")
    assert verdict["valid"] == "unknown"
    assert Path(lost).name in verdict["why"]


def test_a_daemon_that_ends_by_itself_is_a_crash(tmp_path: Path) -> None:
    def end_one(life: Life) -> None:
        ready = life.parts.system.ready

        def then_end(stage: Any, timeout_s: float) -> None:
            """The first time it goes on to end a little later; once it has, it recovers."""
            ready(stage, timeout_s)
            if timers:
                timers[0].join()
                return
            timers.append(threading.Timer(0.3, started[-1].end, [2]))
            timers[0].start()

        started: list[Any] = []
        timers: list[threading.Timer] = []
        start = life.parts.system.start

        def remember(stage: Any, node: Any) -> Any:
            started.extend(daemons := start(stage, node))
            return daemons

        life.parts.system.start = remember  # type: ignore[method-assign]
        life.parts.system.ready = then_end  # type: ignore[method-assign]

    _, verdict = live(tmp_path / "run", end_one, time_limit=1)
    assert verdict["valid"] is False
    assert verdict["checkers"]["crash"]["valid"] is False


def test_a_client_that_hangs_does_not_hang_the_run(tmp_path: Path) -> None:
    small = {"time_limit": 1.5, "op_timeout": 0.2}
    _, verdict = undisturbed(tmp_path / "run", misbehave="hang", **small)
    assert sum(counts["info"] for counts in verdict["operations"].values()) > 0
    assert verdict["valid"] in (True, "unknown")


def test_a_client_that_blocks_the_loop_is_noticed_from_outside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life_module, "stall_limit_s", lambda op_timeout_s: 0.5)
    told: list[str] = []

    def bend(life: Life) -> None:
        def give_up(why: str) -> None:
            told.append(why)
            life.parts.system.unblocked.set()  # type: ignore[attr-defined]

        life.give_up = give_up

    life, verdict = live(tmp_path / "run", bend, misbehave="block", time_limit=1)
    assert told
    assert "blocks the loop" in told[-1]
    assert re.search(r"in MemoryClient\.\w+, in MemoryClient\._serve \(.*:\d+\)", told[-1])
    assert life.facts["ended_early"] == told[-1]
    assert verdict["valid"] == "unknown"
    assert "blocks the loop" in verdict["why"]


def test_a_system_that_never_gets_ready_is_a_set_up_failure(tmp_path: Path) -> None:
    life = make_life(tmp_path / "run", misbehave="never-ready")
    with pytest.raises(SetupError, match="n1 does not answer"):
        asyncio.run(life.run())
    assert not (tmp_path / "run" / "verdict.json").exists()


def test_an_initial_state_that_cannot_be_made_is_a_set_up_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(client: Any) -> None:
        raise OSError("read-only")

    monkeypatch.setattr(life_module, "SETUP_PATIENCE_S", 0.0)
    life = make_life(tmp_path / "run")
    life.parts.workload.setup = refuse  # type: ignore[method-assign]
    with pytest.raises(SetupError, match="read-only"):
        asyncio.run(life.run())


def test_stop_ends_the_run_early_healed_and_judged(tmp_path: Path) -> None:
    def stop_in_the_fault(life: Life) -> None:
        fault = life.parts.faults[0]
        inject = fault.inject

        def inject_and_stop(*args: Any) -> None:
            inject(*args)
            threading.Timer(0.2, life.stop).start()

        fault.inject = inject_and_stop  # type: ignore[method-assign]

    life, verdict = live(tmp_path / "run", stop_in_the_fault, nemesis="pause", time_limit=30)
    assert _exit_code(life, verdict) == (130, "interrupted")
    assert "interrupted" in verdict["why"]
    events = [entry.event for entry in read_ledger(tmp_path / "run" / "faults.jsonl")]
    assert events[-1] == "healed"
    assert life.facts["interrupted"] is True


def test_stop_before_the_first_operation_leaves_no_verdict(tmp_path: Path) -> None:
    life = make_life(tmp_path / "run")
    life.stop()
    assert asyncio.run(life.run()) is None
    assert _exit_code(life, None)[0] == 130


def test_a_generator_that_raises_ends_the_run_early_and_keeps_the_history(tmp_path: Path) -> None:
    def break_generator(life: Life) -> None:
        def broken(context: Any) -> Any:
            if context.time_ns > 5 * 10**8:
                raise ValueError("a defect in a plug-in")
            return None

        workload = life.parts.workload
        good = workload.generator
        workload.generator = lambda: SimpleGenerator(good())  # type: ignore[method-assign]

    class SimpleGenerator:
        def __init__(self, inner: Any, asked: int = 0) -> None:
            self.inner, self.asked = inner, asked

        def op(self, context: Any) -> Any:
            if self.asked > 50:
                raise ValueError("a defect in a plug-in")
            step = self.inner.op(context)
            return (step[0], SimpleGenerator(step[1], self.asked + 1)) if step else step

        def update(self, context: Any, event: Any) -> Any:
            return SimpleGenerator(self.inner.update(context, event), self.asked)

        def bind(self, stream: Any) -> Any:
            return self

    _, verdict = live(tmp_path / "run", break_generator)
    assert verdict["valid"] == "unknown"
    assert "a defect in a plug-in" in verdict["why"]
    assert sum(counts["ok"] for counts in verdict["operations"].values()) > 10


@pytest.mark.parametrize("torn", [None, b"", b'{"polygraph": 1, "ru'])
def test_a_run_killed_before_its_first_operation_is_unknown(
    tmp_path: Path, torn: bytes | None
) -> None:
    make_life(tmp_path / "run")
    if torn is not None:
        (tmp_path / "run" / "history.jsonl").write_bytes(torn)
    verdict = judge_run(tmp_path / "run")
    assert (verdict["valid"], verdict["partial"]) == ("unknown", True)
    assert verdict["operations"] == {}


def test_a_workload_beyond_the_systems_abilities_is_refused_before_anything(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Transactions"):
        make_life(tmp_path / "run", workload="bank")


def test_a_time_limit_without_room_for_each_fault_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--time-limit 22, or --nemesis-interval"):
        make_life(tmp_path / "run", nemesis="kill,pause", nemesis_interval=10, time_limit=15)


def test_every_verdict_has_an_exit_code_of_its_own() -> None:
    fine = SimpleNamespace(unhealed=[], interrupted=False, journal=None)
    codes = [_exit_code(fine, {"valid": valid})[0] for valid in (True, False, "unknown")]
    assert codes == [0, 1, 2]
    assert set(EXITS) == {True, False, "unknown"}

"""What is read after recovery, and what ends a run or keeps it from beginning."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.contract.client import Failed, Indeterminate
from harness.errors import SetupError, UsageError
from harness.history.operation import Operation
from harness.history.reader import read_history
from harness.history.seal import find_history
from harness.run.__main__ import _exit_code
from harness.run.life import Life
from tests.harness.run.test_life import grave, live, make_life, undisturbed

pytestmark = pytest.mark.slow


Misbehave = Callable[[Any], None]
"""Called with each client before each read, when the final phase may have begun."""


def bent_reads(before_read: Callable[[Life, Any], None]) -> Callable[[Life], None]:
    def bend(life: Life) -> None:
        make = life.parts.system.client

        def client(op_timeout_s: float) -> Any:
            made: Any = make(op_timeout_s)
            read, open_ = made.read, made.open

            async def note(address: str) -> None:
                made.address = address
                await open_(address)

            async def bent(key: Any) -> Any:
                before_read(life, made)
                return await read(key)

            made.read, made.open = bent, note
            return made

        life.parts.system.client = client  # type: ignore[method-assign]

    return bend


def final_operations(run_dir: Path, life: Life) -> list[Operation]:
    begun = life.facts["phases"]["final"][0]
    return [o for o in read_history(find_history(run_dir)) if o.is_client and o.time >= begun]


def test_final_reads_are_made_by_new_processes_and_asked_again_until_answered(
    tmp_path: Path,
) -> None:
    refused: list[Any] = []

    def refuse_some(life: Life, client: Any) -> None:
        if "final" in life.facts["phases"] and client.address == "n2" and len(refused) < 4:
            refused.append(client)
            raise (Failed, Indeterminate)[len(refused) % 2]("not yet")

    life, verdict = undisturbed(tmp_path / "run", bent_reads(refuse_some), time_limit=1)
    assert verdict["valid"] is True, verdict["why"]
    assert len({id(client) for client in refused}) == 4, "each by a new client"
    history = read_history(find_history(tmp_path / "run"))
    final = final_operations(tmp_path / "run", life)
    before = {o.process for o in history if o.is_client} - {o.process for o in final}
    assert min(o.process for o in final if isinstance(o.process, int)) >= 4
    assert before
    oks = {(o.process, str(o.value)) for o in final if o.type == "ok"}
    assert len(oks) == len({(o.process % 4, str(o.value)) for o in final if o.type == "ok"})  # type: ignore[operator]
    keys = life.facts["final_keys"]
    assert keys == {
        "open_under_faults": 0,
        "read": 0,
        "used": keys["used"],
        "read_of_all": keys["used"],
    }
    assert keys["used"] > 0


@pytest.mark.parametrize("whom", [("n1", "n2"), ("n2",)])
def test_final_reads_that_are_never_answered_make_the_run_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whom: tuple[str, ...]
) -> None:
    monkeypatch.setattr("harness.run.final_phase.FINAL_PHASE_S", 1.0)

    def refuse(life: Life, client: Any) -> None:
        if "final" in life.facts["phases"] and client.address in whom:
            raise Failed("no")

    _, verdict = live(tmp_path / "run", bent_reads(refuse), time_limit=1)
    assert verdict["valid"] == "unknown"
    assert "final-reads" in grave(verdict)
    told = next(each for each in verdict["health"] if each["check"] == "final-reads")
    assert ("read" if len(whom) == 2 else "n2") in told["message"]


def test_every_key_that_was_open_under_a_fault_is_read_in_the_end(tmp_path: Path) -> None:
    life, verdict = undisturbed(
        tmp_path / "run", nemesis="pause", key_operations=20, rate=300, time_limit=2.5
    )
    assert verdict["valid"] is True, verdict["why"]
    keys = life.facts["final_keys"]
    assert 0 < keys["read"] == keys["open_under_faults"]
    read = {o.value[0] for o in final_operations(tmp_path / "run", life)}
    assert len(read) == keys["read_of_all"] == keys["used"], "and, as there is room, every other"


def test_a_slip_in_a_client_is_told_once_with_its_place_and_ends_the_run(tmp_path: Path) -> None:
    calls: list[int] = []

    def slip(life: Life, client: Any) -> None:
        calls.append(1)
        if len(calls) > 20:
            raise KeyError("shard")

    warnings: list[str] = []

    def bend(life: Life) -> None:
        bent_reads(slip)(life)
        life._warn = warnings.append  # type: ignore[method-assign]

    began = time.monotonic()
    life, verdict = live(tmp_path / "run", bend, time_limit=30)
    assert time.monotonic() - began < 20
    assert verdict["valid"] == "unknown"
    code, message = _exit_code(life, verdict)
    assert code == 3
    for part in ("KeyError", "shard", Path(__file__).name, "in slip"):
        assert part in message
    assert len([each for each in warnings if "KeyError" in each]) == 1
    infos = [o for o in read_history(find_history(tmp_path / "run")) if o.type == "info"]
    assert any("KeyError" in str(o.error) for o in infos)


def test_a_slip_during_set_up_is_told_at_once(tmp_path: Path) -> None:
    async def slip(client: Any) -> None:
        raise AttributeError("no such table")

    life = make_life(tmp_path / "run")
    life.parts.workload.setup = slip  # type: ignore[method-assign]
    began = time.monotonic()
    with pytest.raises(SetupError, match=r"AttributeError: no such table .*reads\.py:\d+"):
        asyncio.run(life.run())
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("when", ["start", "ready"])
def test_a_daemon_that_dies_while_it_starts_ends_the_run_at_once_with_its_last_words(
    tmp_path: Path, when: str
) -> None:
    life = make_life(tmp_path / "run")
    system: Any = life.parts.system
    start = system.start
    life.cluster.node("n2").log_dir = tmp_path  # type: ignore[misc]
    (tmp_path / "database-n2.log").write_text("loading\nFATAL: no such locale\n\n")

    def die(stage: Any, node: Any) -> Any:
        daemons = start(stage, node)
        if node.name == "n2":
            daemons[0].end(3)
        elif when == "start":
            time.sleep(1.0)
        return daemons

    def wait(stage: Any, timeout_s: float) -> None:
        time.sleep(1.0)

    system.start, system.ready = die, wait
    with pytest.raises(SetupError, match="exit status 3") as caught:
        asyncio.run(life.run())
    assert "n2: database-n2 ended while the system was starting" in str(caught.value)
    assert "FATAL: no such locale" in str(caught.value)
    assert caught.value.exit_code == 3
    assert not (tmp_path / "run" / "verdict.json").exists()


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_a_system_without_daemons_refuses_what_hits_processes(tmp_path: Path, fault: str) -> None:
    life = make_life(tmp_path / "run", nemesis=fault)
    life.parts.system.start = lambda stage, node: []  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="starts no processes"):
        asyncio.run(life.run())
    said = make_life(tmp_path / "other", nemesis=fault)
    said.parts.system.without_daemons = lambda: True  # type: ignore[attr-defined]
    said.cluster.up = lambda: pytest.fail("brought up")  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="starts no processes"):
        asyncio.run(said.run())


def test_a_defect_does_not_hide_what_was_proved() -> None:
    life = SimpleNamespace(unhealed=[], interrupted=False, defect="KeyError")
    assert _exit_code(life, {"valid": False})[0] == 1
    assert _exit_code(life, {"valid": "unknown"})[0] == 3

"""Who ended a daemon, and whether the machine slept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace as replaced

from harness.contract.fault import Effects, Ended, Stage
from harness.contract.node import Daemon
from harness.history.ledger import LedgerEntry
from harness.linux.identity import ProcessIdentity
from harness.run.watch import ExitWatch, SleepWatch, killer


@dataclass
class FakeDaemon:
    pid: int
    status: int | None = None
    name: str = "etcd"

    @property
    def identity(self) -> ProcessIdentity:
        return identity(self.pid)

    def exit_status(self) -> int | None:
        return self.status


def identity(pid: int) -> ProcessIdentity:
    return ProcessIdentity(pid=pid, start_ticks=1, boot_id="b", pid_namespace=1)


def ending(pid: int, status: int) -> LedgerEntry:
    """The intention of a fault with a name of its own that ends one process so."""
    effects = Effects(ends=(Ended("n1", identity(pid), (status,)),))
    return LedgerEntry(4, "something", ["n1"], "intend", 1, {"effects": effects.as_json()})


def watch(daemons: dict[str, list[FakeDaemon]], entries: list[LedgerEntry]) -> ExitWatch:
    cluster: Any = SimpleNamespace(nodes=[SimpleNamespace(name=name) for name in daemons])
    stage = Stage(cluster, cast(Any, SimpleNamespace(name="toy")))
    for node, of_node in daemons.items():
        stage.hold(node, "toy", cast(list[Daemon], of_node))
    return ExitWatch(stage, lambda: 7, lambda: entries)


def test_an_exit_is_noted_once_with_the_fault_that_killed_it() -> None:
    daemon = FakeDaemon(10)
    entries = [ending(10, -9)]
    watcher = watch({"n1": [daemon]}, entries)
    watcher.look()
    assert watcher.exits == []
    daemon.status = -9
    watcher.look()
    watcher.look()
    assert [(e["node"], e["status"], e["killed_by"]) for e in watcher.exits] == [("n1", -9, 4)]


def test_an_exit_by_itself_has_no_killer() -> None:
    entries = [LedgerEntry(4, "kill", ["n1"], "intend", 1, {})]
    watcher = watch({"n1": [FakeDaemon(10, status=2)], "n2": [FakeDaemon(11, status=-9)]}, entries)
    watcher.look()
    assert [e["killed_by"] for e in watcher.exits] == [None, None]


def test_a_daemon_that_was_replaced_is_still_watched() -> None:
    old, new = FakeDaemon(10), FakeDaemon(11)
    watcher = watch({"n1": [old]}, [])
    watcher.look()
    watcher.stage.hold("n1", "toy", [cast(Daemon, new)])
    old.status = 1
    watcher.look()
    assert [e["pid"] for e in watcher.exits] == [10]


def test_a_daemon_that_is_replaced_before_the_first_look_is_watched() -> None:
    old, new = FakeDaemon(10), FakeDaemon(11)
    watcher = watch({"n1": [old]}, [])
    watcher.look = lambda: None  # type: ignore[method-assign]
    watcher.start()
    watcher.stage.hold("n1", "toy", [cast(Daemon, new)])
    old.status = 1
    del watcher.look  # type: ignore[method-assign]
    watcher.stop()
    assert [e["pid"] for e in watcher.exits] == [10]


@pytest.mark.parametrize("status", [-9, -15, 0, 3])
def test_an_end_is_a_faults_doing_if_it_ends_that_very_process_in_that_way(status: int) -> None:
    """Whatever the fault is called: a polite restart or a power cut is no crash, nor a kill."""
    entries = [ending(9, status)]
    assert killer(entries, "n1", identity(9), status, 2) == 4
    assert killer(entries, "n1", identity(10), status, 2) is None
    assert killer(entries, "n2", identity(9), status, 2) is None
    assert killer(entries, "n1", identity(9), status - 1, 2) is None
    assert killer(entries, "n1", replace(identity(9), start_ticks=2), status, 2) is None


def test_a_fault_that_was_never_begun_ends_nothing() -> None:
    assert killer([replaced(ending(9, -9), event="failed")], "n1", identity(9), -9, 2) is None


def test_whatever_ends_by_a_fault_that_knows_no_number_is_its_doing_while_it_is_in_force() -> None:
    anybody = {"ends": [{"node": "n1", "process": None, "statuses": [-9]}]}
    entries = [LedgerEntry(4, "loop", ["n1"], "intend", 1, {"effects": anybody})]
    later = 5_000_000_000
    assert killer(entries, "n1", identity(9), -9, later) == 4
    assert killer(entries, "n1", identity(9), 2, later) is None
    entries += [LedgerEntry(4, "loop", ["n1"], "healed", 2, {})]
    assert killer(entries, "n1", identity(9), -9, 3) == 4, "noticed a moment later"
    assert killer(entries, "n1", identity(9), -9, later) is None


def test_what_a_ledger_says_in_other_words_excuses_nothing() -> None:
    for odd in (None, [], {"ends": [{"node": "n1", "process": {"pid": 9}, "statuses": [-9]}]}):
        entries = [LedgerEntry(4, "kill", ["n1"], "injected", 1, {"effects": odd})]
        assert killer(entries, "n1", identity(9), -9, 2) is None


def test_suspension_is_what_boot_time_ran_ahead() -> None:
    boot, monotonic = [5_000_000_000], [1_000_000_000]
    watcher = SleepWatch(boot_ns=lambda: boot[0], monotonic_ns=lambda: monotonic[0])
    watcher.start()
    boot[0] += 3_000_000_000
    monotonic[0] += 1_000_000_000
    assert watcher.suspended_ms() == 2000.0

"""The end of a node on a host, and of a run process: told once it is so, or why it is not."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.bare import BareRun
from harness.cluster.ssh.hosts import Host
from harness.cluster.ssh.link import KeeperLink
from harness.cluster.ssh.node import end_keeper
from harness.errors import HealError

HOST = Host(
    node="n1",
    word="db1",
    address="db1",
    port=22,
    user="root",
    peer=None,
    key_name="db1",
    identity_files=(),
    identities_only=False,
    known_hosts_files=(),
)


class Keeper(KeeperLink):
    """A keeper that says what is left, and closes the connection a moment later."""

    def __init__(self, left: list[str]) -> None:
        super().__init__(HOST, "run-n1")
        self._left = left
        self._channel: Any = object()
        self.was_gone_when_closed: bool | None = None

    def ask(self, op: str, timeout_s: float = 1.0, **request: Any) -> dict[str, Any]:
        if not self._left:
            threading.Timer(0.3, self._drop, [self._channel]).start()
        return {"left": self._left}

    def close(self) -> None:
        self.was_gone_when_closed = not self.is_open()
        super().close()


def test_a_keeper_is_gone_when_it_is_called_so() -> None:
    keeper = Keeper([])
    assert end_keeper(keeper) == []
    assert keeper.was_gone_when_closed


def test_a_keeper_that_stays_for_what_is_left_is_not_waited_for() -> None:
    keeper = Keeper(["its cut is in force"])
    assert end_keeper(keeper) == ["its cut is in force"]
    assert keeper.was_gone_when_closed is False


class Stuck:
    """A process that no signal ends."""

    pid = 7
    stdin = None

    def poll(self) -> None:
        return None

    def kill(self) -> None:
        pass

    def wait(self, timeout: float) -> int:
        raise subprocess.TimeoutExpired("run", timeout)


def test_a_run_process_that_does_not_end_when_killed_is_said_so(tmp_path: Path) -> None:
    stuck: Any = Stuck()
    run = BareRun(stuck, tmp_path, lambda run_dir, registered: [])
    with pytest.raises(HealError, match="the run process 7 does not end, though it was killed"):
        run.kill()

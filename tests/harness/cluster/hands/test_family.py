"""All that is of a daemon, on a host whose keeper is met, and as a side-car sees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from harness.cluster.docker.sidecar import Sidecar
from harness.cluster.hands import family
from tests.harness.cluster.hands.test_keeper import Meet, base, meet, process, wait_until

__all__ = ["base", "meet"]

TOY = """
import os, signal, time

def twice(then):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:
            then()
        os._exit(0)
    os.waitpid(pid, 0)

if os.fork() == 0:
    os.setsid()
    signal.pause()
twice(signal.pause)
print('up', flush=True)
signal.pause()
"""


def test_a_keeper_signals_all_that_is_of_a_daemon(meet: Meet) -> None:
    meeting = meet()
    daemon, other = meeting.start("a", TOY), meeting.start("b", TOY)
    who = [daemon["pid"], daemon["start_ticks"]]
    identity = {
        "pid": daemon["pid"],
        "start_ticks": daemon["start_ticks"],
        "boot_id": meeting.hello["boot_id"],
        "pid_namespace": daemon["pid_namespace"],
    }

    def members(number: int, pid_and_ticks: list[int] = who) -> dict[str, str]:
        found: dict[str, str] = meeting.ask(f"f{number}", "family", process=pid_and_ticks)[
            "members"
        ]
        return found

    numbers = iter(range(1000))
    wait_until(lambda: len(members(next(numbers))) == 3)
    beside = [other["pid"], other["start_ticks"]]
    wait_until(lambda: len(members(next(numbers), beside)) == 3)
    assert not set(members(1000)) & set(members(1001, beside))
    meeting.ask("stop", "signal", identity=identity, number=int(signal.SIGSTOP))
    wait_until(lambda: set(members(next(numbers) + 2000).values()) == {"T"})
    assert meeting.ask("look", "look", processes=[who])["states"] == ["T"]
    assert "T" not in "".join(members(1002, beside).values())
    pids = [int(pid) for pid in members(1003)]
    meeting.ask("kill", "signal", identity=identity, number=int(signal.SIGKILL))
    wait_until(lambda: all((process(pid) or "Z")[0] == "Z" for pid in pids))
    assert members(1004) == {}
    assert len(members(1005, beside)) == 3


@pytest.fixture
def toy() -> Iterator[subprocess.Popen[bytes]]:
    began = subprocess.Popen(
        [sys.executable, "-S", "-c", TOY], stdout=subprocess.PIPE, start_new_session=True
    )
    assert began.stdout is not None
    began.stdout.readline()
    found = family.Family(began.pid, family._table()[began.pid].ticks)
    yield began
    found.send(signal.SIGKILL)
    began.wait()
    began.stdout.close()


def test_a_side_car_signals_the_whole_tree(toy: subprocess.Popen[bytes]) -> None:
    made: Callable[..., Sidecar] = Sidecar
    sidecar = made(None, None, None, 0, family)
    ticks = family._table()[toy.pid].ticks
    assert sidecar.do_signal(toy.pid, ticks, signal.SIGSTOP) == {"signalled": False}
    sidecar._families[toy.pid, ticks] = family.Family(toy.pid, ticks, by_cgroup=True)
    assert len(sidecar.do_family(toy.pid, ticks)["members"]) == 2
    assert sidecar.do_signal(toy.pid, ticks, signal.SIGSTOP) == {"signalled": True}
    deadline = time.monotonic() + 10
    while set(sidecar.do_family(toy.pid, ticks)["members"].values()) != {"T"}:
        assert time.monotonic() < deadline
    assert sidecar.do_state(toy.pid, ticks) == {"state": "T"}
    assert sidecar.do_signal(toy.pid, ticks + 1, signal.SIGKILL) == {"signalled": False}


def test_a_number_that_is_another_process_now_is_not_signalled(
    toy: subprocess.Popen[bytes],
) -> None:
    ticks = family._table()[toy.pid].ticks
    stranger = family.Family(toy.pid, ticks - 1)
    assert stranger.members() == {}
    assert stranger.send(signal.SIGSTOP) == 0
    assert os.getpid() not in family.Family(os.getpid(), 1).members()

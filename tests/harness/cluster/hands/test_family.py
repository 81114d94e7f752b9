"""All that is of a daemon, on a host whose keeper is met, and as a side-car sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.hands import family
from harness.cluster.hands.sidecar import Sidecar
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
    mark = f"POLYGRAPH_TOY={uuid.uuid4()}"
    began = subprocess.Popen(
        [sys.executable, "-S", "-c", TOY],
        stdout=subprocess.PIPE,
        start_new_session=True,
        env=dict([mark.split("=")]),
    )
    assert began.stdout is not None
    began.stdout.readline()
    found = family.Family(began.pid, family._table()[began.pid].ticks)
    yield began
    found.send(signal.SIGKILL)
    began.wait()
    began.stdout.close()
    for pid in marked(mark):  # one of the three is no longer known to be of it
        os.kill(pid, signal.SIGKILL)


def marked(mark: str) -> list[int]:
    """Processes that have ``mark`` in their environment."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (one / "environ").read_bytes():
                found.append(int(one.name))
    return found


def test_a_side_car_signals_the_whole_tree(toy: subprocess.Popen[bytes]) -> None:
    made: Callable[..., Sidecar] = Sidecar
    sidecar = made(None)
    daemons = sidecar.inside.daemons
    ticks = family._table()[toy.pid].ticks

    def ask(op: str, **request: Any) -> dict[str, Any]:
        return sidecar.obey({"id": 1, "op": op, **request})

    def signalled(number: int, **other: int) -> bool:
        identity = {**daemons.identity(toy.pid, ticks), **other}
        return bool(ask("signal", identity=identity, number=number)["signalled"])

    def members() -> dict[int, str]:
        found: dict[int, str] = ask("family", process=[toy.pid, ticks])["members"]
        return found

    assert not signalled(signal.SIGSTOP)
    daemons.add(toy.pid, ticks, family.Family(toy.pid, ticks, by_cgroup=True))
    assert len(members()) == 2
    assert signalled(signal.SIGSTOP)
    deadline = time.monotonic() + 10
    while set(members().values()) != {"T"}:
        assert time.monotonic() < deadline
    assert ask("look", processes=[[toy.pid, ticks]]) == {"states": ["T"]}
    assert not signalled(signal.SIGKILL, start_ticks=ticks + 1)
    assert not signalled(signal.SIGKILL, pid_namespace=daemons.namespace + 1)


def test_a_number_that_is_another_process_now_is_not_signalled(
    toy: subprocess.Popen[bytes],
) -> None:
    ticks = family._table()[toy.pid].ticks
    stranger = family.Family(toy.pid, ticks - 1)
    assert stranger.members() == {}
    assert stranger.send(signal.SIGSTOP) == 0
    assert os.getpid() not in family.Family(os.getpid(), 1).members()


def test_what_a_fork_under_way_brings_after_a_stop_is_stopped_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = family.Seen(["R", "1", "7", "7", *["0"] * 15, "5"])
    looks = iter([{7: seen}, {7: seen}, {7: seen, 8: seen}, {7: seen, 8: seen}])
    letters = {7: ["R"], 8: ["T"]}
    signalled: list[tuple[int, int]] = []

    def look(whole: family.Family) -> dict[int, family.Seen]:
        found = next(looks)
        letters[7] = ["R"] if 8 not in found else ["T"]
        return found

    monkeypatch.setattr(family.Family, "_living", look)
    monkeypatch.setattr(family, "_thread_letters", letters.__getitem__)
    monkeypatch.setattr(family, "_signal", lambda pid, ticks, what: signalled.append((pid, what)))
    assert family.Family(7, 5).send(signal.SIGSTOP) == 2
    assert signalled == [(7, signal.SIGSTOP), (8, signal.SIGSTOP)]

"""Processes that somebody else started: found by how they are known, left as they were."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.hands import found
from harness.cluster.hands.attached import Attached
from harness.cluster.hands.daemons import Daemons
from harness.cluster.hands.inside import Inside, obey
from harness.cluster.hands.looking import NEEDED, load
from harness.cluster.hands.refused import Refused
from harness.cluster.hands.tracer import letter

FORKS = """
import os, signal, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
if os.fork():
    print(listener.getsockname()[1], flush=True)
signal.pause()
"""


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server with a child that holds its socket, too; and its port."""
    argv = [sys.executable, "-S", "-c", FORKS]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as one:
        assert one.stdout is not None
        yield one, int(one.stdout.readline())
        os.killpg(one.pid, signal.SIGKILL)


def test_a_server_that_forks_is_its_first_process(
    server: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    process, port = server
    (tmp_path / "pid").write_text(f"{process.pid}\n")
    assert found.leader("port", str(port)) == process.pid
    assert found.leader("pidfile", str(tmp_path / "pid")) == process.pid
    loaded = load(
        {f"{n}.py": Path(found.__file__).with_name(f"{n}.py").read_text() for n in NEEDED}
    )
    assert loaded["found"].described(process.pid)["pid"] == process.pid


def await_words_of(pid: int) -> None:
    """Until it shows the words it was called with: a moment after ``Popen`` has returned."""
    deadline = time.monotonic() + 10
    while b"a-program-of-this-test" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "it never showed them"
        time.sleep(0.005)


def test_what_is_not_there_or_not_one_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with pytest.raises(Refused, match=f"nothing runs here that listens at port {port}"):
        found.leader("port", port)
    (tmp_path / "none").write_text("none")
    with pytest.raises(Refused, match="holds no number"):
        found.leader("pidfile", str(tmp_path / "none"))
    with pytest.raises(Refused, match="No such file"):
        found.leader("pidfile", str(tmp_path / "missing"))
    sleep = tmp_path / "a-program-of-this-test"
    sleep.symlink_to("/bin/sleep")
    two = [subprocess.Popen([str(sleep), "60"]) for _ in range(2)]
    try:
        for each in two:
            await_words_of(each.pid)
        with pytest.raises(Refused, match="2 processes are of the program a-program"):
            found.leader("program", sleep.name)
    finally:
        for each in two:
            each.kill()
            each.wait()


def inside(folder: Path) -> Inside:
    """Whoever sits in the node next."""

    def none() -> Any:
        raise Refused("no clock here")

    return Inside(Daemons(), clock=none, watch=none, folder=str(folder))


def test_what_was_stopped_goes_on_also_by_who_comes_after_us(
    server: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    process, _ = server
    first = inside(tmp_path)
    known = obey(first, {"op": "adopt", "pid": process.pid})
    stop = {"op": "signal", "identity": known, "number": signal.SIGSTOP}
    assert obey(first, stop) == {"signalled": True}
    assert letter(process.pid) == "T"
    after = inside(tmp_path)
    assert obey(after, {"op": "adopt", "pid": process.pid})["refused"].startswith(f"{process.pid} ")
    after.part(Attached).end()
    assert letter(process.pid) != "T"
    os.kill(process.pid, signal.SIGSTOP)
    inside(tmp_path).part(Attached).end()
    assert letter(process.pid) == "T", "what somebody else has stopped is his to let go on"


def test_a_number_that_is_another_process_by_now_is_not_taken(
    server: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    refused = obey(inside(tmp_path), {"op": "adopt", "pid": server[0].pid, "ticks": 1})
    assert refused == {"refused": f"the process {server[0].pid} ended while it was looked at"}

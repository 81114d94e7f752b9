"""The keeper of an ssh host, met over a pipe as it is over ssh: what it starts, tells and ends."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.hands.keeper import Client
from harness.cluster.ssh.connection import _BOOT, _HANDS
from harness.linux import identity

pytestmark = pytest.mark.slow


WAIT_S = 30.0


class Meeting:
    """One arrival at a keeper. ``said`` is the arrival's own word."""

    def __init__(self, base: Path, **settings: Any) -> None:
        asked: dict[str, Any] = {"base": str(base), "name": "run-n1", "boot_id": ""}
        asked |= {"run": "here:/store/run", "must_exist": False}
        files = {path.name: path.read_text("utf-8") for path in _HANDS.glob("*.py")}
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BOOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        source = (_HANDS / "arrival.py").read_bytes()
        self._write(str(len(source)).encode() + b"\n" + source)
        self._write(json.dumps({**asked, "files": files, **settings}).encode() + b"\n")
        self.said = self.next()
        self.hello = self.next() if "met" in self.said else {}

    def next(self) -> dict[str, Any]:
        """The next line."""
        assert self.process.stdout is not None
        line: dict[str, Any] = json.loads(self.process.stdout.readline())
        return line

    def send(self, id: str, op: str, **request: Any) -> None:
        """Ask for something."""
        self._write(json.dumps({"id": id, "op": op, **request}).encode() + b"\n")

    def ask(self, id: str, op: str, **request: Any) -> dict[str, Any]:
        """Ask, and wait for the answer; exits told meanwhile are passed over."""
        self.send(id, op, **request)
        while (answer := self.next()).get("id") != id:
            pass
        return answer

    def start(self, id: str, program: str) -> dict[str, Any]:
        """Start a daemon that runs a Python program."""
        root = self.said["met"]
        argv = [sys.executable, "-S", "-c", program]
        log = f"{root}/logs/db.log"
        return self.ask(id, "start", argv=argv, env={"WORD": "given"}, cwd=f"{root}/data", log=log)

    def close(self) -> None:
        """End the connection, and nothing else."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(WAIT_S)

    def _write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()


Meet = Callable[..., Meeting]


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder with a short name: that of a socket must not be long."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def meet(base: Path) -> Iterator[Meet]:
    """Arrives at the keeper of one node; at the end all of it is ended."""
    meetings: list[Meeting] = []

    def arrive(**settings: Any) -> Meeting:
        meetings.append(Meeting(base, **settings))
        return meetings[-1]

    yield arrive
    last = Meeting(base, must_exist=True)
    if "met" in last.said:
        assert last.ask("last", "end")["left"] == []
    for meeting in [*meetings, last]:
        meeting.close()


PAUSE = "import signal; print('up', flush=True); signal.pause()"


def process(pid: int) -> list[str]:
    """Fields of a process's ``stat`` from its state on; none if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def wait_until(holds: Callable[[], bool]) -> None:
    """Return once it is true."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_daemon_outlives_the_connection_and_its_end_is_told_to_who_comes_next(meet: Meet) -> None:
    first = meet()
    daemon = first.start("a", PAUSE)
    first.close()
    os.kill(daemon["pid"], signal.SIGKILL)
    second = meet()
    assert second.hello["keeper"] == first.hello["keeper"]
    told = second.hello["exits"] or [second.next()]
    assert told == [{"exited": daemon["pid"], "status": -signal.SIGKILL}]


def test_output_goes_to_the_log_and_the_environment_comes_along(meet: Meet) -> None:
    meeting = meet()
    meeting.start("a", "import os; print(os.environ['WORD'], flush=True)")
    assert meeting.next()["status"] == 0
    assert Path(meeting.said["met"], "logs", "db.log").read_text() == "given\n"


def test_a_request_that_comes_twice_is_carried_out_once(meet: Meet) -> None:
    first = meet()
    daemon = first.start("same", PAUSE)
    first.close()
    assert meet().start("same", PAUSE)["pid"] == daemon["pid"]


def test_the_answer_to_a_command_goes_to_who_asked_last(meet: Meet) -> None:
    first = meet()
    root = first.said["met"]
    fifo = f"{root}/data/fifo"
    os.mkfifo(fifo)
    request = {"argv": ["cat", fifo], "cwd": root, "limit_s": WAIT_S}
    first.send("same", "run", **request)
    first.close()
    second = meet()
    second.send("same", "run", **request)
    # Known to have been taken: requests are obeyed in order.
    second.ask("other", "look", processes=[])
    Path(fifo).write_text("said")
    assert base64.b64decode(second.next()["stdout"]) == b"said"


@pytest.mark.parametrize("part", ["start_ticks", "boot_id", "pid_namespace"])
def test_a_signal_needs_the_whole_identity(meet: Meet, part: str) -> None:
    meeting = meet()
    daemon = meeting.start("a", PAUSE)
    true = {**daemon, "boot_id": meeting.hello["boot_id"]}
    wrong = {**true, part: "another" if part == "boot_id" else true[part] + 1}
    assert meeting.ask("b", "signal", identity=wrong, number=9)["signalled"] is False
    assert meeting.ask("c", "signal", identity=true, number=9)["signalled"] is True
    assert meeting.next() == {"exited": daemon["pid"], "status": -9}
    assert meeting.ask("d", "signal", identity=true, number=9)["signalled"] is False


def test_stopped_is_only_what_is_stopped_as_a_whole(meet: Meet) -> None:
    meeting = meet()
    # In one piece, as two write: print may take several steps.
    fork = "import os, signal\nchild = os.fork()\nos.write(1, b'%d\\n' % child)\nsignal.pause()"
    daemon = meeting.start("a", fork)
    log = Path(meeting.said["met"], "logs", "db.log")
    wait_until(lambda: log.exists() and log.read_text().count("\n") == 2)
    child = max(int(line) for line in log.read_text().split())
    wait_until(lambda: process(child)[0] == "S")
    look = [[daemon["pid"], daemon["start_ticks"]]]
    os.kill(daemon["pid"], signal.SIGSTOP)
    wait_until(lambda: process(daemon["pid"])[0] == "T")
    assert meeting.ask("b", "look", processes=look)["states"] == ["S"]
    os.kill(child, signal.SIGSTOP)
    wait_until(lambda: process(child)[0] == "T")
    assert meeting.ask("c", "look", processes=look)["states"] == ["T"]
    assert meeting.ask("d", "look", processes=[[daemon["pid"], 1]])["states"] == ["gone"]


def test_who_is_too_slow_to_read_is_let_go_and_reads_no_half_line_before_another() -> None:
    near, far = socket.socketpair()
    client = Client(near)
    near.settimeout(0.2)
    client.tell({"id": "a", "stdout": "x" * (8 << 20)})
    client.tell({"id": "b"})
    far.settimeout(WAIT_S)
    received = b""
    while data := far.recv(1 << 16):
        received += data
    assert received
    assert b"\n" not in received
    assert client.requests() is None
    near.close()
    far.close()


def test_a_late_command_is_killed_and_said_to_be_late(meet: Meet) -> None:
    meeting = meet()
    answer = meeting.ask("a", "run", argv=["sleep", "1000"], cwd="/", limit_s=0.1)
    assert (answer["late"], answer["exit_code"]) == (True, -signal.SIGKILL)


@pytest.mark.parametrize(
    ("argv", "cwd", "said"),
    [
        (["/no/such/program"], "/", "No such file or directory: /no/such/program"),
        (["true"], "/no/such/folder", "No such file or directory: /no/such/folder"),
        (["/etc/passwd"], "/", "Permission denied: /etc/passwd"),
    ],
)
def test_what_cannot_be_executed_is_refused(
    meet: Meet, argv: list[str], cwd: str, said: str
) -> None:
    assert meet().ask("a", "run", argv=argv, cwd=cwd, limit_s=1.0)["refused"] == said


def test_a_keeper_that_died_is_replaced_and_its_daemons_are_still_known(meet: Meet) -> None:
    first = meet()
    daemon = first.start("a", PAUSE)
    os.kill(first.hello["keeper"][0], signal.SIGKILL)
    first.process.wait(WAIT_S)
    second = meet()
    assert second.hello["keeper"] != first.hello["keeper"]
    identity = {**daemon, "boot_id": second.hello["boot_id"]}
    look = [[daemon["pid"], daemon["start_ticks"]]]
    ids = map(str, itertools.count())
    wait_until(lambda: second.ask(next(ids), "look", processes=look)["states"] == ["S"])
    assert second.ask("c", "signal", identity=identity, number=9)["signalled"] is True
    wait_until(lambda: second.ask(next(ids), "look", processes=look)["states"] == ["gone"])


def test_a_keeper_that_holds_the_lock_and_does_not_listen_yet_is_waited_for(
    meet: Meet, base: Path
) -> None:
    (base / "run-n1").mkdir(mode=0o700)
    lock = os.open(base / "run-n1" / "keeper.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    ends = threading.Timer(1.0, os.close, [lock])
    ends.start()
    assert meet().hello["exits"] == []
    ends.join()


def test_the_end_takes_daemons_what_daemonized_and_the_folder(meet: Meet, base: Path) -> None:
    meeting = meet()
    hide = "import os, signal\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
    hide += "        print(os.getpid(), flush=True)\n        signal.pause()\n"
    meeting.start("a", hide)
    log = Path(meeting.said["met"], "logs", "db.log")
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
    pids = [int(log.read_text()), meeting.start("b", PAUSE)["pid"]]
    assert meeting.ask("c", "end")["left"] == []
    # Whose parent ended with it may wait for the machine's init.
    assert all(process(pid)[:1] in ([], ["Z"], ["X"]) for pid in pids)
    wait_until(lambda: process(meeting.hello["keeper"][0])[:1] in ([], ["Z"]))
    assert not base.exists()


def test_a_folder_that_cannot_be_removed_is_left_and_removed_by_a_later_end(
    meet: Meet, base: Path
) -> None:
    files = {path.name: path.read_text("utf-8") for path in _HANDS.glob("*.py")}
    keeper = files["keeper.py"].replace("shutil.rmtree(", "(lambda *it, **how: None)(")
    meeting = meet(files={**files, "keeper.py": keeper})
    root = meeting.said["met"]
    assert meeting.ask("a", "end")["left"] == [f"its folder {root} cannot be removed"]
    meeting.process.wait(WAIT_S)
    assert meet(must_exist=True).ask("b", "end")["left"] == []
    assert not base.exists()


def test_another_boot_is_told_and_nothing_is_made(meet: Meet, base: Path) -> None:
    assert meet(boot_id="of yesterday").said == {"rebooted": identity.boot_id()}
    assert list(base.iterdir()) == []


def test_where_there_is_nothing_nothing_is_made_if_it_must_exist(meet: Meet, base: Path) -> None:
    assert meet(must_exist=True).said == {"nothing": True}
    assert list(base.iterdir()) == []


@pytest.mark.parametrize("must_exist", [True, False])
def test_the_folder_of_another_run_is_refused_whatever_its_name(
    meet: Meet, base: Path, must_exist: bool
) -> None:
    root = meet().said["met"]
    said = meet(run="here:/other/run", must_exist=must_exist).said
    assert said == {"refused": f"{root} is of the run here:/store/run"}
    assert meet(must_exist=True).said["met"] == root


def test_a_link_in_place_of_the_folder_is_refused(meet: Meet, base: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (base / "run-n1").symlink_to(tmp_path / "elsewhere")
    assert "is not a folder of this user's" in meet(must_exist=True).said["refused"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_others_can_write_is_refused(meet: Meet, base: Path) -> None:
    base.chmod(0o777)
    said = meet().said["refused"]
    assert said == f"{base} is not a folder that only this user can write"
    assert list(base.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(meet: Meet, base: Path) -> None:
    (base / "run-n1").write_text("a file is in the way")
    assert "refused" in meet().said
    assert [path.name for path in base.iterdir()] == ["run-n1"]

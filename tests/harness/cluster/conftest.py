"""What the cluster tests share: both modes, a run process to work in, and a look at the machine.

A cluster exists only inside a run's namespaces, so a test starts ``inside.py`` there, names one
of its cases and judges the JSON that comes back. Processes of a test carry a token in their
environment; by it they, and the namespaces they hold, are found from outside.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.namespaces import enter
from harness.cluster.namespaces.netlink import DUMP, NETFILTER, Netlink, Request
from harness.linux import kernel

ROOT = Path(__file__).parents[3]
INSIDE = Path(__file__).with_name("inside.py")
END_TIMEOUT_S = 150.0
TOKEN_VARIABLE = "POLYGRAPH_TEST_TOKEN"


@dataclass(frozen=True)
class Snapshot:
    """What of this machine a run could leave changed."""

    processes: frozenset[int]
    namespaces: frozenset[str]
    mounts: str
    links: tuple[str, ...]
    tables: int | None


class Machine:
    """Sees one test's processes and namespaces from outside."""

    def __init__(self) -> None:
        self.token = uuid.uuid4().hex
        self._own = frozenset(_namespaces_of(os.getpid()))
        self._seen: set[str] = set()
        self._seen_at_ticks = 0

    def environment(self) -> dict[str, str]:
        """For a run process, so that it and all that it starts can be found."""
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        return {**os.environ, TOKEN_VARIABLE: self.token, "PYTHONPATH": path}

    def processes(self) -> frozenset[int]:
        """Every process that carries the token."""
        mark = f"{TOKEN_VARIABLE}={self.token}".encode()
        return frozenset(pid for pid in _pids() if mark in _read(f"/proc/{pid}/environ"))

    def count_once_it_is(self, count: int) -> int:
        """How many there are, once they are that many: who just began shows no environment yet."""
        deadline = time.monotonic() + END_TIMEOUT_S
        while len(self.processes()) != count and time.monotonic() < deadline:
            time.sleep(0.01)
        return len(self.processes())

    def remember_namespaces(self) -> frozenset[str]:
        """The namespaces that the test's processes hold now; watched by later snapshots."""
        held = {name for pid in self.processes() for name in _namespaces_of(pid)}
        self._seen |= held - self._own
        self._seen_at_ticks = max(_start_ticks(pid) for pid in self.processes())
        return frozenset(self._seen)

    def snapshot(self) -> Snapshot:
        """Taken before and after a run, the two must be equal."""
        # A freed namespace's number is soon another's: only who was there then can hold ours.
        old = [pid for pid in _pids() if 0 < _start_ticks(pid) <= self._seen_at_ticks]
        everywhere = {name for pid in old for name in _namespaces_of(pid)}
        mounts = Path("/proc/self/mountinfo").read_text()
        # What other programs mount and unmount meanwhile is not ours: nsfs and tmpfs would be.
        ours = [line for line in mounts.splitlines() if re.search(r" - (nsfs|tmpfs|proc) ", line)]
        ours = [line for line in ours if "/docker/" not in line]
        return Snapshot(
            processes=self.processes(),
            namespaces=frozenset(everywhere & self._seen),
            mounts="\n".join(ours),
            links=tuple(sorted(filter(_is_no_container_link, os.listdir("/sys/class/net")))),
            tables=_count_firewall_tables(),
        )

    @contextlib.contextmanager
    def ends_after(self) -> Iterator[None]:
        """Within, the test ends its run; on leaving, every process of it has ended."""
        pidfds = []
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                pidfds.append(os.pidfd_open(pid))
        yield
        deadline = time.monotonic() + END_TIMEOUT_S
        for pidfd in pidfds:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            ended = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            os.close(pidfd)
            assert ended, "a process of the run did not end"


@dataclass
class Run:
    """One run process in which a case of ``inside.py`` works."""

    entered: enter.Entered
    run_dir: Path
    said_fd: int

    def word(self) -> str:
        """The next line that the case said; empty once it has ended."""
        line = b""
        while not line.endswith(b"\n"):
            poll = select.poll()
            poll.register(self.said_fd, select.POLLIN)
            assert poll.poll(END_TIMEOUT_S * 1000), "the case says nothing"
            byte = os.read(self.said_fd, 1)
            if not byte:
                break
            line += byte
        return line.decode().strip()

    def result(self) -> Any:
        """What the case wrote, once it has ended well."""
        assert self.entered.wait(END_TIMEOUT_S) == 0
        return json.loads((self.run_dir / "result.json").read_text())


Start = Callable[..., Run]


@pytest.fixture(
    params=[
        pytest.param("root", marks=pytest.mark.root),
        pytest.param("userns", marks=pytest.mark.userns),
    ]
)
def mode(request: pytest.FixtureRequest) -> str:
    """Each way to get namespaces."""
    return str(request.param)


@pytest.fixture
def machine() -> Machine:
    """The machine as this test's run may change it."""
    return Machine()


@pytest.fixture
def start(mode: str, machine: Machine, tmp_path: Path) -> Iterator[Start]:
    """Starts cases of ``inside.py`` as run processes; what still runs at the end is killed."""
    runs: list[Run] = []

    def begin(
        case: str,
        *,
        env: Mapping[str, str] | None = None,
        script: Path = INSIDE,
        **options: Any,
    ) -> Run:
        run_dir = tmp_path / f"run{len(runs)}"
        run_dir.mkdir()
        said, say = os.pipe()
        argv = [sys.executable, str(script), *case_argv(case, run_dir, mode, say, options)[2:]]
        try:
            entered = enter.spawn(
                argv,
                mode=mode,  # type: ignore[arg-type]
                run_dir=run_dir,
                pass_fds=[say],
                env={**machine.environment(), **(env or {})},
            )
        finally:
            os.close(say)
        runs.append(Run(entered, run_dir, said))
        return runs[-1]

    yield begin
    for run in runs:
        run.entered.kill()
        os.close(run.said_fd)


def case_argv(
    case: str, run_dir: Path, mode: str, say: int, options: Mapping[str, Any]
) -> Sequence[str]:
    """How to run a case."""
    settings = json.dumps({"mode": mode, "say": say, "options": options})
    return [sys.executable, str(INSIDE), case, str(run_dir), settings]


def _is_no_container_link(name: str) -> bool:
    """Docker's come and go by themselves; ours would be named otherwise."""
    return re.fullmatch(r"(br-|veth)[0-9a-f]+", name) is None


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _start_ticks(pid: int) -> int:
    """When a process began, 0 if it is gone or about to be reaped."""
    if b") Z " in _read(f"/proc/{pid}/stat"):
        return 0
    try:
        return kernel.start_ticks(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _namespaces_of(pid: int) -> set[str]:
    found = set()
    for kind in ("net", "mnt", "uts", "ipc", "pid", "user"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
    return found


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _count_firewall_tables() -> int | None:
    """Tables of nftables in this network namespace; ``None`` where one may not ask."""
    from pyroute2.netlink.nfnetlink.nftsocket import nft_table_msg

    netlink = Netlink(NETFILTER)
    try:
        return len(netlink.dump(Request(nft_table_msg(), (10 << 8) | 1, DUMP)))
    except PermissionError:
        return None
    finally:
        netlink.close()

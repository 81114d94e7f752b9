"""Finds what a run has left on this machine, on a Docker engine or on hosts, for kill_runs.py.

Every process of a run carries a token in its environment, or the name of the run's folder in its
words or environment (what was started on a host by ssh, or lives in a container). By them, and by
the namespaces that they were seen to hold, all is found that the run may leave. Zombies hold
nothing and do not count: their parent may be slow.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import PolygraphError
from harness.history.faults import unhealed
from harness.history.ledger import read_ledger
from harness.store import registration

TOKEN_VARIABLE = "POLYGRAPH_KILL_TOKEN"
KINDS = ("net", "mnt", "uts", "ipc", "pid", "user")
PATIENCE_S = 5.0
"""What waits for another that has ended may end behind it."""


@dataclass(frozen=True)
class Process:
    """One process of a run, and what it is to it."""

    pid: int
    parent: int
    words: str
    role: str


@dataclass
class Traces:
    """What tells that something is of one run: its token, its folder, what it was seen to hold."""

    token: str
    store: Path
    run_dir: Path | None = None
    namespaces: set[str] = field(default_factory=set)
    before: frozenset[str] = field(default_factory=lambda: all_namespaces())
    seen_at_ticks: int = 0
    links: frozenset[str] = field(default_factory=lambda: network_links())
    nsfs: frozenset[str] = field(default_factory=lambda: mounted())

    def processes(self) -> list[Process]:
        """Every process of the run that is no zombie."""
        containers = containers_of(self.run_dir)
        found: dict[int, Process] = {}
        marks = [f"{TOKEN_VARIABLE}={self.token}".encode()]
        if self.run_dir is not None:
            marks.append(self.run_dir.name.encode())
        for pid in pids():
            words = content(pid, "cmdline")
            text = words + b"\0" + content(pid, "environ")
            inside = bool(containers) and any(
                each.encode() in content(pid, "cgroup") for each in containers
            )
            if pid != os.getpid() and (inside or any(mark in text for mark in marks)):
                parent = parent_of(pid)
                if parent:
                    said = words.replace(b"\0", b" ").decode(errors="replace")
                    found[pid] = Process(pid, parent, said, "")
        return [with_role(each, found) for each in found.values()]

    def remember(self, processes: list[Process]) -> None:
        """Take note of the namespaces that these hold now, and that are not those of before."""
        for each in processes:
            self.namespaces |= set(namespaces_of(each.pid)) - self.before
            self.seen_at_ticks = max(self.seen_at_ticks, start_ticks(each.pid))

    def left(self) -> list[str]:
        """A sentence for each thing that is still there, once it had time to go."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = [*self._processes_left(), *self._kernel_left(), *engine_left(self.run_dir)]
            if not found or time.monotonic() > deadline:
                return [*found, *folder_left(self.run_dir)]
            time.sleep(0.1)

    def _processes_left(self) -> Iterator[str]:
        for each in self.processes():
            yield f"process {each.pid} ({each.role}): {each.words[:120]}"

    def _kernel_left(self) -> Iterator[str]:
        # A freed namespace's number is soon another's: only who was there then can hold ours.
        for pid in pids():
            if 0 < start_ticks(pid) <= self.seen_at_ticks:
                for name in self.namespaces & set(namespaces_of(pid)):
                    yield f"namespace {name}, held by process {pid}"
        for name in sorted(network_links() - self.links):
            yield f"network link {name}"
        for line in sorted(mounted() - self.nsfs):
            yield f"mount {line}"
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            if str(self.store) in line:
                yield f"mount {line}"


def folder_left(run_dir: Path | None) -> Iterator[str]:
    """What of the run's folder should have been removed or written."""
    if run_dir is None:
        return
    for path in sorted(run_dir.glob("nodes/*/data")):
        yield f"data folder {path}"
    if registration.path(run_dir).exists():
        yield f"registration {registration.path(run_dir)}"
    try:
        open_faults = unhealed(read_ledger(run_dir / "faults.jsonl"))
    except PolygraphError as error:
        yield f"ledger: {error}"
        return
    for entry in open_faults:
        yield f"fault not healed in the ledger: {entry.fault} on {' '.join(entry.targets)}"


def litter(run_dir: Path | None) -> list[str]:
    """Files that were to become others when all of them was written."""
    if run_dir is None:
        return []
    names = [path.name for path in run_dir.rglob(".*") if not path.is_dir()]
    return sorted([*names, *(path.name for path in run_dir.glob("cluster.json.*"))])


def with_role(one: Process, all: Mapping[int, Process]) -> Process:
    """The process with what it is to its run."""
    return Process(one.pid, one.parent, one.words, role(one, all))


def role(one: Process, all: Mapping[int, Process]) -> str:
    """What a process is, known by its words and its parents; ``database`` is not ours."""
    above = all.get(one.parent)
    parent = role(above, all) if above is not None else ""
    if "-m harness.judge " in one.words:
        return "checker" if parent in ("judge", "checker") else "judge"
    if "-m harness.run " in one.words:
        return "fork" if parent in ("run process", "fork") else "run process"
    if "harness.cluster.namespaces.reaper" in one.words:
        return {"launcher": "reaper", "reaper": "agent", "agent": "agent"}.get(parent, "launcher")
    return next((name for mark, name in MARKS.items() if mark in one.words), "database")


MARKS = {
    "sidecar.main": "side-car program",
    "harness.cluster.plain.links": "links",
    "clock_probe": "clock probe",
    "clock_server": "clock tracer",
    "machine_service": "clock service",
    "keeper.main": "keeper",
    "arrival": "relay",
    "sys.stdin.buffer": "relay",
    "polygraph test": "front",
    "harness.cli.main": "front",
}


def pids() -> list[int]:
    """The numbers of all processes."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def content(pid: int, name: str) -> bytes:
    """A file of the process; nothing if that is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def stat_fields(pid: int) -> list[str]:
    """Fields of ``stat`` from the state on; none of a zombie."""
    fields = content(pid, "stat").rpartition(b")")[2].decode().split()
    return fields if fields and fields[0] not in "ZX" else []


def parent_of(pid: int) -> int:
    """Its parent; 0 if it is gone or a zombie."""
    fields = stat_fields(pid)
    return int(fields[1]) if fields else 0


def start_ticks(pid: int) -> int:
    """When it began; 0 if it is gone or a zombie."""
    fields = stat_fields(pid)
    return int(fields[19]) if fields else 0


def namespaces_of(pid: int) -> list[str]:
    """The namespaces that it is in."""
    found = []
    for kind in KINDS:
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/{pid}/ns/{kind}"))
    return found


def all_namespaces() -> frozenset[str]:
    """Those that any process is in."""
    return frozenset(name for pid in pids() for name in namespaces_of(pid))


def network_links() -> frozenset[str]:
    """Of the machine, but docker's own, which come and go with other containers."""
    of_docker = ("br-", "veth", "docker")
    return frozenset(n for n in os.listdir("/sys/class/net") if not n.startswith(of_docker))


def mounted() -> frozenset[str]:
    """Mounts of namespaces, but docker's."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return frozenset(line for line in lines if " - nsfs " in line and "docker" not in line)


def engine_of(run_dir: Path | None) -> Any:
    """The engine that has this run, or ``None``: only a docker run has a project there."""
    if run_dir is None or not (run_dir / "scenario.toml").exists():
        return None
    if 'provider = "docker"' not in (run_dir / "scenario.toml").read_text("utf-8"):
        return None
    from harness.cluster.docker import engine

    try:
        return engine.connect()
    except PolygraphError:
        return None


def containers_of(run_dir: Path | None) -> list[str]:
    """The ids of the run's containers."""
    client = engine_of(run_dir)
    if client is None:
        return []
    from harness.cluster.docker import engine

    with contextlib.closing(client):
        return engine.everything(client, f"{engine.RUN_LABEL}={run_dir}")[0]


def engine_left(run_dir: Path | None) -> list[str]:
    """What of the run's is still in the engine."""
    client = engine_of(run_dir)
    if client is None:
        return []
    from harness.cluster.docker import engine

    with contextlib.closing(client):
        left = engine.everything(client, f"{engine.RUN_LABEL}={run_dir}")
    kinds = ("container", "volume", "network")
    return [f"{kind} {name}" for kind, of in zip(kinds, left, strict=True) for name in of]


def hosts_left(lab: Path) -> list[str]:
    """What is on hosts that :mod:`tests.harness.cluster.ssh.lab` made in the folder ``lab``."""
    found = [f"folder {path} on a host" for path in (lab / "var-tmp").glob("polygraph-*/*")]
    networks: dict[str, int] = {}
    for pid in pids():
        if str(lab / "ssh").encode() in content(pid, "cmdline"):
            with contextlib.suppress(OSError):
                networks[os.readlink(f"/proc/{pid}/ns/net")] = pid
    if not networks:
        found.append(f"no sshd runs for the hosts in {lab}: nobody looked for firewall rules")
    for pid in networks.values():
        argv = ["nsenter", f"--net=/proc/{pid}/ns/net", "nft", "-j", "list", "tables"]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout
        tables = [each["table"]["name"] for each in json.loads(said)["nftables"] if "table" in each]
        found += [f"firewall table {name} on a host" for name in tables if "polygraph" in name]
    return found

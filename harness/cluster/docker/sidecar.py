"""The program in a node's side-car that does what must be done inside the node.

It runs in the node's network and process namespaces, beside the database and not of it: it cuts
links, counts what was dropped, probes links, signals processes, runs short commands and passes
on the logs. The controller starts it by ``docker exec`` and speaks to it over its standard input
and output, a JSON object a line; each answer carries its request's ``id``. What the logs gained
comes unasked. The end of the input ends it; cuts stay as they are.

Sent as text and run by the side-car's own python3, so it stands alone: the standard library, and
the text of :mod:`harness.cluster.hands.family` as its last argument.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import types
from pathlib import Path
from typing import Any

TABLE = "polygraph"
LOG_INTERVAL_S = 0.1
MOST_LOG_BYTES = 1 << 18
PID_WAIT_S = 20.0
MOST_PROBES = 1000
PROBE = struct.Struct(">Q")
STOPPED = {"T", "t"}
"""The second is how a stopped process looks while it is traced, for its clock."""


def main() -> None:
    """Serve until the controller goes.

    ``argv``: own address, probe port, logs, clock program, text of the module ``family``.
    """
    address, port, logs, clock, family = sys.argv[1:]
    module = types.ModuleType("family")
    exec(family, module.__dict__)
    say = Voice()
    probes = Probes(address, int(port))
    sidecar = Sidecar(probes, Logs(Path(logs), say), Clock(clock), int(port), module)
    for line in sys.stdin:
        threading.Thread(target=serve, args=(sidecar, say, json.loads(line)), daemon=True).start()
    os._exit(0)


class Voice:
    """Standard output, a whole line at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> None:
        with self._lock:
            sys.stdout.write(json.dumps(body) + "\n")
            sys.stdout.flush()


def serve(sidecar: Sidecar, say: Voice, request: dict[str, Any]) -> None:
    """Obey one request and answer it."""
    arguments = {name: value for name, value in request.items() if name not in ("op", "id")}
    try:
        answer = getattr(sidecar, f"do_{request['op']}")(**arguments)
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    say({"id": request["id"], **(answer or {})})


class Sidecar:
    """What can be asked for: each ``do_NAME`` is the operation NAME."""

    def __init__(
        self, probes: Probes, logs: Logs, clock: Clock, probe_port: int, family: Any
    ) -> None:
        self._probes = probes
        self._logs = logs
        self._clock = clock
        self._probe_port = probe_port
        self._gates: dict[str, int] = {}
        self._family = family
        self._families: dict[tuple[int, int], Any] = {}

    def do_hello(self) -> dict[str, Any]:
        """Who this kernel and this process namespace are."""
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return {"boot_id": boot_id, "pid_namespace": os.stat("/proc/self/ns/pid").st_ino}

    def do_expect(self, path: str) -> None:
        """Forget the process number in ``path``: another is about to be written.

        Beside it, ``path.gate`` is a pipe at which the process that wrote its number waits.
        """
        Path(path).unlink(missing_ok=True)
        if path not in self._gates:
            os.mkfifo(f"{path}.gate", 0o666)
            # Both ends, so that opening waits for nobody and what is written stays until read.
            self._gates[path] = os.open(f"{path}.gate", os.O_RDWR | os.O_NONBLOCK)

    def do_identify(self, path: str) -> dict[str, Any]:
        """The number that a starting process writes there, and when that process began.

        It may go on then, to execute its program, in which its clock is as it is set.
        """
        deadline = time.monotonic() + PID_WAIT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                text = Path(path).read_text()
                if text.endswith("\n"):
                    return self._let_in(path, int(text))
            time.sleep(0.005)
        return {"error": f"no process wrote its number to {path} in {PID_WAIT_S:g} s"}

    def _let_in(self, path: str, pid: int) -> dict[str, Any]:
        who = {"pid": pid, "start_ticks": start_ticks(pid)}
        # A container holds one daemon, and what is in its control group is of it.
        whole = self._family.Family(pid, who["start_ticks"], by_cgroup=True)
        self._families[pid, who["start_ticks"]] = whole
        answer = self._clock.before_start(pid)
        os.write(self._gates[path], b"\n")
        return {**answer, **who}

    def do_clock(self, **request: Any) -> dict[str, Any]:
        """Set, heal or read the clock of the node's processes (``do``, ``program``)."""
        return self._clock.ask(request)

    def do_signal(self, pid: int, start_ticks: int, number: int) -> dict[str, Any]:
        """Signal a daemon with all that is of it, or politely its process group."""
        if number in self._family.WHOLE:
            whole = self._families.get((pid, start_ticks))
            return {"signalled": whole is not None and whole.send(number) > 0}
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return {"signalled": False}
        try:
            is_it = fields_of(f"/proc/{pid}")[19] == str(start_ticks)
            if is_it:
                os.killpg(pid, number)
            return {"signalled": is_it}
        except OSError:
            return {"signalled": False}
        finally:
            os.close(pidfd)

    def do_state(self, pid: int, start_ticks: int) -> dict[str, Any]:
        """The process's letter; of a stopped one another, if a thread of what is of it is not."""
        try:
            fields = fields_of(f"/proc/{pid}")
        except OSError:
            return {"state": "gone"}
        if fields[19] != str(start_ticks):
            return {"state": "gone"}
        members = self.do_family(pid, start_ticks)["members"]
        others = set("".join(members.values())) - STOPPED
        return {"state": "T" if fields[0] in STOPPED and not others else min({*others, fields[0]})}

    def do_family(self, pid: int, start_ticks: int) -> dict[str, Any]:
        """What runs of a daemon, to the letters of its threads' states."""
        whole = self._families.get((pid, start_ticks))
        return {"members": whole.members() if whole is not None else {}}

    def do_run(
        self, argv: list[str], env: dict[str, str], cwd: str, limit_s: float
    ) -> dict[str, Any]:
        """Run a short command, its outputs going to unnamed files; killed at the time-out."""
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=cwd,
                env={**os.environ, **env},
                start_new_session=True,
            )
            try:
                code: int | None = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                code = None
            return {"exit": code, "stdout": content(stdout), "stderr": content(stderr)}

    def do_cut(self, sources: list[str]) -> None:
        """Drop what comes from these addresses, and nothing else, in one transaction."""
        lines = [f"table ip {TABLE}", f"delete table ip {TABLE}"]
        if sources:
            lines += [f"table ip {TABLE} {{", "chain cut {"]
            lines += ["type filter hook input priority -10; policy accept;"]
            for source in sources:
                lines += [f"ip saddr {source} udp dport {self._probe_port} counter drop"]
                lines += [f"ip saddr {source} counter drop"]
            lines += ["}", "}"]
        nft(["-f", "-"], "\n".join(lines) + "\n")

    def do_dropped(self) -> dict[str, Any]:
        """Packets dropped by the present cut per source address, probes apart."""
        try:
            listed = json.loads(nft(["-j", "list", "table", "ip", TABLE], ""))
        except RuntimeError:
            return {"dropped": {}}  # no table, no cut
        counts: dict[str, int] = {}
        for rule in (entry["rule"] for entry in listed["nftables"] if "rule" in entry):
            matches = [part["match"] for part in rule["expr"] if "match" in part]
            counters = [part["counter"] for part in rule["expr"] if "counter" in part]
            if len(matches) == 1:
                counts[matches[0]["right"]] = counters[0]["packets"]
        return {"dropped": counts}

    def do_probe(self, round: int, to: list[str]) -> None:
        """Send one datagram of this round to each address."""
        self._probes.send(round, to)

    def do_heard(self, round: int, sources: list[str], wait_s: float) -> dict[str, Any]:
        """Which of the sources were heard in this round, waiting for all at most ``wait_s``."""
        return {"heard": self._probes.heard(round, set(sources), wait_s)}

    def do_sync(self) -> None:
        """Pass on what the logs have gained until now."""
        self._logs.pass_on()


class Clock:
    """The program that sets the node's clock, started when it is first needed."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """What it answers."""
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, self._program],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            line = ""
            with contextlib.suppress(OSError):
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
                line = self._process.stdout.readline()
            if not line:
                # The next one undoes what this one had set.
                status, self._process = self._process.wait(), None
                raise RuntimeError(f"the program that sets the clock ended ({status})")
            answer: dict[str, Any] = json.loads(line)
            return answer

    def before_start(self, pid: int) -> dict[str, Any]:
        """A process is about to execute its program: its clock is set if the node's is."""
        return {} if self._process is None else self.ask({"do": "start", "pid": pid})


class Probes:
    """The node's socket for probes of links, and what it heard."""

    def __init__(self, address: str, port: int) -> None:
        self._port = port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self._condition = threading.Condition()
        self._heard: dict[int, set[str]] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, round: int, to: list[str]) -> None:
        """Send this round's datagram; a refusal of the kernel is a probe that was not sent."""
        for address in to:
            with contextlib.suppress(OSError):
                self._socket.sendto(PROBE.pack(round), (address, self._port))

    def heard(self, round: int, sources: set[str], wait_s: float) -> list[str]:
        """Those of ``sources`` that were heard in this round, in time."""

        def are_heard() -> bool:
            return sources <= self._heard.get(round, set())

        with self._condition:
            if not self._condition.wait_for(are_heard, wait_s):
                self._take_what_is_there()
            return sorted(sources & self._heard.get(round, set()))

    def _take_what_is_there(self) -> None:
        """What has come counts, though the one who listens got no time to hear it."""
        for _ in range(MOST_PROBES):
            with contextlib.suppress(ConnectionError):  # an earlier datagram's fate
                try:
                    self._note(*self._socket.recvfrom(64, socket.MSG_DONTWAIT))
                except BlockingIOError:
                    return

    def _listen(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # the kernel reports an earlier datagram's fate
                datagram = self._socket.recvfrom(64)
                with self._condition:
                    self._note(*datagram)
                    self._condition.notify_all()

    def _note(self, data: bytes, source: tuple[str, int]) -> None:
        if source[1] == self._port and len(data) == PROBE.size:
            (round,) = PROBE.unpack(data)
            self._heard.setdefault(round, set()).add(source[0])
            for old in [known for known in self._heard if known < round - 64]:
                del self._heard[old]


class Logs:
    """Passes on what each log of the node gains, as ``{"log": name, "data": base64}``."""

    def __init__(self, folder: Path, say: Voice) -> None:
        self._folder = folder
        self._say = say
        self._offsets: dict[str, int] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, daemon=True).start()

    def pass_on(self) -> None:
        """Say all that is new."""
        with self._lock:
            for path in sorted(self._folder.glob("*.log")):
                while data := self._new(path):
                    self._say({"log": path.name, "data": base64.b64encode(data).decode()})

    def _new(self, path: Path) -> bytes:
        with path.open("rb") as file:
            file.seek(self._offsets.get(path.name, 0))
            data = file.read(MOST_LOG_BYTES)
        self._offsets[path.name] = self._offsets.get(path.name, 0) + len(data)
        return data

    def _watch(self) -> None:
        while True:
            time.sleep(LOG_INTERVAL_S)
            with contextlib.suppress(OSError):
                self.pass_on()


def nft(arguments: list[str], script: str) -> str:
    """What the program ``nft`` says; ``RuntimeError`` with its complaint where it refuses."""
    done = subprocess.run(
        ["nft", *arguments], input=script, capture_output=True, text=True, timeout=20
    )
    if done.returncode != 0:
        raise RuntimeError(f"nft: {done.stderr.strip()[:300]}")
    return done.stdout


def fields_of(process: str) -> list[str]:
    """Fields of ``stat`` from the third (state) on; the name before may hold spaces."""
    return Path(f"{process}/stat").read_text().rpartition(")")[2].split()


def start_ticks(pid: int) -> int:
    """When a process began; -1 if it has ended already."""
    try:
        return int(fields_of(f"/proc/{pid}")[19])
    except OSError:
        return -1


def content(file: Any) -> str:
    """A file's whole content in base64."""
    file.seek(0)
    return base64.b64encode(file.read()).decode()


if __name__ == "__main__":
    main()

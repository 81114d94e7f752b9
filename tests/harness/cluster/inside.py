"""What the cluster tests do inside a run's namespaces: ``inside.py CASE RUN_DIR SETTINGS``.

Each case is a function; what it returns becomes ``result.json`` in the run folder. Some say a
word to the test on the way, and wait for the end of their standard input.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cluster.namespaces.cluster import LocalCluster
from harness.cluster.namespaces.enter import choose_mode
from harness.cluster.namespaces.netlink import in_network
from harness.cluster.plain.cluster import PlainCluster
from harness.contract.node import UNPRIVILEGED, Daemon, Port
from harness.errors import NodeError, PolygraphError
from harness.linux import sockets

NAMES = ("n1", "n2", "n3", "n4", "n5")
WAIT_S = 60.0


class AnySystem:
    """A system that can be told every address."""

    name = "any"

    def ports(self) -> Sequence[Port]:
        return (Port(7001, clients=True), Port(7000, peers=True))


class Inside:
    """The settings of one case, and how it speaks to the test."""

    def __init__(self, run_dir: Path, settings: Mapping[str, Any]) -> None:
        self.run_dir = run_dir
        self.mode: str = settings["mode"]
        self.options: Mapping[str, Any] = settings["options"]
        self._say: int = settings["say"]

    def say(self, word: str) -> None:
        """Tell the test something now."""
        os.write(self._say, f"{word}\n".encode())

    def cluster(self, names: tuple[str, ...] = NAMES, **options: Any) -> Any:
        """A cluster, not up yet."""
        if self.mode == "plain":
            return PlainCluster(self.run_dir, names, AnySystem(), **options)
        return LocalCluster(self.run_dir, names, self.mode, **options)

    @contextlib.contextmanager
    def up(self, names: tuple[str, ...] = NAMES, **options: Any) -> Any:
        """A cluster that is up."""
        cluster = self.cluster(names, **options)
        cluster.up()
        try:
            yield cluster
        finally:
            cluster.down()


def wait_until(holds: Callable[[], bool]) -> bool:
    """Whether it came true before the time was over."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def python(text: str) -> list[str]:
    """An argv that runs a program in the tests' interpreter."""
    return [sys.executable, "-S", "-c", text]


def exits(inside: Inside) -> None:
    """End with the exit code asked for."""
    sys.exit(inside.options["code"])


def waits_for_end_of_input(inside: Inside) -> str:
    """Say hello, then read to the end of standard input."""
    inside.say("reading")
    return sys.stdin.read()


def describes_itself(inside: Inside) -> dict[str, Any]:
    """Who the run process is in its namespaces."""
    return {
        "pid": os.getpid(),
        "uid": os.getuid(),
        "parent": os.getppid(),
        "links": [name for _, name in socket.if_nameindex()],
        "proc_is_own": os.path.realpath("/proc/self") == f"/proc/{os.getpid()}",
        "open": sorted(open_files()),
    }


def open_files() -> Iterator[str]:
    """What each descriptor of the caller is."""
    for fd in os.listdir("/proc/self/fd"):
        # The listing's own descriptor is gone already.
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"/proc/self/fd/{fd}")


def comes_up_and_goes_down(inside: Inside) -> dict[str, Any]:
    """Up, a look round, down, and what is left of it in the run's namespaces."""
    cluster = inside.cluster()
    cluster.up()
    found = {"links": len(cluster.reachable()), "during": remains(inside)}
    cluster.down()
    cluster.down()
    return {**found, "after": remains(inside)}


def remains(inside: Inside) -> dict[str, Any]:
    """Processes beside the reaper and this one, links beside lo, data folders."""
    wait_until(lambda: not any(state(pid) == "Z" for pid in other_processes()))
    return {
        "processes": len(other_processes()),
        "links": sorted(name for _, name in socket.if_nameindex() if name != "lo"),
        "data": sorted(path.parent.name for path in inside.run_dir.glob("nodes/*/data")),
    }


def other_processes() -> list[int]:
    """Every process of the run but the reaper and the caller; those of others are theirs."""
    reaper = os.getppid()
    if reaper == 1:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    else:  # in no namespace of its own: the machine's processes are all to be seen
        pids = list(sockets.descendants({reaper: "reaper"}))
    return [pid for pid in pids if pid not in (reaper, os.getpid())]


def state(pid: int) -> str:
    """The letter of a process, or nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def fails_at(inside: Inside) -> dict[str, Any]:
    """Bring a cluster up that fails at a step: the message, and what is left."""
    try:
        inside.cluster(fail_at=inside.options["step"]).up()
    except PolygraphError as error:
        return {"error": type(error).__name__, "message": str(error), "left": remains(inside)}
    return {"error": None}


def lacks_pyroute2(inside: Inside) -> dict[str, Any]:
    """Bring a cluster up where pyroute2 cannot be imported."""
    sys.modules["pyroute2"] = None  # type: ignore[assignment]
    try:
        inside.cluster().up()
    except PolygraphError as error:
        return {"error": type(error).__name__, "message": str(error), "left": remains(inside)}
    return {"error": None}


def is_given_names(inside: Inside) -> dict[str, Any]:
    """Make a cluster with the names asked for."""
    try:
        inside.cluster(tuple(inside.options["names"]))
    except PolygraphError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"error": None}


def may_make_no_namespaces(inside: Inside) -> dict[str, Any]:
    """Forbid user namespaces in this one, then choose a mode."""
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    try:
        choose_mode("local:userns")
    except PolygraphError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"error": None}


def shows_what_nodes_see(inside: Inside) -> dict[str, Any]:
    """Names, addresses, namespaces and folders as two nodes see them."""
    look = python(
        "import os, socket, json; print(json.dumps({"
        "'host': socket.gethostname(),"
        "'addresses': {n: socket.gethostbyname(n) for n in ('n1', 'n2', 'n5', 'controller')},"
        "'namespaces': {k: os.readlink('/proc/self/ns/' + k)"
        " for k in ('net', 'mnt', 'uts', 'ipc', 'pid', 'user')},"
        "'pid': os.getpid(), 'parent': os.getppid(),"
        "'links': sorted(n for _, n in socket.if_nameindex()),"
        "'ipv6': [line.split()[-1] for line in open('/proc/net/if_inet6')],"
        "'cwd': os.getcwd(), 'tmpdir': os.environ['TMPDIR']}))"
    )
    with inside.up() as cluster, tempfile.TemporaryDirectory(dir="/tmp") as elsewhere:
        program = Path(elsewhere, "program")
        program.write_text("brought")
        brought = ["cat", cluster.node("n1").bring(program)]
        seen = {name: json.loads(cluster.node(name).run(look).stdout) for name in ("n1", "n2")}
        cluster.node("n1").run(python("open('/tmp/mine', 'w').close()"))
        tmp = python("import os; print(os.path.exists('/tmp/mine'))")
        return {
            **seen,
            "run": {k: os.readlink(f"/proc/self/ns/{k}") for k in seen["n1"]["namespaces"]},
            "data_dir": cluster.node("n1").data_dir,
            "tmp": [cluster.node(n).run(tmp).stdout.decode().strip() for n in ("n1", "n2")],
            "tmp_outside": os.path.exists("/tmp/mine"),
            "brought": cluster.node("n1").run(brought).stdout.decode(),
        }


def runs_commands(inside: Inside) -> dict[str, Any]:
    """Commands that end well, badly, never, and not at all."""
    with inside.up(("n1",)) as cluster:
        node = cluster.node("n1")
        speak = "import sys; sys.stdout.write('x' * 300000); sys.stderr.write('y'); sys.exit(5)"
        done = node.run(python(speak), check=False)
        return {
            "code": done.exit_code,
            "stdout": len(done.stdout),
            "stderr": done.stderr.decode(),
            "bad": refusal(lambda: node.run(python(speak))),
            "missing": refusal(lambda: node.run(["/no/such/program"])),
            "late": refusal(
                lambda: node.run(python("import signal; signal.pause()"), timeout_s=0.3)
            ),
            "left": remains(inside)["processes"],
        }


def refusal(action: Callable[[], object]) -> str | None:
    """The message of the ``NodeError`` that the action raised."""
    try:
        action()
    except NodeError as error:
        return str(error)
    return None


def runs_daemons(inside: Inside) -> dict[str, Any]:
    """A daemon's life: output, state, pause, resumption, kill with its whole group."""
    with inside.up(("n1",)) as cluster:
        node = cluster.node("n1")
        parent = (
            "import os, signal, sys\n"
            "child = os.fork()\n"
            'word = f\'{"parent" if child else "child"} {os.environ["WORD"]}\'\n'
            "os.write(1, f'{word}\\n'.encode())\n"  # at once: print may take several steps
            "signal.pause()"
        )
        daemon = node.start(python(parent), name="db", env={"WORD": "given"})
        log = node.log_dir / "db.log"
        spoke = wait_until(lambda: log.exists() and log.read_text().count("given\n") == 2)
        group = sorted(pid for pid in other_processes() if group_of(pid) == daemon.identity.pid)
        found = {"spoke": spoke, "group": len(group), "alive": daemon.alive()}
        daemon.signal(signal.SIGSTOP)
        found["stopped"] = wait_until(lambda: [state(pid) for pid in group] == ["T", "T"])
        found["stopped_is"] = [daemon.state(), daemon.alive(), daemon.exit_status()]
        daemon.signal(signal.SIGCONT)
        found["resumed"] = wait_until(lambda: daemon.state() == "S")
        daemon.signal(signal.SIGKILL)
        found["status"] = daemon.wait(WAIT_S)
        found["group_gone"] = wait_until(lambda: not any(state(pid) for pid in group))
        found["killed_is"] = [daemon.state(), daemon.alive(), daemon.exit_status()]
        daemon.signal(signal.SIGKILL)
        again = node.start(python("print('again'); raise SystemExit(4)"), name="db")
        found["exit"] = again.wait(WAIT_S)
        found["log"] = sorted(log.read_text().split("\n"))
        return found


def group_of(pid: int) -> int:
    """The process group, or 0 where the process is gone."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def spares_strangers(inside: Inside) -> dict[str, Any]:
    """Signal a daemon under an identity that is wrong in one part each."""
    with inside.up(("n1",)) as cluster:
        daemon = cluster.node("n1").start(python("import signal; signal.pause()"), name="db")
        true = daemon._inside
        alive = {}
        for part, value in {
            "start_ticks": true.start_ticks + 1,
            "boot_id": "another",
            "pid_namespace": true.pid_namespace + 1,
        }.items():
            daemon._inside = dataclasses.replace(true, **{part: value})
            daemon.signal(signal.SIGKILL)
            alive[part] = daemon.wait(0.2) is None
        daemon._inside = true
        daemon.signal(signal.SIGKILL)
        return {"alive": alive, "killed": daemon.wait(WAIT_S)}


def reaps_orphans(inside: Inside) -> dict[str, Any]:
    """Leave orphans behind on a node and in the run; they end as no zombies."""
    orphan = "import os\nif os.fork() == 0:\n    os.setsid()\n    os._exit(0)"
    with inside.up(("n1",)) as cluster:
        for _ in range(5):
            cluster.node("n1").run(python(orphan))
        if os.fork() == 0:
            if os.fork() == 0:
                os._exit(0)
            os._exit(0)
        os.wait()
        # What is left is the agent.
        return {"reaped": wait_until(lambda: len(other_processes()) == 1)}


def moves_files(inside: Inside) -> dict[str, Any]:
    """Upload to a node's own /tmp, look at it there, download it again."""
    source = inside.run_dir / "source"
    source.write_bytes(os.urandom(100_000))
    source.chmod(0o750)
    back = inside.run_dir / "back"
    with inside.up(("n1",)) as cluster:
        node = cluster.node("n1")
        node.upload(source, "/tmp/uploaded")
        look = python("import os; print(oct(os.stat('/tmp/uploaded').st_mode))")
        mode = node.run(look).stdout.decode().strip()
        node.download("/tmp/uploaded", back)
        return {
            "equal": back.read_bytes() == source.read_bytes(),
            "mode": mode,
            "outside": os.path.exists("/tmp/uploaded"),
            "missing": refusal(lambda: node.download("/no/such/file", back)),
        }


def executes_from_temporary_folder(inside: Inside) -> dict[str, Any]:
    """Start a program that lies in the machine's /tmp, which the node's own hides."""
    program = Path(inside.options["program"])
    with inside.up(("n1",)) as cluster:
        return {"said": cluster.node("n1").run([str(program)]).stdout.decode()}


def cuts_links(inside: Inside) -> dict[str, Any]:
    """Every grudge asked for: the links that carry under it, and what was counted."""
    found = {}
    with inside.up() as cluster:
        for name, grudge in inside.options["grudges"].items():
            cluster.cut({node: frozenset(sources) for node, sources in grudge.items()})
            carried = sorted(cluster.reachable())
            counted = {" ".join(link): count for link, count in cluster.dropped().items()}
            found[name] = {"carried": carried, "dropped": counted}
        cluster.heal_cuts()
        cluster.heal_cuts()
        found["healed"] = {"carried": sorted(cluster.reachable()), "dropped": cluster.dropped()}
    return found


def comes_up_again(inside: Inside) -> dict[str, Any]:
    """Up, down and up again in one run, with a cut that names a stranger."""
    cluster = inside.cluster(("n1", "n2"))
    cluster.up()
    cluster.cut({"n1": frozenset({"n2"})})
    cluster.down()
    cluster.up()
    try:
        cluster.cut({"n1": frozenset({"n9"})})
        stranger = None
    except KeyError as error:
        stranger = str(error)
    found = {"links": sorted(cluster.reachable()), "nodes": len(cluster.nodes)}
    cluster.down()
    return {**found, "stranger": stranger, "after": remains(inside)}


def cuts_connections(inside: Inside) -> dict[str, Any]:
    """A TCP connection that stands: cut one way, counted, healed, and it goes on."""
    with inside.up() as cluster:
        ends = {name: network_of(cluster, name) for name in ("n1", "n2")}
        server = in_network(ends["n2"], lambda: socket.create_server(("10.77.0.2", 7000)))
        client = in_network(ends["n1"], lambda: socket.create_connection(("10.77.0.2", 7000)))
        accepted, _ = server.accept()
        client.sendall(b"1")
        found: dict[str, Any] = {"before": accepted.recv(1).decode()}
        cluster.cut({"n2": frozenset({"n1"})})
        client.sendall(b"2")
        counted = wait_until(lambda: cluster.dropped()["n1", "n2"] > 0)
        accepted.setblocking(False)
        found["counted"] = counted
        found["arrived_while_cut"] = arrives(accepted)
        probes = cluster.dropped()["n1", "n2"]
        found["links"] = len(cluster.reachable())
        found["counted_by_probes"] = cluster.dropped()["n1", "n2"] - probes
        cluster.heal_cuts()
        accepted.settimeout(WAIT_S)
        found["after"] = accepted.recv(1).decode()
        return found


def network_of(cluster: LocalCluster, name: str) -> int:
    """A descriptor of a node's network namespace, by way of a process there."""
    daemon: Daemon = cluster.node(name).start(python("import signal; signal.pause()"), name="net")
    return os.open(f"/proc/{daemon.identity.pid}/ns/net", os.O_RDONLY)


def arrives(connection: socket.socket) -> bool:
    """Whether there is anything to read now."""
    try:
        return bool(connection.recv(1))
    except BlockingIOError:
        return False


def reaches_controller_while_cut(inside: Inside) -> dict[str, Any]:
    """Nodes that hear none of the others still hear the controller."""
    others = {name: frozenset(set(NAMES) - {name}) for name in NAMES}
    with inside.up() as cluster:
        network = network_of(cluster, "n3")
        server = in_network(network, lambda: socket.create_server(("10.77.0.3", 7000)))
        cluster.cut(others)
        with socket.create_connection(("10.77.0.3", 7000), timeout=WAIT_S) as client:
            accepted, address = server.accept()
            client.sendall(b"1")
            return {"from": address[0], "got": accepted.recv(1).decode()}


def starts_as_another(inside: Inside) -> str:
    """Why a daemon of another user does not start."""
    with inside.up(("n1",)) as cluster:
        try:
            cluster.node("n1").start(["sleep", "60"], name="db", user=UNPRIVILEGED)
        except NodeError as error:
            return error.message
    return ""


def keeps_data(inside: Inside) -> list[str]:
    """Down with the data kept."""
    with inside.up(("n1",), keep_data=True) as cluster:
        cluster.node("n1").run(python("open('row', 'w').close()"))
    return sorted(str(path.relative_to(inside.run_dir)) for path in inside.run_dir.rglob("row"))


def holds(inside: Inside) -> None:
    """Up with a daemon on each node, and on, whatever becomes of standard input."""
    cluster = inside.cluster()
    cluster.up()
    for node in cluster.nodes:
        node.start(python("import signal; signal.pause()"), name="db")
    cluster.cut({"n1": frozenset({"n2"})})
    inside.say("holding")
    signal.pause()


def is_left_running(inside: Inside) -> dict[str, Any]:
    """Up with a daemon on each node, then leave it all running and end."""
    cluster = inside.cluster(("n1", "n2"))
    cluster.up()
    for node in cluster.nodes:
        node.start(python("import signal; signal.pause()"), name="db")
    cluster.leave_running()
    inside.say("left")
    sys.stdin.read()
    return {"nodes": len(cluster.nodes)}


def main() -> None:
    """Run one case of this file."""
    case, run_dir, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    result = globals()[case](Inside(run_dir, settings))
    (run_dir / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()

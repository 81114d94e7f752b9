"""What the ssh tests do inside a run's namespaces: ``ssh_inside.py CASE RUN_DIR SETTINGS``.

Like ``inside.py``, but the nodes of a local cluster are machines here, each with an sshd, and the
cluster under test is an ssh cluster of them (:mod:`ssh_lab`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.cluster import leftovers
from harness.cluster.provider import Request
from harness.cluster.ssh.cluster import SshCluster
from harness.cluster.ssh.connection import connect
from harness.cluster.ssh.hosts import hosts_of
from harness.cluster.ssh.provider import PROVIDER
from harness.errors import PolygraphError
from harness.history.faults import unhealed
from harness.history.ledger import Ledger, read_ledger
from harness.linux.identity import identify, wait_for_end
from harness.store import registration
from tests.harness.cluster.inside import Inside, refusal, wait_until
from tests.harness.cluster.ssh.lab import Lab, make_key

PAUSE = ["python3", "-S", "-c", "import signal; print('up', flush=True); signal.pause()"]
TALK = (
    "import socket, sys, time\n"
    "to = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    "while True:\n    to.sendto(b'data', (sys.argv[1], 7)); time.sleep(0.02)\n"
)
WAIT_S = 60.0


class Hosts:
    """A lab, and ssh clusters of its hosts."""

    def __init__(self, inside: Inside, names: tuple[str, ...]) -> None:
        self.lab = Lab(inside.run_dir / "lab", names, inside.mode)
        self.run_dir = inside.run_dir / "store" / "system" / "workload" / "run"
        self.run_dir.mkdir(parents=True)

    def request(self) -> Request:
        """What a run asks of the ssh provider."""
        names = self.lab.names
        options = {"nodes_file": str(self.lab.nodes_file())}
        return Request(provider="ssh", nodes=names, system=None, options=options)  # type: ignore[arg-type]

    def cluster(self) -> SshCluster:
        """A cluster, not connected."""
        made = PROVIDER.cluster(self.request(), self.run_dir)
        assert isinstance(made, SshCluster)
        return made

    def left(self) -> dict[str, list[str]]:
        """What of a run is on each host: processes, folders, firewall rules. Empty if nothing."""
        found = {}
        for node in self.lab.machines.nodes:
            look = "nft list tables; iptables -S; ls -A /var/tmp /var/tmp/polygraph-*"
            told = node.run(["sh", "-c", f"({look}) 2>/dev/null"], check=False).stdout.decode()
            commands = self.processes(node.name).values()
            lines = [line for line in [*told.splitlines(), *commands] if is_ours(line)]
            if lines:
                found[node.name] = lines
        return found

    def processes(self, name: str) -> dict[int, str]:
        """The command line of each process of a host, by its pid as seen from here."""
        machine = os.readlink(f"/proc/{self.lab.machines.node(name)._link.pid}/ns/pid")
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/ns/pid") == machine:
                    command = Path(f"/proc/{pid}/cmdline").read_bytes()
                    found[int(pid)] = command.replace(b"\0", b" ").decode(errors="replace")
        return found

    def kill(self, name: str, word: str) -> None:
        """Kill the processes of a host whose command line has this word; returns at their end."""
        killed = []
        for pid, command in self.processes(name).items():
            if word in command:
                with contextlib.suppress(ProcessLookupError):
                    killed.append(os.pidfd_open(pid))
                    os.kill(pid, signal.SIGKILL)
        for pidfd in killed:
            assert wait_for_end(pidfd, WAIT_S)
            os.close(pidfd)

    def on(self, name: str, script: str) -> str:
        """Run a shell command as root on the machine itself, not by ssh."""
        return self.lab.machines.node(name).run(["sh", "-c", script]).stdout.decode()


def is_ours(line: str) -> bool:
    """Whether a line of what is on a host would be something that a run left."""
    return any(word in line for word in ("polygraph", "signal.pause", "-n1", "-n2", "-n3"))


@contextlib.contextmanager
def hosts(inside: Inside, count: int, **how: Any) -> Iterator[Hosts]:
    """Hosts that are up."""
    made = Hosts(inside, tuple(f"n{number}" for number in range(1, count + 1)))
    made.lab.up(**how)
    try:
        yield made
    finally:
        made.lab.machines.down()


def failure(action: Callable[[], object]) -> dict[str, Any] | None:
    """The error that the action raised, as the command line would end by it."""
    begun = time.monotonic()
    try:
        action()
    except PolygraphError as error:
        took_s = time.monotonic() - begun
        return {"message": str(error), "exit": error.exit_code, "seconds": took_s}
    return None


def serves_as_nodes(inside: Inside) -> dict[str, Any]:
    """Commands, daemons, files and logs on hosts, and what is left after all."""
    with hosts(inside, 2) as made:
        cluster = made.cluster()
        cluster.up()
        node = cluster.node("n2")
        bad = ["sh", "-c", "echo no >&2; exit 5"]
        done = node.run(["sh", "-c", "hostname; pwd"])
        daemon = node.start([*PAUSE], name="db")
        wait_until(lambda: cluster.collect() == [] and "up\n" in read_log(made))
        wait_until(lambda: daemon.state() == "S")
        found: dict[str, Any] = {
            "said": done.stdout.decode().split(),
            "data_dir": node.data_dir,
            "bad": refusal(lambda: node.run(bad)),
            "late": refusal(lambda: node.run(["sleep", "99"], timeout_s=0.2)),
            "alive": [daemon.alive(), daemon.state(), daemon.exit_status()],
        }
        # These hosts share their machine, and with it its clock, with the controller.
        found["machine_clock"] = [
            cluster.clock_refusal("machine"),
            refusal(lambda: node.set_clock({"shift_ns": 0}, "machine")),
        ]
        daemon.signal(signal.SIGSTOP)
        found["stopped"] = wait_until(lambda: daemon.state() == "T")
        daemon.signal(signal.SIGKILL)
        found["status"] = daemon.wait(WAIT_S)
        found["killed"] = [daemon.alive(), daemon.state(), daemon.exit_status()]
        source = made.lab.root / "big"
        source.write_bytes(os.urandom(3_000_000))
        source.chmod(0o750)
        node.upload(source, f"{node.data_dir}/big")
        node.download(f"{node.data_dir}/big", made.lab.root / "back")
        found["equal"] = source.read_bytes() == (made.lab.root / "back").read_bytes()
        found["mode"] = node.run(["stat", "-c", "%a", f"{node.data_dir}/big"]).stdout.decode()
        # More than the window of a channel: the program ends while we still send.
        found["no_folder"] = refusal(lambda: node.upload(source, "/no/such/big"))
        found["no_file"] = refusal(lambda: node.download("/no/such", made.lab.root / "none"))
        node.start([*PAUSE], name="db")
        found["collected"] = list(cluster.collect())
        wait_until(lambda: cluster.collect() == [] and read_log(made).count("up\n") == 2)
        found["log"] = read_log(made)
        cluster.down()
        cluster.down()
        return {**found, "left": made.left()}


def read_log(made: Hosts) -> str:
    """The log of ``db`` on n2, as fetched."""
    return (made.run_dir / "nodes" / "n2" / "db.log").read_text()


def brings_programs(inside: Inside) -> dict[str, Any]:
    """A program that the host has, and one that it has not (or not the same)."""
    with hosts(inside, 1) as made:
        cluster = made.cluster()
        cluster.up()
        node = cluster.nodes[0]
        own = made.lab.root / "program"
        own.write_text("#!/bin/sh\necho ours\n")
        own.chmod(0o755)
        shared = node.bring(own)
        # /tmp is the machine's own on each host.
        other = Path("/tmp/program")
        other.write_bytes(own.read_bytes())
        other.chmod(0o755)
        brought = node.bring(other)
        found = {
            "shared": shared == str(own),
            "brought": brought != str(other) and brought == node.bring(other),
            "said": node.run([brought]).stdout.decode(),
        }
        other.unlink()
        cluster.down()
        return {**found, "left": made.left()}


def cuts_links(inside: Inside) -> dict[str, Any]:
    """Every grudge asked for: the links that carry under it, and whether traffic is counted."""
    user = inside.options.get("user", "root")
    with hosts(inside, 3, user=user, prepare=lambda lab: spoil_cuts(lab, inside.options)) as made:
        made.on("n2", "nft add table inet own 2>/dev/null || true")
        cluster = made.cluster()
        found: dict[str, Any] = {"refusal": cluster.cut_refusal(), "grudges": []}
        cluster.up()
        if found["refusal"] is None:
            cluster.node("n1").start(["python3", "-c", TALK, made.lab.address("n2")], name="talk")
            for grudge in inside.options["grudges"]:
                cluster.cut({node: frozenset(sources) for node, sources in grudge.items()})
                probes_only = sum(cluster.dropped().values())
                carried = sorted(cluster.reachable())
                counted = wait_until(lambda: cluster.dropped().get(("n1", "n2"), 1) > 0)
                found["grudges"].append([carried, counted, probes_only])
            found["tool"] = cluster._links["n2"].ask("rehearse", table=cluster._table)["tool"]
            cluster.heal_cuts()
            cluster.heal_cuts()
            found["healed"] = [len(cluster.reachable()), dict(cluster.dropped())]
        cluster.down()
        return {**found, "left": made.left(), "own": made.on("n2", "nft list tables || true")}


def spoil_cuts(lab: Lab, options: Any) -> None:
    """Take programs away, and say what sudo allows."""
    for program in options.get("without", ()):
        lab.replace(program, "")
        os.chmod(program, 0o644)
    if options.get("sudo"):
        lab.replace("/etc/sudoers", options["sudo"])


def meets_bad_luck(inside: Inside) -> dict[str, Any]:
    """One thing is wrong with the second of two hosts: what a run says to it, before and in up."""
    with hosts(inside, 2) as made:
        spoil(made, inside.options["what"])
        request = made.request()
        chosen = failure(lambda: PROVIDER.choose(request))
        up = failure(made.cluster().up)
        return {"chosen": chosen, "up": up, "left": made.left()}


def ends_before_it_has_read(inside: Inside) -> dict[str, Any]:
    """No python3 takes what we send: more than the window of a channel, so always too late."""
    with hosts(inside, 2) as made:
        spoil(made, "no python")
        connection = connect(hosts_of(facts_of(made))[1])
        channel = connection.execute("arrival.py", {"much": "x" * 8_000_000}, WAIT_S)
        said = refusal(lambda: connection.answer(channel))
        connection.close()
        return {"said": said, "left": made.left()}


def spoil(made: Hosts, what: str) -> None:
    """Make it so."""
    lab = made.lab
    known = lab.known_hosts()
    if what == "hangs at the banner":
        silent = socket.create_server(("10.77.0.254", 2222))
        made.request = lambda: named(made, f"{lab.address('n1')}\n10.77.0.254:2222\n", silent)  # type: ignore[method-assign]
    elif what == "nobody listens":
        made.request = lambda: named(made, f"{lab.address('n1')}\n10.77.0.254:2223\n", None)  # type: ignore[method-assign]
    elif what == "unknown host key":
        known.write_text("".join(known.read_text().splitlines(True)[:1]))
    elif what == "changed host key":
        make_key(lab.root / "ssh" / "other")
        blob = (lab.root / "ssh" / "other.pub").read_text().split()[1]
        lines = known.read_text().splitlines(True)
        known.write_text(lines[0] + f"{lab.address('n2')} ssh-ed25519 {blob}\n")
    elif what == "wrong key":
        config = f"Host {lab.address('n2')}\n IdentityFile {lab.root}/ssh/stranger\n"
        path = lab.home / ".ssh" / "config"
        keys = path.read_text().replace("Host *", f"Host {lab.address('n1')}")
        path.write_text(config + keys)
    elif what == "no python":
        # Both hosts: they have their programs from one machine.
        shell = lab.root / "shell"
        shell.write_text('#!/bin/sh\nPATH=/nowhere exec /bin/sh "$@"\n')
        shell.chmod(0o755)
        text = Path("/etc/passwd").read_text().replace("/var/tmp:/bin/sh", f"/var/tmp:{shell}", 1)
        lab.replace("/etc/passwd", text)
    elif what == "no shell":
        text = (
            Path("/etc/passwd")
            .read_text()
            .replace("/var/tmp:/bin/sh", "/var/tmp:/usr/sbin/nologin", 1)
        )
        lab.replace("/etc/passwd", text)


def named(made: Hosts, text: str, keep: object) -> Request:
    """A request for the hosts of this nodes file."""
    path = made.lab.root / "others"
    path.write_text(text)
    options = {"nodes_file": str(path)}
    return Request(provider="ssh", nodes=made.lab.names, system=None, options=options)  # type: ignore[arg-type]


def loses_connections(inside: Inside) -> dict[str, Any]:
    """Every sshd session dies in the middle of a cut and a pause; both are healed all the same."""
    with hosts(inside, 2) as made:
        cluster = made.cluster()
        assert cluster.cut_refusal() is None
        cluster.up()
        daemons = [node.start([*PAUSE], name="db") for node in cluster.nodes]
        cluster.cut({"n1": frozenset({"n2"})})
        daemons[1].signal(signal.SIGSTOP)
        lose(made, cluster)
        found: dict[str, Any] = {"carried": sorted(cluster.reachable())}
        lose(made, cluster)
        found["state"] = daemons[1].state()
        daemons[1].signal(signal.SIGCONT)
        cluster.heal_cuts()
        found["healed"] = len(cluster.reachable())
        lose(made, cluster)
        made.kill("n1", "signal.pause")
        found["status"] = wait_for_status(cluster, daemons[0])
        cluster.down()
        return {**found, "left": made.left()}


def lose(made: Hosts, cluster: SshCluster) -> None:
    """Kill the sshd processes of all sessions, and wait until that is noticed."""
    for node in made.lab.machines.nodes:
        made.kill(node.name, "sshd: root")
    assert wait_until(lambda: not any(link.is_open() for link in cluster._links.values()))


def wait_for_status(cluster: SshCluster, daemon: Any) -> int | None:
    """The exit status, which is told at the next connection."""
    cluster.nodes[0].run(["true"])
    status: int | None = daemon.wait(WAIT_S)
    return status


def is_rebooted(inside: Inside) -> dict[str, Any]:
    """A host comes back under another boot id, its processes gone."""
    with hosts(inside, 2) as made:
        cluster = made.cluster()
        cluster.up()
        daemon = cluster.node("n2").start([*PAUSE], name="db")
        boot = made.lab.root / "boot-id"
        boot.write_text("11111111-2222-3333-4444-555555555555\n")
        made.kill("n2", "keeper.main")
        made.kill("n2", "signal.pause")
        made.on("n2", f"mount --bind {boot} /proc/sys/kernel/random/boot_id")
        made.kill("n2", "sshd: root")
        assert wait_until(lambda: not cluster._links["n2"].is_open())
        found = {
            "state": refusal(daemon.state),
            "start": refusal(lambda: cluster.node("n2").start([*PAUSE], name="db")),
            "status": daemon.exit_status(),
            "lost": cluster.lost(),
            "other": cluster.node("n1").run(["hostname"]).stdout.decode().strip(),
        }
        cluster.down()
        return {**found, "left": made.left()}


def is_healed_later(inside: Inside) -> dict[str, Any]:
    """The controller is killed in the middle of faults; heal finishes, also when it must wait."""
    with hosts(inside, 2) as made:
        argv = [sys.executable, __file__, "dies_in_the_middle", str(inside.run_dir)]
        settings = {"mode": inside.mode, "say": 1, "options": {"nodes": str(made.lab.nodes_file())}}
        child = subprocess.run([*argv, json.dumps(settings)], check=False, timeout=WAIT_S)
        store = made.run_dir.parents[2]
        ledger = made.run_dir / "faults.jsonl"
        found: dict[str, Any] = {"exit": child.returncode, "before": sorted(made.left())}
        found["open"] = [entry.fault for entry in unhealed(read_ledger(ledger))]
        made.kill("n2", "sshd")
        found["unreachable"] = leftovers.heal(store)
        found["still_open"] = len(unhealed(read_ledger(ledger)))
        made.lab.start_sshd("n2")
        found["healed"] = leftovers.heal(store)
        found["closed"] = len(unhealed(read_ledger(ledger)))
        found["again"] = leftovers.heal(store)
        return {
            **found,
            "registered": registration.path(made.run_dir).exists(),
            "left": made.left(),
        }


def dies_in_the_middle(inside: Inside) -> None:
    """Be a run process with a cut and a pause in force, and end by SIGKILL."""
    nodes = Path(inside.options["nodes"])
    run_dir = inside.run_dir / "store" / "system" / "workload" / "run"
    options = {"nodes_file": str(nodes)}
    request = Request(provider="ssh", nodes=["n1", "n2"], system=None, options=options)  # type: ignore[arg-type]
    own = identify(os.getpid())
    assert own is not None
    facts = {"hosts": [["n1", "10.77.0.1", None], ["n2", "10.77.0.2", None]]}
    registration.write(run_dir, "ssh", own, {**facts, "ssh_config": None, "host_dir": ""})
    cluster = PROVIDER.cluster(request, run_dir)
    assert cluster.cut_refusal() is None
    cluster.up()
    daemon = cluster.node("n2").start([*PAUSE], name="db")
    ledger = Ledger(run_dir / "faults.jsonl", time.monotonic_ns)
    ledger.intend("partition", ["n1"], {})
    cluster.cut({"n1": frozenset({"n2"})})
    ledger.intend("pause", ["n2"], {})
    daemon.signal(signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGKILL)


def is_left_running(inside: Inside) -> dict[str, Any]:
    """A cluster outlives its controller on purpose, until ``down``."""
    with hosts(inside, 2) as made:
        own = identify(os.getppid())
        assert own is not None
        registration.write(made.run_dir, "ssh", own, facts_of(made))
        cluster = made.cluster()
        cluster.up()
        cluster.nodes[0].start([*PAUSE], name="db")
        cluster.leave_running()
        registered = registration.read(made.run_dir)
        assert registered is not None
        there = sorted(made.left())
        up = PROVIDER.is_up(made.run_dir, registered)
        left = PROVIDER.clean_up(made.run_dir, registered)
        return {
            "marked": registered.left_running,
            "there": there,
            "up": [up, PROVIDER.is_up(made.run_dir, registered)],
            "down": [left, PROVIDER.clean_up(made.run_dir, registered)],
            "left": made.left(),
        }


def facts_of(made: Hosts) -> dict[str, Any]:
    """What the provider registers of a run."""
    lines = [[name, made.lab.address(name), None] for name in made.lab.names]
    return {"hosts": lines, "ssh_config": None, "host_dir": ""}


def jumps(inside: Inside) -> dict[str, Any]:
    """The second host is reached through the first, which is known and let in to as well."""
    with hosts(inside, 2) as made:
        path = made.lab.home / ".ssh" / "config"
        jump = f"Host {made.lab.address('n2')}\n ProxyJump {made.lab.address('n1')}\n"
        path.write_text(jump + path.read_text())
        host = hosts_of(facts_of(made))[1]
        cluster = made.cluster()
        cluster.up()
        said = cluster.node("n2").run(["sh", "-c", "hostname; echo $SSH_CONNECTION"]).stdout
        cluster.down()
        return {"jumps": len(host.jumps), "said": said.decode().split(), "left": made.left()}


def main() -> None:
    """Run one case of this file."""
    case, run_dir, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    result = globals()[case](Inside(run_dir, settings))
    (run_dir / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()

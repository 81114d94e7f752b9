"""Machines to reach by ssh, made of a local cluster's nodes: an sshd of our own on each.

Used inside a run's namespaces as root. Nothing of the machine is changed or seen from outside:
``/run``, ``/var/tmp`` and the user database are other files here, by mounts that end with the
run. There is a second user, ``deploy``, who is nobody special.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.cluster.namespaces import enter
from harness.cluster.namespaces.cluster import LocalCluster
from harness.linux import kernel

PORT = 22
ROOT = "root:x:0:0:root:/var/tmp:/bin/sh\n"
"""Not the machine's: what its start-up files run must not be killed halfway by a test."""

DEPLOY = "deploy:x:12345:12345::/var/tmp/deploy:/bin/sh\n"
AUTHORIZED = "/run/authorized"
_WAIT_S = 60.0


class Lab:
    """``names`` become hosts. ``root`` is a folder of its own; ``home`` the controller's home."""

    def __init__(self, root: Path, names: tuple[str, ...], mode: str) -> None:
        self.root = root
        self.names = names
        self.home = root / "home"
        self.machines = LocalCluster(root / "machines", names, mode)

    def up(self, *, user: str = "root", prepare: Callable[[Lab], None] | None = None) -> None:
        """All hosts up and their sshd listening; the controller's home set up to log in.

        ``prepare`` is called before, to make files of the machine say something else.
        """
        (self.root / "ssh").mkdir(parents=True)
        self._hide()
        self._make_keys()
        if prepare is not None:
            prepare(self)
        self.machines.up()
        # The local cluster's own probes have the port that the hosts' keepers need.
        self.machines._prober.close()
        for node in self.machines.nodes:
            self.start_sshd(node.name)
        self._write_home(user)
        os.environ["HOME"] = str(self.home)

    def start_sshd(self, name: str, port: int = PORT) -> None:
        """An sshd that listens; it ends with the machine."""
        config = self._sshd_config(port)
        argv = ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)]
        self.machines.node(name).start(argv, name="sshd")
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            try:
                with socket.create_connection((self.address(name), port), timeout=1.0) as greeted:
                    if greeted.recv(4) == b"SSH-":
                        return
            except OSError:
                time.sleep(0.01)
        raise TimeoutError(f"no sshd on {name}")

    def address(self, name: str) -> str:
        """Where the controller reaches the host."""
        return f"10.77.0.{self.names.index(name) + 1}"

    def nodes_file(self) -> Path:
        """All hosts, one a line."""
        path = self.root / "nodes"
        path.write_text("".join(f"{self.address(name)}\n" for name in self.names))
        return path

    def known_hosts(self) -> Path:
        """The controller's known hosts."""
        return self.home / ".ssh" / "known_hosts"

    def _hide(self) -> None:
        kernel.mount("run", "/run", "tmpfs", kernel.MS_NOSUID, "mode=755")
        os.mkdir("/run/sshd")
        (self.root / "var-tmp").mkdir()
        (self.root / "var-tmp").chmod(0o1777)
        kernel.mount(str(self.root / "var-tmp"), "/var/tmp", flags=kernel.MS_BIND)
        os.mkdir("/var/tmp/deploy")
        os.chown("/var/tmp/deploy", 12345, 12345)
        others = Path("/etc/passwd").read_text().splitlines(keepends=True)[1:]
        self.replace("/etc/passwd", "".join([ROOT, *others, DEPLOY]))
        self.replace("/etc/group", Path("/etc/group").read_text() + "deploy:x:12345:\n")
        self.replace("/etc/shadow", Path("/etc/shadow").read_text() + "deploy:*:20000::::::\n")

    def replace(self, path: str, text: str) -> None:
        """Have a file of the machine's say something else, here alone."""
        ours = self.root / path.strip("/").replace("/", "-")
        ours.write_text(text)
        shutil.copymode(path, ours)
        kernel.mount(str(ours), path, flags=kernel.MS_BIND)

    def _make_keys(self) -> None:
        for name in ("host", "user", "stranger"):
            make_key(self.root / "ssh" / name)
        # Where also the second user can read it.
        shutil.copy(self.root / "ssh" / "user.pub", AUTHORIZED)

    def _sshd_config(self, port: int) -> Path:
        ssh = self.root / "ssh"
        lines = [
            f"Port {port}",
            f"HostKey {ssh / 'host'}",
            f"AuthorizedKeysFile {AUTHORIZED}",
            "PidFile none",
            "UsePAM no",
            "StrictModes no",
            "UseDNS no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "MaxStartups 200:30:400",
            "MaxSessions 100",
            "",
        ]
        path = ssh / f"sshd-{port}"
        path.write_text("\n".join(lines))
        return path

    def _write_home(self, user: str) -> None:
        ssh = self.home / ".ssh"
        ssh.mkdir(parents=True, mode=0o700)
        key = (self.root / "ssh" / "host.pub").read_text().split()
        known = [f"{self.address(name)} {key[0]} {key[1]}\n" for name in self.names]
        self.known_hosts().write_text("".join(known))
        lines = [f"UserKnownHostsFile {self.known_hosts()}"]
        lines += [f"IdentityFile {self.root / 'ssh' / 'user'}", f"User {user}", ""]
        (ssh / "config").write_text("\n".join(["Host *", *lines]))


@contextlib.contextmanager
def standing(folder: Path, names: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Hosts made by a process of their own; within, the caller's network is theirs.

    Gives the options of the ssh provider. What the calling thread starts (threads, processes)
    meanwhile is in that network too; its files and processes stay the machine's.
    """
    said, say = os.pipe()
    argv = [sys.executable, __file__, str(folder / "lab"), str(say), *names]
    path = os.pathsep.join([str(Path(__file__).parents[4]), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path}
    run_dir = folder / "lab-run"
    entered = enter.spawn(argv, mode="root", run_dir=run_dir, pass_fds=[say], env=env)
    os.close(say)
    own, theirs = (f"/proc/{who}/ns/net" for who in ("thread-self", entered.run_pid))
    try:
        with open(said, encoding="utf-8") as told, open(own) as before:
            options: dict[str, str] = json.loads(told.readline())
            with open(theirs) as network:
                kernel.setns(network.fileno(), kernel.CLONE_NEWNET)
            try:
                yield options
            finally:
                kernel.setns(before.fileno(), kernel.CLONE_NEWNET)
    finally:
        entered.kill()


def main() -> None:
    """Make hosts, say how to reach them, and stay until the end of standard input."""
    lab = Lab(Path(sys.argv[1]), tuple(sys.argv[3:]), "root")
    lab.up()
    options = {"nodes_file": str(lab.nodes_file()), "ssh_config": str(lab.home / ".ssh/config")}
    os.write(int(sys.argv[2]), json.dumps(options).encode() + b"\n")
    sys.stdin.read()


def make_key(path: Path) -> None:
    """A key pair without a passphrase."""
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(argv, check=True, timeout=_WAIT_S)


if __name__ == "__main__":
    main()

"""The ssh provider: hosts that exist already, named by ``--nodes-file``.

The run process is an ordinary process of the controller; what it makes on the hosts outlives it
if it is killed, and is found again by what ``cluster.json`` says (the hosts) and by the name of
the run's folder there. Whether every host can be reached, is the one that the user knows and lets
us in is tried before the run begins, all hosts at once; nothing is made by that.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cluster import bare, providers
from harness.cluster.places import ports_of
from harness.cluster.provider import PROVIDER_VARIABLE, Request, RunProcess
from harness.cluster.ssh.attached.meant import ATTACH
from harness.cluster.ssh.hosts import (
    NODES_FILE_HINT,
    PARAMIKO_HINT,
    expanded,
    hosts_of,
    read_nodes_file,
)
from harness.contract.option import SystemOption
from harness.errors import NodeError, SetupError, UsageError

if TYPE_CHECKING:
    from harness.cluster.ssh.cluster import SshCluster
    from harness.cluster.ssh.link import KeeperLink
    from harness.contract.finding import Finding
    from harness.store.registration import Registration


class SshProvider:
    """Existing hosts, over ssh (``Provider``)."""

    options: tuple[SystemOption, ...] = (
        *ATTACH,
        SystemOption(
            name="nodes_file",
            kind=str,
            default=None,
            help="the hosts, one a line: [user@]host[:port], optionally peer=ADDRESS",
        ),
        SystemOption(
            name="ssh_config",
            kind=str,
            default=None,
            help="the ssh configuration to use (default: ~/.ssh/config)",
        ),
        SystemOption(
            name="host_dir",
            kind=str,
            default=None,
            help="where runs keep their folders on the hosts (default: under /var/tmp)",
        ),
    )
    grace_s = 60.0
    proof_of_end = "the run's processes, cuts and folders on its hosts are gone: each host said so"

    def settle(self, options: Mapping[str, Any], nodes: int | None) -> tuple[dict[str, Any], int]:
        """The options with absolute paths, and how many nodes there are: the file's, or fewer."""
        settled = dict(options)
        for name in ("nodes_file", "ssh_config"):
            if settled.get(name):
                settled[name] = str(expanded(settled[name]).resolve())
        folder = settled.get("host_dir")
        if folder and not folder.startswith("/"):
            raise UsageError(
                f"--host-dir {folder} is no absolute path, and hosts have no folder in common",
                f"--host-dir /var/tmp/{folder.lstrip('~./')}",
            )
        if not settled.get("nodes_file"):
            raise UsageError("the ssh provider needs to know its hosts", NODES_FILE_HINT)
        if settled.get("start_command") and not settled.get("attach"):
            raise UsageError("--start-command is of what is attached to", "--attach")
        count = len(read_nodes_file(Path(settled["nodes_file"])))
        if nodes is not None and nodes > count:
            raise UsageError(
                f"--nodes {nodes}, but {settled['nodes_file']} names {count} hosts",
                f"--nodes {count}, or none",
            )
        return settled, count if nodes is None else nodes

    def choose(self, request: Request) -> str:
        """``ssh``, if every host lets us in; or ``ssh:attach``, which is another provider."""
        if request.options.get("attach"):
            return providers.of("ssh:attach").choose(request)
        from harness.cluster.ssh.cluster import worded
        from harness.cluster.ssh.link import KeeperLink, on_all

        links = {host.node: KeeperLink(host, "none") for host in hosts_of(facts_of(request))}
        _, trouble = on_all(links, _look_in)
        if trouble:
            raise SetupError(*worded(trouble))
        return "ssh"

    def prepare(self, request: Request, tell: Callable[[str], None]) -> None:
        """Nothing: what a host needs comes when it is needed."""

    def spawn(
        self,
        argv: Sequence[str],
        *,
        request: Request,
        run_dir: Path,
        pass_fds: Sequence[int],
        env: Mapping[str, str],
    ) -> RunProcess:
        """Start the run process; the run is registered with its hosts."""
        return bare.spawn(
            argv,
            provider="ssh",
            run_dir=run_dir,
            clean_up=self.clean_up,
            pass_fds=pass_fds,
            env={**env, PROVIDER_VARIABLE: "ssh"},
            facts=facts_of(request),
        )

    def cluster(self, request: Request, run_dir: Path) -> SshCluster:
        """The cluster, not yet connected."""
        from harness.cluster.ssh.cluster import OwnCluster

        facts = facts_of(request)
        ports = ports_of(request.system)
        return OwnCluster(run_dir, hosts_of(facts), facts["host_dir"], ports)

    def believed(
        self, run_dir: Path, registered: Registration, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The hosts, as words that can be hosts; how they are reached, only the user says."""
        from harness.cluster.ssh.found import believed

        return believed(run_dir, registered.facts, options.get("ssh_config"))

    def is_up(self, run_dir: Path, registered: Registration) -> bool:
        """Whether a host still has the run's folder; ``NodeError`` if none can be asked."""
        from harness.cluster.ssh.cluster import worded
        from harness.cluster.ssh.link import on_all

        there, trouble = on_all(links_of(run_dir, registered.facts), _exists)
        if trouble and not there:
            raise NodeError(*worded(trouble))
        return any(there.values())

    def clean_up(self, run_dir: Path, registered: Registration) -> list[str]:
        """End what the run left on its hosts; a sentence for each that is left, or unreachable."""
        from harness.cluster.ssh.link import on_all
        from harness.cluster.ssh.node import end_keeper

        links = links_of(run_dir, registered.facts)
        left, trouble = on_all(links, lambda name, link: end_keeper(link))
        said = [f"{name}: {what}" for name, whats in left.items() for what in whats]
        return [*said, *(str(error) for error in trouble.values())]

    def strays(self, store: Path) -> list[str]:
        """None: what a run makes is known by its registration."""
        return []

    def examine(self, folder: Path) -> list[Finding]:
        """Whether the library is there; hosts are tried when a run names them."""
        from harness.contract.finding import Finding

        if importlib.util.find_spec("paramiko") is None:
            return [Finding("ssh", False, "paramiko is missing", PARAMIKO_HINT)]
        detail = "paramiko is installed; hosts come by --nodes-file"
        return [Finding("ssh", True, detail)]


def facts_of(request: Request) -> dict[str, Any]:
    """What must be known to find the hosts again (JSON). No secret is in it."""
    options, _ = PROVIDER.settle(request.options, len(request.nodes))
    lines = read_nodes_file(Path(options["nodes_file"]))
    return {
        "hosts": [
            [node, word, peer] for node, (word, peer) in zip(request.nodes, lines, strict=False)
        ],
        "ssh_config": options.get("ssh_config"),
        "host_dir": options.get("host_dir") or "",
    }


def links_of(run_dir: Path, facts: Mapping[str, Any]) -> dict[str, KeeperLink]:
    """A line to each of the run's hosts, not yet open."""
    from harness.cluster.ssh.cluster import folder_name, mark
    from harness.cluster.ssh.link import KeeperLink

    run_dir = run_dir.resolve()
    return {
        host.node: KeeperLink(
            host, folder_name(run_dir, host.node), facts.get("host_dir", ""), mark(run_dir)
        )
        for host in hosts_of(facts)
    }


def _look_in(name: str, link: KeeperLink) -> None:
    """Log in and have our program run there, and find no folder of a run called ``none``."""
    link.open(must_exist=True)
    link.close()


def _exists(name: str, link: KeeperLink) -> bool:
    with contextlib.closing(link):
        return link.open(must_exist=True)


PROVIDER = SshProvider()

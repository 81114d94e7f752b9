"""A host's inbound cut, by nft or, where there is none, by iptables; through sudo where needed.

Both drop on input by source address and count what they drop, our own probes apart (two rules a
source, see :mod:`harness.cluster.namespaces.firewall`). nft replaces a whole table in one
transaction;
``iptables-restore --noflush`` does the same with a chain. Only a table, or a chain and the one
jump to it, of our own name is ever touched: the host's other rules stay as they are, and so do
those of other runs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin:/sbin:/usr/local/sbin"])
_TIMEOUT_S = 10.0
_NFT_COUNTED = re.compile(r"^\s*ip6? saddr (\S+) counter packets (\d+)", re.MULTILINE)


class Refused(Exception):
    """This host does not let links be cut; says why."""


class Nft:
    """One table of our own. ``name`` is what the table is called."""

    program = "nft"

    def __init__(self, name: str) -> None:
        self._table = f"inet {name}"

    def cut(self, sources: Sequence[str], probe_port: int) -> None:
        """Drop what comes from these addresses, and nothing else, in one transaction."""
        # Made before it is deleted, so that deleting succeeds whether it was there or not.
        lines = [f"table {self._table}", f"delete table {self._table}"]
        if sources:
            lines += [f"table {self._table} {{", "chain cut {"]
            lines += ["type filter hook input priority -10; policy accept;"]
            for source in sources:
                match = f"{'ip6' if ':' in source else 'ip'} saddr {source}"
                lines += [f"{match} udp dport {probe_port} counter drop", f"{match} counter drop"]
            lines += ["}", "}"]
        _as_root([self.program, "-f", "-"], "\n".join([*lines, ""]))

    def dropped(self) -> dict[str, int]:
        """Packets dropped by the present cut per source address, probes apart."""
        listed = _as_root([self.program, "-nn", "list", "table", *self._table.split()])
        return {source: int(packets) for source, packets in _NFT_COUNTED.findall(listed)}

    def end(self) -> None:
        """Let everything pass. Safe twice."""
        self.cut([], 0)


class Iptables:
    """One chain of our own and the jump to it, for IPv4. ``name`` is what the chain is called."""

    program = "iptables"

    def __init__(self, name: str) -> None:
        self._chain = name[:28]
        self._jump = ["INPUT", "-j", self._chain]

    def cut(self, sources: Sequence[str], probe_port: int) -> None:
        """Drop what comes from these addresses, and nothing else, in one transaction."""
        if any(":" in source for source in sources):
            raise Refused("iptables cuts no IPv6 addresses; install nftables")
        lines = ["*filter", f":{self._chain} - [0:0]"]
        for source in sources:
            rule = f"-A {self._chain} -s {source}/32"
            lines += [f"{rule} -p udp --dport {probe_port} -j DROP", f"{rule} -j DROP"]
        _as_root(["iptables-restore", "-w", "--noflush"], "\n".join([*lines, "COMMIT", ""]))
        if not self._has_jump():
            _as_root([self.program, "-w", "-I", *self._jump])

    def dropped(self) -> dict[str, int]:
        """Packets dropped by the present cut per source address, probes apart."""
        listed = _as_root([self.program, "-w", "-nvxL", self._chain])
        rows = [line.split() for line in listed.splitlines()[2:]]
        return {row[7]: int(row[0]) for row in rows if "dpt:" not in " ".join(row)}

    def end(self) -> None:
        """Let everything pass. Safe twice."""
        while self._has_jump():
            _as_root([self.program, "-w", "-D", *self._jump])
        try:
            _as_root([self.program, "-w", "-F", self._chain])
            _as_root([self.program, "-w", "-X", self._chain])
        except Refused as refusal:
            if "No chain" not in str(refusal):
                raise

    def _has_jump(self) -> bool:
        try:
            _as_root([self.program, "-w", "-C", *self._jump])
        except Refused as refusal:
            if "sudo" in str(refusal):
                raise
            return False
        return True


def choose(name: str) -> Nft | Iptables:
    """What this host cuts with, tried on an empty cut; ``Refused`` says why nothing works."""
    why = []
    for kind in (Nft, Iptables):
        if shutil.which(kind.program, path=_PATH) is None:
            continue
        try:
            tool = kind(name)
            tool.cut([], 1)
            tool.end()
            return tool
        except Refused as refusal:
            why.append(str(refusal))
    raise Refused("; ".join(why) or "there is neither nft nor iptables")


def _as_root(argv: list[str], script: str = "") -> str:
    """What the program printed; ``Refused`` with what it said where it failed."""
    program = shutil.which(argv[0], path=_PATH) or argv[0]
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    try:
        done = subprocess.run(
            [*sudo, program, *argv[1:]],
            input=script.encode(),
            capture_output=True,
            timeout=_TIMEOUT_S,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (FileNotFoundError, PermissionError):
        missing = "sudo" if sudo and shutil.which("sudo") is None else argv[0]
        raise Refused(f"there is no {missing}") from None
    except subprocess.TimeoutExpired:
        raise Refused(f"{argv[0]} did not end in {_TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise Refused(f"{argv[0]}: {said[-300:] or f'exit code {done.returncode}'}")
    return done.stdout.decode(errors="replace")

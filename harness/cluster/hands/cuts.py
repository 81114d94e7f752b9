"""A node's inbound cut: its shape, and how nft makes it or, where there is none, iptables.

A cut drops on input at the destination, never at the sender: the sender must learn nothing (a
black-hole route would tell it at once). TCP connections that stand are cut like new ones. Per
source there are two rules, each with a counter (:func:`rules`)::

    table T { chain cut { type filter hook input priority -10
        ip saddr S udp dport PROBE counter drop      # our own probes of the link
        ip saddr S                 counter drop      # everything else: the database's traffic
    } }

so that what is counted as dropped is what the database sent and not what proved the link cut. A
cut replaces the earlier one in one transaction of the kernel: no packet passes between the two.
A source is an address; ``ADDRESS@PORT``, of which only TCP that has that port at one of its ends is
dropped; or ``*@PORT!ADDRESS,...``, whoever is none of these, when it connects to that port: the
clients. But for those nobody is named beside the nodes: the controller always gets through.

nft replaces a whole table in one transaction; ``iptables-restore --noflush`` does the same with a
chain; both through sudo where needed. Only a table, or a chain and the one jump to it, of our own
name is ever touched: a host's other rules stay as they are, and so do those of other runs. Where
no program is needed, by netlink, is :mod:`harness.cluster.namespaces.firewall`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import NamedTuple

from .inside import Part
from .refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from .inside import Inside

PROBE_PORT = 47077
TABLE = "polygraph"
"""Of a node that has its network to itself."""
CHAIN = "cut"
PRIORITY = -10

_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin:/sbin:/usr/local/sbin"])
_TIMEOUT_S = 10.0
_NFT_COUNTER = re.compile(r"\bcounter packets (\d+)")
ANYBODY = "*"
"""The source of an entry that means clients."""


class Rule(NamedTuple):
    """A packet from ``address`` (from any, if empty) is dropped, or else let pass at once.

    Only those of ``protocol`` with ``port`` at one ``end``, if these are given. What it counts is
    of the database and dropped on account of the source ``counts``, if that is not empty.
    """

    address: str
    protocol: str = ""
    end: str = ""
    port: int = 0
    drops: bool = True
    counts: str = ""


def rules(sources: Iterable[str], probe_port: int) -> list[Rule]:
    """The rules of a cut, in order: those of clients last, since they let nodes pass."""
    every = sorted(sources, key=lambda source: source.startswith(ANYBODY))
    return [rule for source in every for rule in _rules_of(source, probe_port)]


def dropped_by_source(of_cut: Iterable[Rule], counted: Sequence[int]) -> dict[str, int]:
    """Packets dropped by source, of the counters of all that drop; none if it was another cut."""
    dropping = [rule for rule in of_cut if rule.drops]
    found = {}  # type: dict[str, int]
    if len(dropping) == len(counted):
        for rule, packets in zip(dropping, counted):  # noqa: B905 - hosts may have Python 3.7
            if rule.counts:
                found[rule.counts] = found.get(rule.counts, 0) + packets
    return found


def _rules_of(source: str, probe_port: int) -> list[Rule]:
    address, _, at = source.partition("@")
    if not at:
        return [Rule(address, "udp", "dport", probe_port), Rule(address, counts=source)]
    port, _, spared = at.partition("!")
    if address != ANYBODY:
        ends = ("dport", "sport")
        return [Rule(address, "tcp", end, int(port), counts=source) for end in ends]
    return [
        *(Rule(each, drops=False) for each in spared.split(",") if each),
        Rule("", "tcp", "dport", int(port), counts=source),
    ]


class Nft:
    """One table of our own. ``name`` is what the table is called."""

    program = "nft"

    def __init__(self, name: str) -> None:
        self._table = f"inet {name}"

    def rehearse(self) -> None:
        """Make what a cut needs and remove it; ``Refused`` where that is not allowed."""
        self.cut([], 0)

    def cut(self, sources: Sequence[str], probe_port: int) -> None:
        """Drop what comes from these addresses, and nothing else, in one transaction."""
        # Made before it is deleted, so that deleting succeeds whether it was there or not.
        lines = [f"table {self._table}", f"delete table {self._table}"]
        if sources:
            lines += [f"table {self._table} {{", f"chain {CHAIN} {{"]
            lines += [f"type filter hook input priority {PRIORITY}; policy accept;"]
            lines += [_as_nft(rule) for rule in rules(sources, probe_port)]
            lines += ["}", "}"]
        _as_root([self.program, "-f", "-"], "\n".join([*lines, ""]))

    def dropped(self, sources: Sequence[str], probe_port: int) -> dict[str, int]:
        """Packets dropped by the present cut, which is of these, per source, probes apart."""
        try:
            listed = _as_root([self.program, "-nn", "list", "table", *self._table.split()])
        except Refused as refusal:
            if "No such file" in str(refusal):
                return {}  # no table, no cut
            raise
        counted = [int(packets) for packets in _NFT_COUNTER.findall(listed)]
        return dropped_by_source(rules(sources, probe_port), counted)

    def end(self) -> None:
        """Let everything pass. Safe twice."""
        self.cut([], 0)


class Iptables:
    """One chain of our own and the jump to it, for IPv4. ``name`` is what the chain is called."""

    program = "iptables"

    def __init__(self, name: str) -> None:
        self._chain = name[:28]
        self._jump = ["INPUT", "-j", self._chain]

    def rehearse(self) -> None:
        """Make what a cut needs and remove it; ``Refused`` where that is not allowed."""
        self.cut([], 1)
        self.end()

    def cut(self, sources: Sequence[str], probe_port: int) -> None:
        """Drop what comes from these addresses, and nothing else, in one transaction."""
        if any(":" in source for source in sources):
            raise Refused("iptables cuts no IPv6 addresses; install nftables")
        lines = ["*filter", f":{self._chain} - [0:0]"]
        lines += [f"-A {self._chain} {_as_iptables(rule)}" for rule in rules(sources, probe_port)]
        _as_root(["iptables-restore", "-w", "--noflush"], "\n".join([*lines, "COMMIT", ""]))
        if not self._has_jump():
            _as_root([self.program, "-w", "-I", *self._jump])

    def dropped(self, sources: Sequence[str], probe_port: int) -> dict[str, int]:
        """Packets dropped by the present cut, which is of these, per source, probes apart."""
        listed = _as_root([self.program, "-w", "-nvxL", self._chain])
        rows = [line.split() for line in listed.splitlines()[2:]]
        counted = [int(row[0]) for row in rows if row[2] == "DROP"]
        return dropped_by_source(rules(sources, probe_port), counted)

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


def _as_nft(rule: Rule) -> str:
    words = [f"{'ip6' if ':' in rule.address else 'ip'} saddr {rule.address}"] * bool(rule.address)
    words += [f"{rule.protocol} {rule.end} {rule.port}"] * bool(rule.port)
    return " ".join([*words, "counter drop" if rule.drops else "return"])


def _as_iptables(rule: Rule) -> str:
    address = rule.address if "/" in rule.address else f"{rule.address}/32"
    words = [f"-s {address}"] * bool(rule.address)
    words += [f"-p {rule.protocol} --{rule.end} {rule.port}"] * bool(rule.port)
    return " ".join([*words, "-j", "DROP" if rule.drops else "RETURN"])


_KINDS = (Nft, Iptables)


class Cutter(Part):
    """What this node cuts with, chosen once, also for whoever sits in the node after us."""

    _tool: Nft | Iptables | None = None

    def tool(self, name: str) -> Nft | Iptables:
        """The program, cutting under that name; ``Refused`` says why nothing works here."""
        if self._tool is None:
            self._tool = self._chosen_before(name) or choose(name)
            if self.folder:
                with open(self._note(), "w", encoding="ascii") as file:
                    file.write(f"{self._tool.program} {name}")
        return self._tool

    def end(self) -> None:
        """Let every link carry again, whoever has cut it."""
        tool = self._tool or self._chosen_before()
        if tool is None:
            return
        try:
            tool.end()
        except Refused as refusal:
            raise Refused(f"its cut is in force: {refusal}") from refusal

    def _chosen_before(self, name: str = "") -> Nft | Iptables | None:
        """What was cut with before us; trying again would let the links carry."""
        if not self.folder:
            return None
        try:
            with open(self._note(), encoding="ascii") as file:
                program, chosen = file.read().split()
        except (FileNotFoundError, ValueError):
            return None
        return {kind.program: kind for kind in _KINDS}[program](chosen)

    def _note(self) -> str:
        return os.path.join(self.folder, "cutter")


def choose(name: str) -> Nft | Iptables:
    """What this host cuts with, tried on an empty cut; ``Refused`` says why nothing works."""
    why = []
    for kind in _KINDS:
        if shutil.which(kind.program, path=_PATH) is None:
            continue
        try:
            tool = kind(name)
            tool.rehearse()
            return tool
        except Refused as refusal:
            why.append(str(refusal))
    raise Refused("; ".join(why) or "there is neither nft nor iptables")


def rehearse(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: choose what links are cut with, by trying it. ``table`` names the cut."""
    return {"tool": inside.part(Cutter).tool(request["table"]).program}


def cut(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: drop what comes from ``sources`` and nothing else, beside it ``probe_port``."""
    tool = inside.part(Cutter).tool(request["table"])
    if request["sources"]:
        tool.cut(request["sources"], request["probe_port"])
    else:
        tool.end()
    return {}


def dropped(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: packets of the database that the present cut dropped, by source.

    ``sources`` are those of the cut that is asked about.
    """
    tool = inside.part(Cutter).tool(request["table"])
    return {"dropped": tool.dropped(request["sources"], request["probe_port"])}


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

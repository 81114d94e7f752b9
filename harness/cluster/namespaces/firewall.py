"""A node's inbound cut: an nftables table that drops packets by source and counts them.

A cut drops on input at the destination, never at the sender: the sender must learn nothing (a
black-hole route would tell it at once). TCP connections that stand are cut like new ones. Per
source there are two rules::

    table ip polygraph { chain cut { type filter hook input priority -10
        ip saddr S udp dport PROBE counter drop      # our own probes of the link
        ip saddr S                 counter drop      # everything else: the database's traffic
    } }

so that :func:`dropped` counts what the database sent and not what proved the link cut. A cut
replaces the earlier one in one transaction of the kernel: no packet passes between the two.
Addresses other than the nodes' are named nowhere: the controller always gets through.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from harness.cluster.namespaces.netlink import (
    ACK,
    APPEND,
    CREATE,
    DUMP,
    NETFILTER,
    Netlink,
    Request,
)

PROBE_PORT = 47077

_TABLE = "polygraph"
_CHAIN = "cut"
_SUBSYSTEM = 10
_BATCH_BEGIN = 0x10
_BATCH_END = 0x11
_NEWTABLE = _SUBSYSTEM << 8
_DELTABLE = _NEWTABLE | 2
_NEWCHAIN = _NEWTABLE | 3
_NEWRULE = _NEWTABLE | 6
_GETRULE = _NEWTABLE | 7

_HOOK_INPUT = 1
_PRIORITY = -10
_DROP = 0
_ACCEPT = 1
_NETWORK_HEADER = 1
_TRANSPORT_HEADER = 2


class Firewall:
    """The cut of one node. Made inside the node's network namespace; safe from any thread."""

    def __init__(self) -> None:
        self._netlink = Netlink(NETFILTER)

    def close(self) -> None:
        """Close the socket; rules stay as they are."""
        self._netlink.close()

    def cut(self, sources: Sequence[str]) -> None:
        """Drop what comes from these addresses, and nothing else, in one transaction."""
        requests = [_begin(), *_no_table()]
        if sources:
            requests += [_table(_NEWTABLE), _chain()]
        for source in sources:
            requests += [_drop(source, probe=True), _drop(source, probe=False)]
        self._netlink.tell([*requests, _end()])

    def dropped(self) -> Mapping[str, int]:
        """Packets dropped by the present cut per source address, probes apart."""
        from pyroute2.netlink.nfnetlink.nftsocket import nft_rule_msg

        request = Request(nft_rule_msg(), _GETRULE, DUMP, _family(), [("NFTA_RULE_TABLE", _TABLE)])
        counts: dict[str, int] = {}
        try:
            answers = self._netlink.dump(request)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return counts
            raise
        for data in answers:
            message = nft_rule_msg(data)
            message.decode()
            if message.get_attr("NFTA_RULE_TABLE") == _TABLE:
                counts |= _counted(message)
        return counts


def _counted(message: Any) -> dict[str, int]:
    """{source: packets} of a rule, or nothing if it is the one for probes."""
    compared: list[bytes] = []
    packets = 0
    for expression in message.get_attr("NFTA_RULE_EXPRESSIONS"):
        data = expression.get_attr("NFTA_EXPR_DATA")
        if expression.get_attr("NFTA_EXPR_NAME") == "cmp":
            compared.append(data.get_attr("NFTA_CMP_DATA").get_attr("NFTA_DATA_VALUE"))
        elif expression.get_attr("NFTA_EXPR_NAME") == "counter":
            packets = int(data.get_attr("NFTA_COUNTER_PACKETS"))
    return {socket.inet_ntoa(compared[0]): packets} if len(compared) == 1 else {}


def _drop(source: str, *, probe: bool) -> Request:
    from pyroute2.netlink.nfnetlink.nftsocket import nft_rule_msg

    expressions = _matches(_NETWORK_HEADER, 12, socket.inet_aton(source))
    if probe:
        expressions += _matches(_NETWORK_HEADER, 9, bytes([socket.IPPROTO_UDP]))
        expressions += _matches(_TRANSPORT_HEADER, 2, struct.pack(">H", PROBE_PORT))
    verdict = {"attrs": [("NFTA_DATA_VERDICT", {"attrs": [("NFTA_VERDICT_CODE", _DROP)]})]}
    expressions += [
        _expression("counter", bytes=0, packets=0),
        _expression("immediate", dreg=0, data=verdict),
    ]
    attributes = [
        ("NFTA_RULE_TABLE", _TABLE),
        ("NFTA_RULE_CHAIN", _CHAIN),
        ("NFTA_RULE_EXPRESSIONS", expressions),
    ]
    return Request(nft_rule_msg(), _NEWRULE, ACK | CREATE | APPEND, _family(), attributes)


def _matches(base: int, offset: int, value: bytes) -> list[Any]:
    """The packet's bytes at ``offset`` of that header equal ``value``."""
    wanted = {"attrs": [("NFTA_DATA_VALUE", value)]}
    return [
        _expression("payload", dreg=1, base=base, offset=offset, len=len(value)),
        _expression("cmp", sreg=1, op=0, data=wanted),
    ]


def _expression(name: str, **attributes: Any) -> Any:
    from pyroute2.nftables.expressions import genex

    return genex(name, attributes)


def _no_table() -> list[Request]:
    """Delete the table, whether it is there or not: made first, so that deleting succeeds."""
    return [_table(_NEWTABLE), _table(_DELTABLE)]


def _table(kind: int) -> Request:
    from pyroute2.netlink.nfnetlink.nftsocket import nft_table_msg

    flags = ACK | CREATE if kind == _NEWTABLE else ACK
    return Request(nft_table_msg(), kind, flags, _family(), [("NFTA_TABLE_NAME", _TABLE)])


def _chain() -> Request:
    from pyroute2.netlink.nfnetlink.nftsocket import nft_chain_msg

    hook = {"attrs": [["NFTA_HOOK_HOOKNUM", _HOOK_INPUT], ["NFTA_HOOK_PRIORITY", _PRIORITY]]}
    attributes = [
        ("NFTA_CHAIN_TABLE", _TABLE),
        ("NFTA_CHAIN_NAME", _CHAIN),
        ("NFTA_CHAIN_HOOK", hook),
        ("NFTA_CHAIN_TYPE", "filter"),
        ("NFTA_CHAIN_POLICY", _ACCEPT),
    ]
    return Request(nft_chain_msg(), _NEWCHAIN, ACK | CREATE, _family(), attributes)


def _begin() -> Request:
    from pyroute2.netlink.nfnetlink import nfgen_msg

    return Request(nfgen_msg(), _BATCH_BEGIN, 0, {"res_id": _SUBSYSTEM})


def _end() -> Request:
    from pyroute2.netlink.nfnetlink import nfgen_msg

    return Request(nfgen_msg(), _BATCH_END, 0, {"res_id": _SUBSYSTEM})


def _family() -> dict[str, int]:
    return {"nfgen_family": int(socket.AF_INET)}

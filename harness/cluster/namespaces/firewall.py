"""A node's inbound cut by netlink: no program is needed for it, nor a process in the node.

Its shape is that of every cut (:mod:`harness.cluster.hands.cuts`): one table with one chain on
input, and per source a rule for our probes and one for all else, each with a counter. It replaces
the earlier one in one transaction.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.cluster.hands.cuts import (
    CHAIN,
    PRIORITY,
    PROBE_PORT,
    TABLE,
    Rule,
    dropped_by_source,
    rules,
)
from harness.cluster.namespaces.netlink import (
    ACK,
    APPEND,
    CREATE,
    DUMP,
    NETFILTER,
    Netlink,
    Packed,
    Request,
    pyroute2,
)

_SUBSYSTEM = 10
_BATCH_BEGIN = 0x10
_BATCH_END = 0x11
_NEWTABLE = _SUBSYSTEM << 8
_DELTABLE = _NEWTABLE | 2
_NEWCHAIN = _NEWTABLE | 3
_NEWRULE = _NEWTABLE | 6
_GETRULE = _NEWTABLE | 7

_HOOK_INPUT = 1
_DROP = 0
_ACCEPT = 1
_RETURN = -5
_NETWORK_HEADER = 1
_TRANSPORT_HEADER = 2
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_ENDS = {"sport": 0, "dport": 2}
"""Where in the transport header each port stands."""


class Firewall:
    """The cut of one node. Made inside the node's network namespace; safe from any thread."""

    def __init__(self) -> None:
        self._netlink = Netlink(NETFILTER)

    def close(self) -> None:
        """Close the socket; rules stay as they are."""
        self._netlink.close()

    def cut(self, sources: Sequence[str]) -> None:
        """Drop what comes from these addresses, and nothing else, in one transaction."""
        self._netlink.tell(_transaction(sources))

    def prepare(self, sources: Sequence[str]) -> Packed:
        """The same, packed for :func:`cut_at_once`."""
        return self._netlink.pack(_transaction(sources))

    def dropped(self, sources: Sequence[str]) -> Mapping[str, int]:
        """Packets dropped by the present cut, which is of these, per source, probes apart."""
        nft_rule_msg = pyroute2("netlink.nfnetlink.nftsocket").nft_rule_msg

        request = Request(nft_rule_msg(), _GETRULE, DUMP, _family(), [("NFTA_RULE_TABLE", TABLE)])
        try:
            answers = self._netlink.dump(request)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return {}
            raise
        counted: list[int] = []
        for data in answers:
            message = nft_rule_msg(data)
            message.decode()
            if message.get_attr("NFTA_RULE_TABLE") == TABLE:
                counted += _counted(message)
        return dropped_by_source(rules(sources, PROBE_PORT), counted)


def cut_at_once(prepared: Sequence[tuple[Firewall, Packed]]) -> Callable[[], None]:
    """Have all these cuts made now, one straight after the other; waits for none of them.

    What is returned waits, and raises where one was refused; call it once, from any thread.
    """
    links = [firewall._netlink for firewall, _ in prepared]
    for link in links:
        link.lock.acquire()
    sent: list[tuple[Netlink, Packed]] = []
    trouble: list[OSError] = []
    try:
        for link, (_, packed) in zip(links, prepared, strict=True):
            link.send(packed)
            sent.append((link, packed))
    except OSError as error:
        trouble.append(error)

    def settle() -> None:
        for link, packed in sent:
            try:
                link.answer(packed)
            except OSError as error:
                trouble.append(error)
        for link in links:
            link.lock.release()
        if trouble:
            raise trouble[0]

    return settle


def _transaction(sources: Sequence[str]) -> list[Request]:
    requests = [_begin(), *_no_table()]
    if sources:
        requests += [_table(_NEWTABLE), _chain()]
    requests += [_as_request(rule) for rule in rules(sources, PROBE_PORT)]
    return [*requests, _end()]


def _counted(message: Any) -> list[int]:
    """The packets that a rule counted, if it counts."""
    return [
        int(expression.get_attr("NFTA_EXPR_DATA").get_attr("NFTA_COUNTER_PACKETS"))
        for expression in message.get_attr("NFTA_RULE_EXPRESSIONS")
        if expression.get_attr("NFTA_EXPR_NAME") == "counter"
    ]


def _as_request(rule: Rule) -> Request:
    nft_rule_msg = pyroute2("netlink.nfnetlink.nftsocket").nft_rule_msg

    expressions: list[Any] = []
    if rule.address:
        expressions += _matches(_NETWORK_HEADER, 12, _address(rule.address))
    if rule.port:
        expressions += _matches(_NETWORK_HEADER, 9, bytes([_PROTOCOLS[rule.protocol]]))
        expressions += _matches(_TRANSPORT_HEADER, _ENDS[rule.end], struct.pack(">H", rule.port))
    if rule.drops:
        expressions += [_expression("counter", bytes=0, packets=0)]
    code = _DROP if rule.drops else _RETURN
    verdict = {"attrs": [("NFTA_DATA_VERDICT", {"attrs": [("NFTA_VERDICT_CODE", code)]})]}
    expressions += [_expression("immediate", dreg=0, data=verdict)]
    attributes = [
        ("NFTA_RULE_TABLE", TABLE),
        ("NFTA_RULE_CHAIN", CHAIN),
        ("NFTA_RULE_EXPRESSIONS", expressions),
    ]
    return Request(nft_rule_msg(), _NEWRULE, ACK | CREATE | APPEND, _family(), attributes)


def _address(text: str) -> bytes:
    """An address, or the first bytes that those of a network (``127.0.0.0/8``) have in common."""
    address, _, bits = text.partition("/")
    return socket.inet_aton(address)[: int(bits or 32) // 8]


def _matches(base: int, offset: int, value: bytes) -> list[Any]:
    """The packet's bytes at ``offset`` of that header equal ``value``."""
    wanted = {"attrs": [("NFTA_DATA_VALUE", value)]}
    return [
        _expression("payload", dreg=1, base=base, offset=offset, len=len(value)),
        _expression("cmp", sreg=1, op=0, data=wanted),
    ]


def _expression(name: str, **attributes: Any) -> Any:
    genex = pyroute2("nftables.expressions").genex

    return genex(name, attributes)


def _no_table() -> list[Request]:
    """Delete the table, whether it is there or not: made first, so that deleting succeeds."""
    return [_table(_NEWTABLE), _table(_DELTABLE)]


def _table(kind: int) -> Request:
    nft_table_msg = pyroute2("netlink.nfnetlink.nftsocket").nft_table_msg

    flags = ACK | CREATE if kind == _NEWTABLE else ACK
    return Request(nft_table_msg(), kind, flags, _family(), [("NFTA_TABLE_NAME", TABLE)])


def _chain() -> Request:
    nft_chain_msg = pyroute2("netlink.nfnetlink.nftsocket").nft_chain_msg

    hook = {"attrs": [["NFTA_HOOK_HOOKNUM", _HOOK_INPUT], ["NFTA_HOOK_PRIORITY", PRIORITY]]}
    attributes = [
        ("NFTA_CHAIN_TABLE", TABLE),
        ("NFTA_CHAIN_NAME", CHAIN),
        ("NFTA_CHAIN_HOOK", hook),
        ("NFTA_CHAIN_TYPE", "filter"),
        ("NFTA_CHAIN_POLICY", _ACCEPT),
    ]
    return Request(nft_chain_msg(), _NEWCHAIN, ACK | CREATE, _family(), attributes)


def _begin() -> Request:
    nfgen_msg = pyroute2("netlink.nfnetlink").nfgen_msg

    return Request(nfgen_msg(), _BATCH_BEGIN, 0, {"res_id": _SUBSYSTEM})


def _end() -> Request:
    nfgen_msg = pyroute2("netlink.nfnetlink").nfgen_msg

    return Request(nfgen_msg(), _BATCH_END, 0, {"res_id": _SUBSYSTEM})


def _family() -> dict[str, int]:
    return {"nfgen_family": int(socket.AF_INET)}

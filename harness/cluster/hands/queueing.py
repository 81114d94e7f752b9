"""Asking the kernel, without any program, to hand over the packets of some links: netfilter queues.

Links that are slow or lossy need somebody who holds packets back. tc's netem does that where the
kernel has it, on the way *out* and for a whole interface, by a program; a queue of netfilter
(nfnetlink_queue, Linux 2.6.14 on) does it on the way *in* at the destination, by source, so that a
directed link is one rule, as in a cut (:mod:`.cuts`). nft has no queue on every kernel, iptables'
target nearly always is there; so the rule is nft's, its target iptables' (nft_compat)::

    table ip polygraph-links { chain links { type filter hook input priority -5
        meta mark MARK accept                       # what the shaper itself sent a second time
        ip saddr S udp dport PROBE accept           # our own probes of cut links
        ip saddr S udp dport METER NFQUEUE num 77 bypass    # our own measuring of these
        ip saddr S counter NFQUEUE num 77 bypass    # the database's; who reads the queue decides
    } }

``bypass`` lets all pass when nobody reads: a shaper that dies heals its links. What a cut drops
never comes so far. Messages as in nfnetlink(7), netlink(7), linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import os
import socket
import struct

from .cuts import PROBE_PORT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TABLE = "polygraph-links"
CHAIN = "links"
PRIORITY = -5
QUEUE = 77
METER_PORT = 47078
MARK = 0x506C79

_NETFILTER = 12
_ACK, _CREATE, _APPEND, _DUMP = 0x4, 0x400, 0x800, 0x300
_BATCH_BEGIN, _BATCH_END, _ERROR, _DONE = 0x10, 0x11, 2, 3
_TABLES, _QUEUES = 10 << 8, 3 << 8
_NEWTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE, _GETRULE = (_TABLES | n for n in (0, 2, 3, 6, 7))
_PACKET, _VERDICT, _CONFIG = (_QUEUES | n for n in (0, 1, 2))
_HEADER = struct.Struct("=IHHII")
_IPV4 = 2
_NESTED = 0x8000
_MOST_BYTES = 1 << 18
_ROOM_BYTES = 1 << 23


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute, padded."""
    return struct.pack("=HH", len(data) + 4, kind) + data + b"\0" * (-len(data) % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    """One attribute that holds others."""
    return attribute(kind | _NESTED, b"".join(parts))


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each."""
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += (length + 3) & ~3


class Rules:
    """The table of one node. Made in its network namespace; ``OSError`` where that is forbidden."""

    def __init__(self, opened: socket.socket | None = None) -> None:
        self._socket = opened or open_netfilter()
        self._number = 0

    def close(self) -> None:
        """Let go of the socket; rules stay as they are."""
        self._socket.close()

    def queue(self, sources: Sequence[str]) -> None:
        """Hand over what comes from these addresses, and nothing else, in one transaction."""
        name = attribute(1, TABLE.encode() + b"\0")
        batch = [(_NEWTABLE, _ACK | _CREATE, name), (_DELTABLE, _ACK, name)]
        if sources:
            hook = nested(4, attribute(1, _whole(1)), attribute(2, struct.pack(">i", PRIORITY)))
            chain = attribute(3, CHAIN.encode() + b"\0") + hook + attribute(7, b"filter\0")
            batch += [
                (_NEWTABLE, _ACK | _CREATE, name),
                (_NEWCHAIN, _ACK | _CREATE, name + chain + attribute(5, _whole(1))),
                _rule([_marked(), _verdict()]),
            ]
        for source in sources:
            from_there = _loaded(1, 12, socket.inet_aton(source))
            batch += [_rule([from_there, _to_udp(PROBE_PORT), _verdict()])]
            batch += [_rule([from_there, _to_udp(METER_PORT), _queue()])]
            batch += [_rule([from_there, _expression("counter", b""), _queue()])]
        self._transact(batch)

    def counted(self) -> Mapping[str, int]:
        """Packets of the database that the present rules handed over, by source address."""
        name = attribute(1, TABLE.encode() + b"\0")
        found = {}
        for kind, payload in self._ask(_GETRULE, _DUMP, name):
            if kind == _NEWRULE:
                source, packets = _source_and_packets(payload[4:])
                if source and packets is not None:
                    found[source] = packets
        return found

    def _transact(self, batch: Sequence[tuple[int, int, bytes]]) -> None:
        first = self._number + 1
        parts = [self._message(_BATCH_BEGIN, 0, b"", 0, 10)]
        parts += [self._message(kind, flags, body) for kind, flags, body in batch]
        parts += [self._message(_BATCH_END, 0, b"", 0, 10)]
        self._socket.send(b"".join(parts))
        waiting = len(batch)
        while waiting:
            for kind, number, payload in messages(self._socket.recv(_MOST_BYTES)):
                if kind == _ERROR and number >= first:
                    raise_if_refused(payload)
                    waiting -= 1

    def _ask(self, kind: int, flags: int, body: bytes) -> Iterator[tuple[int, bytes]]:
        self._socket.send(self._message(kind, flags, body))
        while True:
            for found, number, payload in messages(self._socket.recv(_MOST_BYTES)):
                if number != self._number:
                    continue
                if found in (_ERROR, _DONE):
                    return  # no table, no rules
                yield found, payload

    def _message(
        self, kind: int, flags: int, body: bytes, family: int = _IPV4, resource: int = 0
    ) -> bytes:
        self._number += 1
        body = struct.pack(">BBH", family, 0, resource) + body
        return _HEADER.pack(len(body) + 16, kind, flags | 1, self._number, 0) + body


class Queue:
    """The packets that were handed over; whoever made it decides what becomes of each."""

    def __init__(self, opened: socket.socket | None = None) -> None:
        self.socket = opened or open_netfilter()
        for option in (socket.SO_RCVBUF, getattr(socket, "SO_RCVBUFFORCE", 33)):
            try:
                self.socket.setsockopt(socket.SOL_SOCKET, option, _ROOM_BYTES)
            except OSError:
                continue  # only who rules the machine may have more than it allows
        self._tell(_CONFIG, attribute(1, struct.pack(">BxH", 1, _IPV4)))  # it is ours
        self._tell(_CONFIG, attribute(2, struct.pack(">IB", 0xFFFF, 2)))  # whole packets
        self._tell(_CONFIG, attribute(3, _whole(65535)))
        self._tell(_CONFIG, attribute(4, _whole(1)) + attribute(5, _whole(1)))  # full: let pass
        self.socket.setblocking(False)

    def close(self) -> None:
        """Let go of it: what is held and what comes passes."""
        self.socket.close()

    def take(self) -> Iterator[tuple[int, bytes]]:
        """What has come: the number by which to decide, and the packet from its IP header on."""
        while True:
            try:
                data = self.socket.recv(_MOST_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue  # more came than there was room for; those passed
            for kind, _, payload in messages(data):
                if kind == _PACKET:
                    found = dict(attributes(payload[4:]))
                    if 1 in found and 10 in found:
                        yield struct.unpack_from(">I", found[1])[0], found[10]

    def decide(self, number: int, passes: bool, changed: bytes | None = None) -> None:
        """Let it pass, as it was or ``changed``, or drop it."""
        body = attribute(2, struct.pack(">II", 1 if passes else 0, number))
        if changed is not None:
            body += attribute(10, changed)
        self.socket.send(_to_queue(_VERDICT, 1, body))

    def _tell(self, kind: int, body: bytes) -> None:
        self.socket.send(_to_queue(kind, 1 | _ACK, body))
        for found, _, payload in messages(self.socket.recv(_MOST_BYTES)):
            if found == _ERROR:
                raise_if_refused(payload)


def open_netfilter() -> socket.socket:
    """A netlink socket for netfilter in the calling thread's network namespace."""
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
    opened.bind((0, 0))
    opened.settimeout(10)
    return opened


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, number and content of each message."""
    while len(data) >= 16:
        length, kind, _, number, _ = _HEADER.unpack_from(data)
        yield kind, number, data[16:length]
        data = data[(length + 3) & ~3 :]


def raise_if_refused(payload: bytes) -> None:
    """``OSError`` with the kernel's number where an answer is one."""
    number = -struct.unpack_from("=i", payload)[0]
    if number:
        raise OSError(number, os.strerror(number))


def _to_queue(kind: int, flags: int, body: bytes) -> bytes:
    body = struct.pack(">BBH", 0, 0, QUEUE) + body
    return _HEADER.pack(len(body) + 16, kind, flags, 1, 0) + body


def _whole(number: int) -> bytes:
    return struct.pack(">I", number)


def _rule(expressions: Sequence[bytes]) -> tuple[int, int, bytes]:
    body = attribute(1, TABLE.encode() + b"\0") + attribute(2, CHAIN.encode() + b"\0")
    return _NEWRULE, _ACK | _CREATE | _APPEND, body + nested(4, b"".join(expressions))


def _expression(name: str, data: bytes) -> bytes:
    return nested(1, attribute(1, name.encode() + b"\0"), nested(2, data))


def _loaded(base: int, offset: int, value: bytes) -> bytes:
    """The packet's bytes at ``offset`` of that header equal ``value``."""
    load = attribute(1, _whole(1)) + attribute(2, _whole(base))
    load += attribute(3, _whole(offset)) + attribute(4, _whole(len(value)))
    return _expression("payload", load) + _compared(value)


def _to_udp(port: int) -> bytes:
    return _loaded(1, 9, bytes([socket.IPPROTO_UDP])) + _loaded(2, 2, struct.pack(">H", port))


def _compared(value: bytes) -> bytes:
    compare = attribute(1, _whole(1)) + attribute(2, _whole(0))
    return _expression("cmp", compare + nested(3, attribute(1, value)))


def _marked() -> bytes:
    mark = attribute(1, _whole(1)) + attribute(2, _whole(3))  # into register 1, the mark
    return _expression("meta", mark) + _compared(struct.pack("=I", MARK))


def _verdict() -> bytes:
    accept = nested(2, nested(2, attribute(1, _whole(1))))
    return _expression("immediate", attribute(1, _whole(0)) + accept)


def _queue() -> bytes:
    """iptables' target in its third form: number, one queue, ``bypass``."""
    told = struct.pack("=HHHxx", QUEUE, 1, 1)
    target = attribute(1, b"NFQUEUE\0") + attribute(2, _whole(3)) + attribute(3, told)
    return _expression("target", target)


def _source_and_packets(rule: bytes) -> tuple[str, int | None]:
    """Of a rule as the kernel tells it: the address it is about, and how many packets it met."""
    source, packets = "", None
    for _, expression in attributes(dict(attributes(rule)).get(4, b"")):
        parts = dict(attributes(expression))
        name, data = parts.get(1, b"").rstrip(b"\0"), dict(attributes(parts.get(2, b"")))
        if name == b"cmp" and not source:
            value = dict(attributes(data.get(3, b""))).get(1, b"")
            source = socket.inet_ntoa(value) if len(value) == 4 else ""
        elif name == b"counter":
            packets = struct.unpack(">Q", data[2])[0]
    return source, packets

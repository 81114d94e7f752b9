"""What every provider's links have in common: rounds of probes, checks, counts of a cut.

A link is called cut only after four probes in four rounds were lost: one lost datagram is no
proof. How a round is probed is the provider's.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from harness.cluster.hands.cuts import ANYBODY
from harness.contract.node import Grudge, Link, LinkShape, Node, Whom, split_address

ROUNDS_S = (0.04, 0.04, 0.06, 0.1)
"""How long each round waits for its probes; later ones longer, for a machine that is busy."""
DIAL_S = 0.5
"""An answer that takes longer counts as none: half the time after which a SYN is sent again."""
_POLL_S = 0.01


def all_links(names: Collection[str]) -> set[Link]:
    """Every directed link between two of the nodes."""
    return {(a, b) for a in names for b in names if a != b}


def carrying(
    links: Collection[Link],
    probe: Callable[[set[Link], float], Collection[Link]],
    rounds_s: Sequence[float] = ROUNDS_S,
) -> frozenset[Link]:
    """Those of ``links`` over which a probe arrived in one of the rounds.

    ``probe`` sends one over each link and tells those that arrived within a round's time.
    """
    missing = set(links)
    for round_s in rounds_s:
        if missing:
            missing -= set(probe(missing, round_s))
    return frozenset(set(links) - missing)


def dead(names: Collection[str], reachable: Callable[[], Collection[Link]], tries: int) -> str:
    """The links that carry nothing after so many looks, in words; empty if all carry.

    New links need a moment, on a busy machine a long one.
    """
    for _ in range(tries):
        missing = all_links(names) - set(reachable())
        if not missing:
            return ""
    return ", ".join(f"{a} to {b}" for a, b in sorted(missing))


def refuse_unknown(grudge: Grudge, names: Collection[str]) -> None:
    """``KeyError`` if a cut names nodes that there are not, or a port where none can be told."""
    unknown = (set(grudge) | set().union(*grudge.values())) - set(names)
    if unknown:
        raise KeyError(f"a cut names nodes that there are not: {', '.join(sorted(unknown))}")


def refuse_unknown_ports(grudge: Grudge, names: Collection[str]) -> None:
    """As :func:`refuse_unknown`, where links can be cut at a port and clients be cut off."""
    whole = {node: {each.partition("@")[0] for each in sources} for node, sources in grudge.items()}
    known = {node: frozenset(sources - {ANYBODY}) for node, sources in whole.items()}
    refuse_unknown(known, names)


def sources_of(grudge: Grudge, name: str, addresses: Mapping[str, str]) -> list[str]:
    """What a node drops under a cut, by addresses (:mod:`harness.cluster.hands.cuts`)."""
    return sorted(_entry(source, addresses) for source in grudge.get(name, frozenset()))


def counts_by_link(
    cut: Grudge, dropped: Mapping[str, Mapping[str, int]], addresses: Mapping[str, str]
) -> dict[Link, int]:
    """Per cut link, what its destination says that it dropped from the source."""
    return {
        (source, destination): dropped[destination].get(_entry(source, addresses), 0)
        for destination, sources in cut.items()
        for source in sources
    }


def _entry(source: str, addresses: Mapping[str, str]) -> str:
    """A source of a grudge by its address; clients are whoever has none of the nodes'."""
    name, _, port = source.partition("@")
    if name != ANYBODY:
        return f"{addresses[name]}@{port}" if port else addresses[name]
    itself = "::1" if any(":" in each for each in addresses.values()) else "127.0.0.0/8"
    return f"{source}!{','.join([itself, *sorted(addresses.values())])}"


def places_for(nodes: Sequence[Node], port: int, whom: Whom) -> dict[str, str]:
    """Where clients, or the other nodes, find that port of each node."""
    return {node.name: node.reach(port, whom) for node in nodes}


Asks = Callable[..., Mapping[str, Any]]
"""Asks a node, by its name, for ``op`` with what it takes."""


def answering(places: Mapping[str, str], ask: Asks, timeout_s: float = DIAL_S) -> frozenset[Link]:
    """The directed links over which a TCP connection to the other's place is answered in time.

    ``places`` are the addresses with port by node; refused is answered, too.
    """
    for name in places:
        ask(name, "dial", places=sorted(place for node, place in places.items() if node != name))
    deadline = time.monotonic() + timeout_s
    wanted, found = all_links(places), frozenset[Link]()
    names = {place: node for node, place in places.items()}
    while True:
        is_last = time.monotonic() >= deadline
        found |= {
            (name, names[place])
            for name in places
            for place in ask(name, "dialled", is_last=is_last)["answered"]
        }
        if is_last or found == wanted:
            return found
        time.sleep(_POLL_S)


def answering_here(places: Mapping[str, str], timeout_s: float = DIAL_S) -> frozenset[str]:
    """Which of these ``host:port`` answer a new TCP connection from here in time, by their names.

    One that refuses answers, too.
    """
    dials: dict[int, tuple[str, socket.socket]] = {}
    poll = select.poll()
    found: set[str] = set()
    try:
        for name, place in places.items():
            host, port = split_address(place)
            dial = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            dial.setblocking(False)
            dials[dial.fileno()] = (name, dial)
            dial.connect_ex((host, port))
            poll.register(dial, select.POLLOUT)
        deadline = time.monotonic() + timeout_s
        while len(found) < len(places):
            left_s = max(0.0, deadline - time.monotonic())
            for number, _ in poll.poll(left_s * 1000):
                name, dial = dials[number]
                poll.unregister(number)
                error = dial.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error in (0, errno.ECONNREFUSED, errno.ECONNRESET):
                    found.add(name)
            if not left_s:
                break
    finally:
        for _, dial in dials.values():
            dial.close()
    return frozenset(found)


def shapes_into(
    node: str, shapes: Mapping[Link, LinkShape], addresses: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """By source address, the shapes of the links into a node."""
    return {
        addresses[source]: dict(shape)
        for (source, destination), shape in shapes.items()
        if destination == node and shape
    }

"""What every provider's links have in common: rounds of probes, checks, counts of a cut.

A link is called cut only after four probes in four rounds were lost: one lost datagram is no
proof. How a round is probed is the provider's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from harness.contract.node import Grudge, Link, LinkShape

ROUNDS_S = (0.04, 0.04, 0.06, 0.1)
"""How long each round waits for its probes; later ones longer, for a machine that is busy."""


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
    """``KeyError`` if a cut names nodes that there are not."""
    unknown = (set(grudge) | set().union(*grudge.values())) - set(names)
    if unknown:
        raise KeyError(f"a cut names nodes that there are not: {', '.join(sorted(unknown))}")


def sources_of(grudge: Grudge, name: str, addresses: Mapping[str, str]) -> list[str]:
    """The addresses whose packets a node drops under a cut."""
    return sorted(addresses[source] for source in grudge.get(name, frozenset()))


def counts_by_link(
    cut: Grudge, dropped: Mapping[str, Mapping[str, int]], addresses: Mapping[str, str]
) -> dict[Link, int]:
    """Per cut link, what its destination says that it dropped from the source's address."""
    return {
        (source, destination): dropped[destination].get(addresses[source], 0)
        for destination, sources in cut.items()
        for source in sources
    }


def shapes_into(
    node: str, shapes: Mapping[Link, LinkShape], addresses: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """By source address, the shapes of the links into a node."""
    return {
        addresses[source]: dict(shape)
        for (source, destination), shape in shapes.items()
        if destination == node and shape
    }

"""Shapes of network partitions: who drops whose packets.

A *grudge* maps each destination to the sources whose packets it drops, one directed link at a
time; a one-way cut follows for free, a symmetric one names both directions. Shapes are pure
functions of node names and a random stream, so a seed fixes the grudge exactly.

    halves            a minority and a majority that cannot speak to each other
    one               one node alone
    majorities-ring   every node hears a majority, no two nodes the same one
    bridge            two halves that only one node, the bridge, can speak to
    one-way           one node hears nobody (deaf), or nobody hears one node (mute)
    random            each directed link is cut with probability one half
    minority-third    less than a third of the nodes cut off together; only if asked for
    first-half        the first half of the nodes, as they are listed, and the rest; if asked for

The shapes are Jepsen's (``jepsen.nemesis``: ``complete-grudge`` of ``bisect``, shuffled or not, of
``split-one`` and of the ``minority-third`` of its combined package, ``majorities-ring``,
``bridge``; its ``primaries`` is in :mod:`nemeses.network.partition`), the one-way cuts ours. Cost:
O(n²) for n nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import permutations
from random import Random
from typing import Any

from harness.contract.node import Grudge, Link


def links(nodes: Iterable[str]) -> frozenset[Link]:
    """Every directed link (source, destination) between different nodes."""
    return frozenset(permutations(nodes, 2))


def cut_links(grudge: Mapping[str, Collection[str]]) -> frozenset[Link]:
    """The directed links that a grudge cuts."""
    return frozenset((source, target) for target, sources in grudge.items() for source in sources)


def from_links(cut: Iterable[Link]) -> Grudge:
    """The grudge that cuts exactly these directed links."""
    grudge: dict[str, set[str]] = {}
    for source, target in cut:
        grudge.setdefault(target, set()).add(source)
    return {target: frozenset(grudge[target]) for target in sorted(grudge)}


def apart(components: Sequence[Collection[str]]) -> Grudge:
    """The symmetric grudge by which no node hears a node of another component."""
    nodes = {node for component in components for node in component}
    return {
        node: frozenset(nodes - set(component))
        for component in components
        for node in component
        if nodes - set(component)
    }


def isolated(nodes: Sequence[str], alone: Collection[str]) -> Grudge:
    """Each node of ``alone`` by itself, all the others together."""
    others = [node for node in nodes if node not in alone]
    return apart([*([node] for node in alone), others])


def halves(nodes: Sequence[str], rng: Random) -> Grudge:
    """A random minority (half, if n is even) and the rest."""
    shuffled = rng.sample(nodes, len(nodes))
    middle = len(nodes) // 2
    return apart([shuffled[:middle], shuffled[middle:]])


def one(nodes: Sequence[str], rng: Random) -> Grudge:
    """One random node alone."""
    return isolated(nodes, [rng.choice(nodes)])


def bridge(nodes: Sequence[str], rng: Random) -> Grudge:
    """Two random halves apart, and one node that hears and is heard by all."""
    _bridge, *rest = rng.sample(nodes, len(nodes))
    half = len(rest) // 2
    return apart([rest[:half], rest[half:]])


def one_way(nodes: Sequence[str], rng: Random) -> Grudge:
    """One random node that hears nobody, or that nobody hears."""
    return _one_way(nodes, rng.choice(nodes), rng)


def _one_way(nodes: Sequence[str], node: str, rng: Random) -> Grudge:
    is_deaf = rng.random() < 0.5
    others = frozenset(nodes) - {node}
    return {node: others} if is_deaf else {other: frozenset({node}) for other in sorted(others)}


def minority_third(nodes: Sequence[str], rng: Random) -> Grudge:
    """As many random nodes as are less than a third (one at least) apart from the rest."""
    shuffled = rng.sample(nodes, len(nodes))
    count = max(1, (len(nodes) - 1) // 3)
    return apart([shuffled[:count], shuffled[count:]])


def first_half(nodes: Sequence[str], rng: Random) -> Grudge:
    """The first half (the smaller, if n is odd) apart from the rest: the same cut each time."""
    return apart([nodes[: len(nodes) // 2], nodes[len(nodes) // 2 :]])


def random_links(nodes: Sequence[str], rng: Random) -> Grudge:
    """Each directed link cut with probability one half; at least one is."""
    every = sorted(links(nodes))
    cut = [link for link in every if rng.random() < 0.5]
    return from_links(cut or [rng.choice(every)])


def majorities_ring(nodes: Sequence[str], rng: Random) -> Grudge:
    """Every node hears a majority (itself included), no two nodes the same one.

    The nodes stand in a random ring and hear their nearest neighbours. Where the least
    majority is odd (n = 4, 5, 8, 9, ...) both sides are equal and every link works both ways.
    Where it is even, an even ring adds the node opposite, and an odd one adds chords half way
    round, so that one node hears one more than it must. Three nodes alone are Jepsen's directed
    ring: each hears the one before it, for both ways would leave one node that hears all.
    """
    ring = rng.sample(nodes, len(nodes))
    count = len(ring)
    if count == 3:
        return from_links((ring[(place + 1) % 3], ring[place]) for place in range(3))
    heard = {frozenset((place, (place + step) % count)) for place, step in _ring_steps(count)}
    kept = {(ring[a], ring[b]) for pair in heard for a, b in permutations(sorted(pair), 2)}
    return from_links(links(nodes) - kept)


def _ring_steps(count: int) -> Iterable[tuple[int, int]]:
    """(place, how far round the other end is) of every two-way link of a ring of ``count``."""
    neighbours = count // 2  # the least majority, less the node itself
    for step in range(1, neighbours // 2 + 1):
        yield from ((place, step) for place in range(count))
    if neighbours % 2:
        yield from ((place, count // 2) for place in range(count // 2 + count % 2))


def of_some(shape: str, nodes: Sequence[str], some: Sequence[str], rng: Random) -> Grudge:
    """A shape of :data:`SHAPES` drawn for ``some`` of the nodes, those of a role.

    A node that is to be alone, deaf or mute is one of them, and is so to all nodes; every other
    shape cuts links among them, and they and the rest hear each other.
    """
    if shape == "one":
        return isolated(nodes, [rng.choice(some)])
    if shape == "one-way":
        return _one_way(nodes, rng.choice(some), rng)
    return EVERY[shape](some, rng)


Shape = Callable[[Sequence[str], Random], Grudge]

SHAPES: Mapping[str, Shape] = {
    "halves": halves,
    "one": one,
    "majorities-ring": majorities_ring,
    "bridge": bridge,
    "one-way": one_way,
    "random": random_links,
}
"""The shapes that node names and a random stream fix; ``primaries`` is known only when it comes."""

ASKED: Mapping[str, Shape] = {"minority-third": minority_third, "first-half": first_half}
"""Shapes that are drawn only if they are asked for: near to ``one`` and ``halves``."""

EVERY: Mapping[str, Shape] = {**SHAPES, **ASKED}

ALONE = ("one", "one-way")
"""Shapes by which one node is cut off."""

LEAST_NODES: Mapping[str, int] = {"majorities-ring": 3, "bridge": 3}
"""Shapes that need more than two nodes to cut anything."""


def as_json(grudge: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """A grudge as JSON, sorted."""
    return {target: sorted(grudge[target]) for target in sorted(grudge)}


def from_json(grudge: Mapping[str, Any]) -> Grudge:
    """The grudge of its JSON."""
    return {target: frozenset(sources) for target, sources in grudge.items()}


def groups(nodes: Sequence[str], grudge: Mapping[str, Collection[str]]) -> list[list[str]] | None:
    """The groups that the nodes fall into, largest first; ``None`` if the cut is no such split.

    In a split every node speaks with exactly its own group.
    """
    cut = cut_links(grudge)
    speaks = {
        node: frozenset(o for o in nodes if (o, node) not in cut and (node, o) not in cut)
        for node in nodes
    }
    found = sorted({tuple(sorted(group)) for group in speaks.values()})
    if sum(map(len, found)) != len(nodes) or apart(found) != dict(grudge):
        return None
    return sorted((list(group) for group in found), key=lambda group: (-len(group), group))


def describe(nodes: Sequence[str], grudge: Mapping[str, Collection[str]]) -> str:
    """``n1 n2 n3 | n4 n5`` for a split, else who does not hear whom."""
    split = groups(nodes, grudge)
    if split is not None:
        return " | ".join(" ".join(group) for group in split)
    return "; ".join(f"{node} hears not {' '.join(s)}" for node, s in as_json(grudge).items())


def outsiders(nodes: Sequence[str], grudge: Mapping[str, Collection[str]]) -> list[str]:
    """Whom the cut is about: all but the largest group, or, if it is no split, who drops."""
    split = groups(nodes, grudge)
    if split is None:
        return sorted(grudge)
    return sorted(node for group in split[1:] for node in group)

"""What proves that links are cut, and that they carry again; the same for every fault that cuts.

* counters saw packets of the *database* on links that are to be cut; they are read before any
  probe of ours is sent, since a probe on a cut link is dropped and counted too;
* the matrix of links that carry packets is exactly all links less those that a cut in force holds;
* where a link is cut at a port alone, a new TCP connection to that port is answered over exactly
  the links that are left, though all links carry datagrams; and
* where clients are cut off, a new connection from where the clients are is answered by exactly the
  nodes that are left.

A matrix says nothing where cuts came or went while it was measured; then it is measured again.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Any, Final, cast

from harness.contract.fault import Stage
from harness.contract.node import (
    CLIENTS,
    Cluster,
    CutsClients,
    CutsPorts,
    Grudge,
    Link,
    MayRefuseCuts,
    Partitionable,
    RunsAlready,
)
from harness.contract.system import Ports, System
from nemeses.network import shapes
from nemeses.network.cuts import cuts_of

AT: Final = "@"
ALLOWING_PORTS: Final = "--provider local:root, local:userns, docker and ssh can"


def cuttable(stage: Stage) -> Partitionable:
    """The cluster, as a fault that cuts sees it."""
    return cast(Partitionable, stage.cluster)  # refused before set-up if it is not


def named(link: Link) -> str:
    """``n1->n2``; ``n1->n2@2380`` for one that is cut at that port, ``clients->n1@2379``."""
    source, _, port = link[0].partition(AT)
    name = "clients" if source == CLIENTS else source
    return f"{name}->{link[1]}{AT + port if port else ''}"


def client_ports(system: System) -> list[int]:
    """The ports by which clients reach a system's nodes, as it declares them."""
    ports = system.ports() if isinstance(system, Ports) else ()
    return [port.number for port in ports if port.clients]


def without_clients(system: System, nodes: Iterable[str]) -> Grudge:
    """The grudge by which these nodes hear no client."""
    sources = frozenset(f"{CLIENTS}{AT}{port}" for port in client_ports(system))
    return dict.fromkeys(nodes, sources) if sources else {}


def no_client_cuts(cluster: Cluster, system: System) -> str | None:
    """Why clients cannot be cut off from nodes, and what would allow it, or ``None``."""
    if isinstance(cluster, RunsAlready):
        return (
            "clients of a cluster that runs already are not cut off: others than this run's would "
            f"be, too; {ALLOWING_PORTS}, on nodes that the run makes"
        )
    if not isinstance(cluster, CutsClients):
        return f"provider {cluster.provider} cannot cut clients off from nodes; {ALLOWING_PORTS}"
    if not client_ports(system):
        return f"{system.name} declares no port at which clients connect (Ports)"
    return cluster.cut_refusal() if isinstance(cluster, MayRefuseCuts) else None


def at_port(grudge: Mapping[str, Collection[str]], port: int) -> Grudge:
    """The same cut, at that port alone."""
    return {
        node: frozenset(f"{each}{AT}{port}" for each in sources) for node, sources in grudge.items()
    }


def ran_into(stage: Stage, grudge: Grudge, figures: dict[str, Any]) -> dict[Link, int]:
    """Packets of the database that ran into this cut by now, by link, and into ``figures``.

    Of clients' packets only what came before :func:`measured` first knocked is surely theirs.
    """
    cut = shapes.cut_links(grudge)
    counted = cuttable(stage).dropped()
    found = {link: count for link, count in counted.items() if link in cut and count > 0}
    figures["dropped"] = {named(link): count for link, count in sorted(found.items())}
    return found


def is_of_clients(link: Link) -> bool:
    """Whether it leads from the clients."""
    return link[0].startswith(CLIENTS)


def measured(
    stage: Stage, figures: dict[str, Any], but: Hashable = None, about: Grudge | None = None
) -> tuple[str, bool]:
    """Compare what carries with what no cut in force holds, but that one's; in words, and if exact.

    Beside the links those ports are asked, and those clients, that ``about`` names.
    """
    cuts = cuts_of(cuttable(stage))
    before = cuts.in_force(but)
    cut = shapes.cut_links(before)
    nodes = [node.name for node in stage.cluster.nodes]
    asked = shapes.cut_links(about or {})
    found = [_compare(cuttable(stage).reachable(), shapes.links(nodes) - cut, figures)]
    for port in sorted({int(s.partition(AT)[2]) for s, _ in asked if AT in s and s[0] != CLIENTS}):
        answering = cast(CutsPorts, stage.cluster).answering(port)
        found.append(_compare(answering, _answerable(nodes, cut, port), figures, f" at {port}"))
    if any(is_of_clients(link) for link in asked):
        found.append(_clients(stage, cut, figures))
    if cuts.in_force(but) != before:
        return "another cut came or went while the links were probed", False
    return "; ".join(what for what, _ in found), all(is_exact for _, is_exact in found)


def _answerable(nodes: Iterable[str], cut: Collection[Link], port: int) -> set[Link]:
    """The links over which a connection to that port comes about: both ways must carry it."""
    is_cut = {(source.partition(AT)[0], to) for source, to in cut if AT not in source} | {
        (source.partition(AT)[0], to) for source, to in cut if source.endswith(f"{AT}{port}")
    }
    return {(a, b) for a, b in shapes.links(nodes) if not {(a, b), (b, a)} & is_cut}


def _compare(
    measured: Collection[Link], wanted: Collection[Link], figures: dict[str, Any], where: str = ""
) -> tuple[str, bool]:
    """A sentence and whether the matrix is as wanted; the matrix goes into ``figures``."""
    missing, extra = set(wanted) - set(measured), set(measured) - set(wanted)
    figures[f"reachable{where}"] = [named(link) for link in sorted(measured)]
    if missing:
        figures["dead_but_wanted"] = [named(link) for link in sorted(missing)]
    if extra:
        figures["alive_but_cut"] = [named(link) for link in sorted(extra)]
    if missing or extra:
        wrong = f"{len(missing)} links dead that should work, {len(extra)} work that should not"
        return f"{wrong}{where}", False
    return f"exactly the {len(wanted)} links that should work do{where}", True


def _clients(stage: Stage, cut: Collection[Link], figures: dict[str, Any]) -> tuple[str, bool]:
    """Whether exactly those nodes answer a client that no cut keeps from it.

    Where a proxy of the provider answers in a node's place, what was dropped meanwhile tells.
    """
    port = client_ports(stage.system)[0]
    source = f"{CLIENTS}{AT}{port}"
    lost = {node for link, node in cut if link == source}
    before = cuttable(stage).dropped()
    answered = cast(CutsClients, stage.cluster).answering_clients(port)
    after = cuttable(stage).dropped()
    for node in lost & answered:
        if after.get((source, node), 0) > before.get((source, node), 0):
            answered -= {node}
    figures["answer_clients"] = sorted(answered)
    wanted = {node.name for node in stage.cluster.nodes} - lost
    if answered == wanted:
        return f"clients are answered by exactly {_told(wanted)}", True
    return f"clients are answered by {_told(answered)}, not by {_told(wanted)}", False


def _told(nodes: Collection[str]) -> str:
    return " ".join(sorted(nodes)) or "nobody"

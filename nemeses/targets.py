"""Whom a process fault hits: one node, a minority, a majority, the primaries, or all.

A plan is drawn from the random stream alone: a word and the nodes in a random order. It turns
into node names when the fault begins, because only then is it known who leads and who runs:
nodes with no running process are passed over, and where nobody knows a primary, the first of
the order stands in and the ledger says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from random import Random
from typing import Any

from harness.contract.fault import Stage
from harness.contract.node import Daemon, HasProcesses
from harness.contract.system import Primaries, System, WithoutDaemons
from harness.errors import UsageError, unknown_name
from harness.linux.identity import ProcessIdentity

TARGETS = ("one", "minority", "majority", "primaries", "all")
PRIMARIES = "primaries"


def no_processes(system: System) -> str | None:
    """Why a fault that hits processes is not possible, where the system says that it has none."""
    if isinstance(system, WithoutDaemons) and system.without_daemons():
        return f"{system.name} starts no processes that it could hit"
    return None


def choices(
    options: Mapping[str, Any], key: str, known: Sequence[str], what: str
) -> tuple[str, ...]:
    """The words of ``options[key]`` (a list, or a string with commas); all ``known`` by default.

    ``UsageError`` for an unknown word (with the nearest) and for an empty list.
    """
    given = options.get(key)
    if given is None:
        return tuple(known)
    words = [w.strip() for w in given.split(",")] if isinstance(given, str) else list(given)
    words = list(dict.fromkeys(word for word in words if word))
    flag = "--" + key.replace("_", "-")
    if not words:
        raise UsageError(f"{flag} is empty", f"one or more of {','.join(known)}")
    for word in words:
        if word not in known:
            raise UsageError(f"{flag}: {unknown_name(what, word, known)}")
    return tuple(words)


def plan_targets(words: Sequence[str], nodes: Sequence[str], rng: Random) -> dict[str, Any]:
    """A target word and all ``nodes`` in a random order."""
    return {"target": rng.choice(words), "order": rng.sample(list(nodes), len(nodes))}


def how_many(word: str, count: int) -> int:
    """How many of ``count`` nodes a target word means; at least one."""
    sizes = {"one": 1, "minority": (count - 1) // 2, "majority": count // 2 + 1, "all": count}
    return max(1, sizes[word])


def resolve_targets(plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
    """Node names now, and a detail with their running processes (``processes``, by node)."""
    order: list[str] = list(plan["order"])
    running = {node: live_daemons(stage, node) for node in order}
    up = [node for node in order if running[node]]
    detail: dict[str, Any] = {"target": plan["target"]}
    if len(up) < len(order):
        detail["passed_over"] = sorted(set(order) - set(up))
    if plan["target"] == PRIMARIES:
        leading, why = current_primaries(stage)
        targets = [node for node in leading if node in up] or up[:1]
        if not set(targets) & set(leading):
            detail["fallback"] = why or "no primary runs"
    else:
        targets = up[: how_many(plan["target"], len(order))]
    targets = sorted(targets)
    detail["processes"] = {
        node: [asdict(daemon.identity) for daemon in running[node]] for node in targets
    }
    return targets, detail


def current_primaries(stage: Stage) -> tuple[list[str], str]:
    """The nodes that believe they lead, and, if there are none, why nobody is known."""
    if not isinstance(stage.system, Primaries):
        return [], f"{stage.system.name} cannot tell its primaries"
    try:
        names = {node.name for node in stage.cluster.nodes}
        leading = [name for name in stage.system.primaries(stage.cluster) if name in names]
    except Exception as error:
        return [], f"asking for the primaries failed: {error!r}"
    return list(dict.fromkeys(leading)), "" if leading else "nobody leads"


def live_daemons(stage: Stage, node: str) -> list[Daemon]:
    """The daemons of ``node`` that run (a stopped process runs)."""
    return [daemon for daemon in stage.daemons.get(node, []) if daemon.alive()]


def processes(detail: Mapping[str, Any]) -> Iterator[tuple[str, ProcessIdentity]]:
    """(node, identity) of every process that a ledger detail names."""
    for node, identities in detail.get("processes", {}).items():
        for identity in identities:
            yield node, ProcessIdentity(**identity)


def find_daemon(stage: Stage, node: str, identity: ProcessIdentity) -> Daemon | None:
    """The daemon that is exactly this process; ``None`` if it ended and was replaced."""
    return next((d for d in stage.daemons.get(node, []) if d.identity == identity), None)


def members(daemon: Daemon) -> Mapping[int, str]:
    """What runs of a daemon, to the letters of its threads' states, as far as it can be told."""
    if isinstance(daemon, HasProcesses):
        return daemon.processes()
    return {daemon.identity.pid: daemon.state()} if daemon.alive() else {}


def signal_if_alive(daemon: Daemon, number: int) -> None:
    """Signal a daemon and all that is of it; that it has just ended is no error."""
    try:
        daemon.signal(number)
    except Exception:
        if daemon.alive():
            raise

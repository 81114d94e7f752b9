"""Whom a process fault hits: one node, a minority, a majority, the primaries, or all.

Also, if asked for: a ``minority-third`` (as many as a cluster that must have more than two thirds
can lose), a ``random`` number of them, and named ones: ``n1+n3``, or ``+n2`` for one.

``alpha:one`` means one of the nodes that hold the role ``alpha``, and of what runs there the
daemons of that role alone; a plain word means whole nodes, with all that runs there.

A plan is drawn from the random stream alone: a word and the nodes in a random order. It turns
into node names when the fault begins, because only then is it known who leads and who runs:
nodes with no running process are passed over (one that another fault is ending does not count), and
where nobody knows a primary, the first of the order stands in and the ledger says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from harness.contract.node import (
    Cluster,
    Daemon,
    HasProcesses,
    MayRefuseSignals,
    SignalsAtOnce,
)
from harness.contract.roles import Place, Role
from harness.contract.shot import Aside
from harness.contract.system import Primaries, Stage, System, WithoutDaemons
from harness.errors import UsageError, unknown_name
from harness.linux.identity import ProcessIdentity
from harness.wording import named

TARGETS = ("one", "minority", "majority", "primaries", "all")
PRIMARIES = "primaries"
THIRD, RANDOM, NAMES = "minority-third", "random", "+"
ASKED = (THIRD, RANDOM)
"""Words that are drawn only where they are asked for, beside names."""


def no_processes(system: System) -> str | None:
    """Why a fault that hits processes is not possible, where the system says that it has none."""
    if isinstance(system, WithoutDaemons) and system.without_daemons():
        return f"{system.name} starts no processes that it could hit"
    return None


def not_signalled(cluster: Cluster) -> str | None:
    """Why the processes of a cluster that runs already cannot be signalled, or ``None``."""
    return cluster.signal_refusal() if isinstance(cluster, MayRefuseSignals) else None


@dataclass(frozen=True)
class Aim:
    """A word that says whom a fault hits: ``one`` of all nodes, or ``alpha:one`` of a role's."""

    word: str
    role: str | None = None

    @classmethod
    def of(cls, text: str) -> Aim:
        """From ``one`` or ``alpha:one``."""
        role, _, word = text.rpartition(":")
        return cls(word, role or None)


def choices(
    options: Mapping[str, Any], key: str, known: Sequence[str], what: str, *, roles: bool = False
) -> tuple[str, ...]:
    """The words of ``options[key]`` (a list, or a string with commas); all ``known`` by default.

    With ``roles`` each may be one of a role's (:class:`Aim`), to be checked by
    :func:`check_roles` once it is known which there are. ``UsageError`` for an unknown word (with
    the nearest) and for an empty list.
    """
    given = options.get(key)
    if given is None:
        return tuple(known)
    words = [w.strip() for w in given.split(",")] if isinstance(given, str) else list(given)
    words = list(dict.fromkeys(word for word in words if word))
    flag = "--" + key.replace("_", "-")
    if not words:
        raise UsageError(f"{flag} is empty", f"one or more of {','.join(known)}")
    more = ASKED if set(TARGETS) <= set(known) else ()
    for word in words:
        plain = Aim.of(word).word if roles else word
        if plain not in (*known, *more) and not (more and NAMES in plain):
            raise UsageError(f"{flag}: {unknown_name(what, plain, [*known, *more])}")
    return tuple(words)


def check_roles(words: Sequence[str], key: str, roles: Sequence[Role]) -> None:
    """``UsageError``, with the roles that there are, for a word of a role that there is not."""
    names = [role.name for role in roles]
    for word in words:
        role = Aim.of(word).role
        if role is not None and role not in names:
            flag = "--" + key.replace("_", "-")
            raise UsageError(f"{flag} {word}: {unknown_name('role', role, names)}")


def plan_targets(words: Sequence[str], nodes: Sequence[str], rng: Random) -> dict[str, Any]:
    """A target word, all ``nodes`` in a random order, and how many where the word leaves it open.

    ``UsageError`` where a word names a node that there is not.
    """
    for name in (name for word in words for name in _named(word)):
        if name not in nodes:
            raise UsageError(f"target {', '.join(words)}: {unknown_name('node', name, nodes)}")
    plan: dict[str, Any] = {"target": rng.choice(words)}
    plan["order"] = rng.sample(list(nodes), len(nodes))
    if Aim.of(plan["target"]).word == RANDOM:
        plan["count"] = rng.randint(1, len(nodes))
    return plan


def _named(word: str) -> list[str]:
    """The nodes that a word names, if it does."""
    plain = Aim.of(word).word
    return [name for name in plain.split(NAMES) if name] if NAMES in plain else []


def how_many(word: str, count: int) -> int:
    """How many of ``count`` nodes a target word means; at least one."""
    sizes = {"one": 1, "minority": (count - 1) // 2, "majority": count // 2 + 1, "all": count}
    sizes[THIRD] = (count - 1) // 3
    return max(1, sizes[word])


def pick(plan: Mapping[str, Any], among: Sequence[str], of: int) -> list[str]:
    """Those of ``among``, in their order, whom a plan means that means no leaders, of ``of``."""
    word = Aim.of(plan["target"]).word
    if names := _named(word):
        return [node for node in among if node in names]
    count = min(int(plan["count"]), of) if word == RANDOM else how_many(word, of)
    return list(among[:count])


def resolve_targets(plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
    """Node names now, and a detail with what runs there of what is meant.

    ``processes`` are their identities by node, ``roles`` the role of each, in the same order.
    """
    aim = Aim.of(plan["target"])
    order = [node for node in plan["order"] if _holds(stage, node, aim.role)]
    running = {
        node: [d for d in live_daemons(stage, node, aim.role) if not stage.is_ending(d.identity)]
        for node in order
    }
    up = [node for node in order if running[node]]
    detail: dict[str, Any] = {"target": plan["target"]}
    if len(up) < len(order):
        detail["passed_over"] = sorted(set(order) - set(up))
    if aim.word == PRIMARIES:
        leading, why = current_primaries(stage, aim.role)
        targets = [node for node in leading if node in up] or up[:1]
        if not set(targets) & set(leading):
            detail["fallback"] = why or "no primary runs"
    else:
        targets = pick(plan, up, len(order))
    targets = sorted(targets)
    found = {node: [daemon.identity for daemon in running[node]] for node in targets}
    detail["processes"] = {node: [asdict(each) for each in found[node]] for node in targets}
    if stage.has_roles:
        roles = {node: [stage.role_of(node, each) for each in found[node]] for node in targets}
        detail["roles"] = roles
        detail["what"] = _told(roles, aim.role)
    return targets, detail


def _holds(stage: Stage, node: str, role: str | None) -> bool:
    return role is None or role in stage.roles_on(node)


def _told(roles: Mapping[str, Sequence[str | None]], only: str | None) -> str:
    """``alpha on n1 n3``, or ``n1 (zero alpha), n3 (alpha)``."""
    if only is not None:
        return f"{only} on {' '.join(roles) or 'nobody'}"
    return ", ".join(f"{node} ({' '.join(map(str, of))})" for node, of in roles.items())


def current_primaries(stage: Stage, role: str | None = None) -> tuple[list[str], str]:
    """The nodes that believe they lead, and, if there are none, why nobody is known.

    Of a system with roles those that lead in ``role``, or in any of them.
    """
    if not isinstance(stage.system, Primaries):
        return [], f"{stage.system.name} cannot tell its primaries"
    roles = [each.name for each in stage.roles] if role is None else [role]
    try:
        names = {node.name for node in stage.cluster.nodes}
        told = [name for each in roles for name in stage.primaries(each)]
        leading = [name for name in told if name in names]
    except Exception as error:
        return [], f"asking for the primaries failed: {named(error)}"
    return list(dict.fromkeys(leading)), "" if leading else "nobody leads"


def live_daemons(stage: Stage, node: str, role: str | None = None) -> list[Daemon]:
    """The daemons of ``node``, or of one of its roles, that run (a stopped process runs)."""
    found = stage.daemons.get(node, ()) if role is None else stage.daemons_of(node, role)
    return [daemon for daemon in found if daemon.alive()]


def processes(detail: Mapping[str, Any]) -> Iterator[tuple[str, ProcessIdentity]]:
    """(node, identity) of every process that a ledger detail names."""
    for node, identities in detail.get("processes", {}).items():
        for identity in identities:
            yield node, ProcessIdentity(**identity)


def places(detail: Mapping[str, Any], stage: Stage) -> dict[Place, list[ProcessIdentity]]:
    """The roles on nodes that a ledger detail names processes of, with those.

    Where it names no roles the stage knows whose a process is, until it is replaced.
    """
    roles = detail.get("roles", {})
    found: dict[Place, list[ProcessIdentity]] = {}
    for node, identities in detail.get("processes", {}).items():
        for at, identity in enumerate(identities):
            process = ProcessIdentity(**identity)
            only = stage.roles[0].name if not stage.has_roles else stage.role_of(node, process)
            role = roles[node][at] if node in roles else only
            if role is not None:
                found.setdefault((node, role), []).append(process)
    return found


def find_daemon(stage: Stage, node: str, identity: ProcessIdentity) -> Daemon | None:
    """The daemon that is exactly this process; ``None`` if it ended and was replaced."""
    return next((d for d in stage.daemons.get(node, ()) if d.identity == identity), None)


def members(daemon: Daemon) -> Mapping[int, str]:
    """What runs of a daemon, to the letters of its threads' states, as far as it can be told."""
    if isinstance(daemon, HasProcesses):
        return daemon.processes()
    return {daemon.identity.pid: daemon.state()} if daemon.alive() else {}


def prepare_signal(daemon: Daemon, number: int) -> Callable[[], Callable[[], bool]]:
    """A signal to a daemon and all that is of it, made ready.

    Called, it is sent, and nobody is waited for; what that returns waits, and says whether the
    daemon ran when it was signalled. That it has just ended is no error.
    """
    send = daemon.prepare_signal(number) if isinstance(daemon, SignalsAtOnce) else None

    def sent() -> Callable[[], bool]:
        return _settled(daemon, _signal_aside(daemon, number) if send is None else send())

    return sent


def _signal_aside(daemon: Daemon, number: int) -> Callable[[], bool]:
    was_alive: list[bool] = []

    def work() -> None:
        was_alive.append(daemon.alive())
        daemon.signal(number)

    shot = Aside(work)
    shot.fire()

    def settle() -> bool:
        shot.settle()
        return was_alive[0]

    return settle


def _settled(daemon: Daemon, answer: Callable[[], bool]) -> Callable[[], bool]:
    def settle() -> bool:
        try:
            return answer()
        except Exception:
            if daemon.alive():
                raise
            return False

    return settle


def signal_if_alive(daemon: Daemon, number: int) -> None:
    """Signal a daemon and all that is of it; that it has just ended is no error."""
    try:
        daemon.signal(number)
    except Exception:
        if daemon.alive():
            raise

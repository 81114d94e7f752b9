"""What Zeros and Alphas say of themselves: who leads, who serves, who is not ready.

Blocking calls over HTTP for set-up, recovery, faults and actions, each on a connection of its own.
Nothing here is an operation of a history.

A Zero that is cut off from the others does not answer ``/state`` at all, even where the tester can
reach it; so all Zeros are asked at once, and no answer is no answer: who leads is told by those
that do answer. ``/state`` marks the one Zero, and the one Alpha of each group, that leads.

Ready means: every Zero knows of all Zeros, every Alpha says that it is well, the schema is made,
and through every Alpha a write is committed.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final, TypeVar

from harness.contract.node import Node, split_address
from harness.contract.system import Stage
from harness.errors import NotReady
from systems.dgraph.log import tail
from systems.dgraph.places import ALPHA, ALPHA_HTTP, ALPHA_PEER, ZERO, ZERO_HTTP, ZERO_PEER
from systems.dgraph.records import READY, Layout
from systems.dgraph.release import Release

_POLL_S: Final = 0.2
_PATIENCE_S: Final = 3.0
_WRITE_S: Final = 10.0
_Found = TypeVar("_Found")


class NotAnswered(Exception):
    """A member did not answer as it should; says how."""


def ask(
    node: Node,
    port: int,
    path: str,
    timeout_s: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Status and text of one GET, or POST of ``body``; ``NotAnswered`` if there is none."""
    host, number = split_address(node.reach(port, "client"))
    with closing(http.client.HTTPConnection(host, number, timeout=timeout_s)) as link:
        try:
            link.request("GET" if body is None else "POST", path, body, dict(headers or {}))
            answer = link.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise NotAnswered(str(error) or type(error).__name__) from error


def state_of(node: Node, timeout_s: float) -> dict[str, Any]:
    """The cluster as the Zero on ``node`` sees it."""
    status, text = ask(node, ZERO_HTTP, "/state", timeout_s)
    try:
        state = json.loads(text) if status == 200 else None
    except ValueError:
        state = None
    if not isinstance(state, dict):
        raise NotAnswered(f"/state: {status} {text[:120]}")
    return state


def any_state(stage: Stage, timeout_s: float) -> dict[str, Any]:
    """The cluster as the Zero sees it that knows who leads; ``NotAnswered`` if none answers."""
    found = on_all(nodes_of(stage, ZERO), lambda node: state_of(node, timeout_s))
    states = [state for state in found.values() if isinstance(state, dict)]
    if not states:
        raise NotAnswered("; ".join(f"{name}: {why}" for name, why in found.items()))
    return max(states, key=lambda state: (bool(_leading(_zeros(state))), _counter(state)))


def leaders(stage: Stage, role: str, timeout_s: float) -> list[str]:
    """Nodes whose Zero leads, or whose Alphas lead their groups; none if nobody can tell."""
    try:
        state = any_state(stage, timeout_s)
    except NotAnswered:
        return []
    members = _zeros(state) if role == ZERO else [m for g in groups(state).values() for m in g]
    names = {split_address(n.reach(port, "peer"))[0]: n.name for n, port in _peers(stage, role)}
    hosts = [str(member["addr"]).rpartition(":")[0] for member in _leading(members)]
    return [names[host] for host in hosts if host in names]


def groups(state: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The Alphas of each group, by its number."""
    return {
        number: list((group.get("members") or {}).values())
        for number, group in sorted((state.get("groups") or {}).items())
    }


def tablets(state: Mapping[str, Any], ours: Sequence[str]) -> dict[str, str]:
    """Which group has which of some predicates, whose names may carry a namespace (``0-``)."""
    return {
        bare: number
        for number, group in (state.get("groups") or {}).items()
        for name in group.get("tablets") or {}
        if (bare := name.removeprefix("0-")) in ours
    }


def on_all(
    nodes: Sequence[Node], call: Callable[[Node], _Found]
) -> dict[str, _Found | NotAnswered]:
    """What ``call`` gives of every node, all at once, or why it gives nothing."""

    def guarded(node: Node) -> _Found | NotAnswered:
        try:
            return call(node)
        except NotAnswered as error:
            return error

    if not nodes:
        return {}
    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        answers = pool.map(guarded, nodes)
        return {node.name: answer for node, answer in zip(nodes, answers, strict=True)}


def nodes_of(stage: Stage, role: str) -> list[Node]:
    """The nodes of a role."""
    return [stage.cluster.node(name) for name in stage.role(role).nodes]


def make_schema(nodes: Sequence[Node], layout: Layout, timeout_s: float) -> None:
    """Through the first Alpha that does it. Again is harmless."""
    why = []
    for node in nodes:
        try:
            status, text = ask(node, ALPHA_HTTP, "/alter", timeout_s, layout.schema().encode())
        except NotAnswered as error:
            why.append(f"{node.name}: {error}")
            continue
        if status == 200 and '"errors"' not in text:
            return
        why.append(f"{node.name}: {status} {text[:200]}")
    raise NotAnswered(f"the schema is refused: {'; '.join(why)}")


def wait_until_ready(stage: Stage, layout: Layout, timeout_s: float, *, knows_zeros: bool) -> None:
    """Return once all is ready; ``NotReady`` says who was not, why, and its log's last lines."""
    deadline = time.monotonic() + timeout_s
    while True:
        left_s = max(0.5, deadline - time.monotonic())
        unready = _unready(stage, layout, left_s, knows_zeros=knows_zeros)
        if not unready:
            return
        ended = _ended(stage)
        if ended:
            raise _not_ready(stage, {**unready, **ended}, "a process has ended")
        if time.monotonic() >= deadline:
            raise _not_ready(stage, unready, f"not ready after {timeout_s:g} s")
        time.sleep(_POLL_S)


def version_of(node: Node, release: Release, timeout_s: float) -> str:
    """What an Alpha says that it is; the release that was named where it says nothing."""
    status, text = ask(node, ALPHA_HTTP, "/health", timeout_s)
    if status != 200:
        raise NotAnswered(f"/health: {status} {text[:120]}")
    try:
        found = json.loads(text)
    except ValueError:
        return str(release)
    first = found[0] if isinstance(found, list) and found else found
    return (isinstance(first, dict) and first.get("version")) or str(release)


def _unready(
    stage: Stage, layout: Layout, timeout_s: float, *, knows_zeros: bool
) -> dict[str, str]:
    zeros, alphas = nodes_of(stage, ZERO) if knows_zeros else [], nodes_of(stage, ALPHA)
    short_s = min(timeout_s, _PATIENCE_S)

    def joined(node: Node) -> str:
        known = len(_zeros(state_of(node, short_s)))
        return "" if known == len(zeros) else f"its Zero knows of {known} Zeros"

    def is_well(node: Node) -> str:
        status, text = ask(node, ALPHA_HTTP, "/health", short_s)
        well = status == 200 and (not text.startswith("[") or '"healthy"' in text)
        return "" if well else f"its Alpha's /health: {status} {text[:120]}"

    bad = _said(on_all(zeros, joined)) or _said(on_all(alphas, is_well))
    if bad:
        return bad
    try:
        make_schema(alphas, layout, min(timeout_s, _WRITE_S))
    except NotAnswered as error:
        return {alphas[0].name: str(error)}
    write_s = min(timeout_s, _WRITE_S)
    return _said(on_all(alphas, lambda node: _serves(node, layout, write_s)))


def _serves(node: Node, layout: Layout, timeout_s: float) -> str:
    """A write, committed at once."""
    if layout.dialect.posts_text:
        path, body = "/mutate", b'{ set { _:new <%b> "yes" . } }' % READY.encode()
    else:
        path, body = "/mutate?commitNow=true", json.dumps({"set": [{READY: "yes"}]}).encode()
    headers = {"Content-Type": "application/json", "X-Dgraph-CommitNow": "true"}
    _, text = ask(node, ALPHA_HTTP, path, timeout_s, body, headers)
    return f"a write is refused: {text[:200]}" if '"errors"' in text else ""


def _said(found: Mapping[str, str | NotAnswered]) -> dict[str, str]:
    return {name: str(why) for name, why in found.items() if str(why)}


def _zeros(state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list((state.get("zeros") or {}).values())


def _leading(members: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [member for member in members if member.get("leader")]


def _counter(state: Mapping[str, Any]) -> int:
    return int(state.get("counter") or 0)


def _peers(stage: Stage, role: str) -> list[tuple[Node, int]]:
    return [(node, ZERO_PEER if role == ZERO else ALPHA_PEER) for node in nodes_of(stage, role)]


def _ended(stage: Stage) -> dict[str, str]:
    return {
        name: f"{daemon.name} ended ({daemon.exit_status()})"
        for name, daemons in stage.daemons.items()
        for daemon in daemons
        if not daemon.alive()
    }


def _not_ready(stage: Stage, unready: Mapping[str, str], what: str) -> NotReady:
    lines = [f"{what}:"]
    for name, why in unready.items():
        lines.append(f"  {name}: {why}")
        log_dir = stage.cluster.node(name).log_dir
        for role in (ZERO, ALPHA):
            lines += [f"    {role}.log: {line}" for line in tail(log_dir / f"{role}.log")]
    return NotReady("\n".join(lines), "the logs under nodes/ of the run folder tell more")

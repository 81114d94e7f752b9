"""Circles of reading: transactions of which each polled what the one before it sent (``G1c``).

An edge leads from the operation that sent a message to each that polled it. An operation whose
messages another one has read comes before that one in every order, so a circle of such edges has
no order. With the option ``ww_deps`` an edge also leads from each message of a log to the next;
circles of those alone (``G0``) are normal where transactions interleave, and only counted.

Strongly connected components by Tarjan's algorithm without recursion, then the shortest circle
in each by breadth-first search. Cost: linear in messages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from checkers.log.evidence import Evidence, Message, call_number
from checkers.proof.findings import Findings

G1C: Final = "G1c"
Edges = dict[int, dict[int, tuple[str, Message]]]
"""From call to call (by number): the kind of edge, and its message."""


def find_cycles(findings: Findings, evidence: Evidence, *, ww_deps: bool) -> int:
    """Tell of the shortest circle in each component; the number of circles of writes alone."""
    calls = {call_number(work.call): work.call for work in evidence.works if not work.call.failed}
    writes = _write_edges(evidence)
    only_writes = sum(1 for _ in components(writes))
    edges = _read_edges(evidence)
    if ww_deps:
        for start, targets in writes.items():
            for end, edge in targets.items():
                edges.setdefault(start, {}).setdefault(end, edge)
    for component in components(edges):
        cycle = shortest_cycle(edges, component)
        if all(edges[a][b][0] == "ww" for a, b in _steps(cycle)):
            continue
        reasons = []
        for number, (a, b) in enumerate(_steps(cycle), 1):
            kind, message = edges[a][b]
            after = number % len(cycle) + 1
            what = "polled" if kind == "wr" else "sent the message after"
            reasons.append(f"T{number} < T{after}, because T{after} {what} {message} of T{number}.")
        reasons.append("A circle, so there is no order of them: a contradiction.")
        findings.add(G1C, [calls[start] for start in cycle], reasons)
    return only_writes


def _read_edges(evidence: Evidence) -> Edges:
    edges: Edges = {}
    for work in evidence.works:
        for messages in work.polls.values():
            for message in messages:
                sender = evidence.sender(message)
                if sender is not None and sender is not work.call:
                    of_sender = edges.setdefault(call_number(sender), {})
                    of_sender.setdefault(call_number(work.call), ("wr", message))
    return edges


def _write_edges(evidence: Evidence) -> Edges:
    edges: Edges = {}
    for shelf in evidence.shelves.values():
        ordered = [message for offset in shelf.offsets for message in shelf.at[offset].values()]
        for before, after in pairwise(ordered):
            a, b = evidence.sender(before), evidence.sender(after)
            if a is not None and b is not None and a is not b:
                edges.setdefault(call_number(a), {}).setdefault(call_number(b), ("ww", before))
    return edges


def _steps(cycle: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip(cycle, [*cycle[1:], cycle[0]], strict=True)


def components(edges: Mapping[int, Mapping[int, object]]) -> Iterator[list[int]]:
    """Every strongly connected component of more than one node (Tarjan, without recursion)."""
    found_at: dict[int, int] = {}
    lowest: dict[int, int] = {}
    on_stack: set[int] = set()
    stack: list[int] = []
    for root in edges:
        if root in found_at:
            continue
        path = [(root, iter(edges.get(root, ())))]
        while path:
            node, following = path[-1]
            if node not in found_at:
                found_at[node] = lowest[node] = len(found_at)
                stack.append(node)
                on_stack.add(node)
            for target in following:
                if target not in found_at:
                    path.append((target, iter(edges.get(target, ()))))
                    break
                if target in on_stack:
                    lowest[node] = min(lowest[node], found_at[target])
            else:
                path.pop()
                if path:
                    above = path[-1][0]
                    lowest[above] = min(lowest[above], lowest[node])
                if lowest[node] == found_at[node]:
                    component = _popped(stack, on_stack, node)
                    if len(component) > 1:
                        yield component


def _popped(stack: list[int], on_stack: set[int], root: int) -> list[int]:
    component = []
    while True:
        node = stack.pop()
        on_stack.discard(node)
        component.append(node)
        if node == root:
            return component


def shortest_cycle(
    edges: Mapping[int, Mapping[int, object]], component: Sequence[int]
) -> list[int]:
    """The shortest circle inside ``component``, from its first node (by position)."""
    inside = set(component)
    best: list[int] = []
    for start in sorted(component):
        came: dict[int, int] = {}
        queue = deque([start])
        while queue and start not in came:
            node = queue.popleft()
            for target in edges.get(node, ()):
                if target in inside and target not in came:
                    came[target] = node
                    queue.append(target)
        cycle = [start]
        while came[cycle[-1]] != start:
            cycle.append(came[cycle[-1]])
        cycle = [start, *reversed(cycle[1:])]
        if not best or len(cycle) < len(best):
            best = cycle
        if len(best) == 2 or len(component) > 1000:
            break
    return best

"""The checker ``causal``: does everyone see causes before their effects?

*Causal order* is the order of each process's own operations, and from a write to every read of
its value, and what follows from the two together. Bouajjani, Enea, Guerraoui and Hamza, "On
Verifying Causal Consistency" (2017), show that with unique values a history is causally
consistent if and only if it has none of a few patterns:

- ``causal-cycle``: the causal order is no order (an operation would be its own cause);
- ``causal-initial-read``: a read found nothing, although a write of the key causes it;
- ``causal-stale-read``: a read found a value, although a later write of the key (one that the
  value's own write causes) causes the read;
- ``causal-conflict``: the reads demand an order among writes of a key that is no order. This one
  breaks causal convergence, and everything stronger, not plain causal consistency;
- reads of what nobody wrote, or only later, or only a failed or passing write, and transactions
  that disagree with themselves (:mod:`checkers.isolation.impossible_reads`). What was read before
  its write was sent breaks no order of causes, only that of time, and is told where nothing else is
  wrong.

jepsen.tests.causal issues five operations a key by one process (read, write 1, read, write 2,
read); this checker judges that, and any other history of reads and writes, single
(``read``/``write`` with ``[key, value]`` where keys are independent) or in transactions of ``r``
and ``w`` steps. A write of unknown outcome counts if somebody read it. What a session guarantee
alone promises (PRAM, monotonic reads) is told only where causal consistency holds: a violation of
causal consistency leaves it undecided.

Cost: n operations of p processes take n * p steps and numbers (a vector clock an operation).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from checkers.isolation import impossible_reads
from checkers.isolation.impossible_reads import displayed_key, look_for_impossible_reads
from checkers.isolation.register_transactions import (
    READS,
    WRITES,
    Registers,
    Writers,
    displayed,
    register_transactions,
    writers,
    written_twice_over,
)
from checkers.proof.cases import Cases
from checkers.proof.claim import Meaning, claims, forbids, judged
from checkers.proof.prose import proof
from harness.history.operation import INFO, OK
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS, UNIQUE_VALUES
from harness.verdict.verdict import Anomaly, Budget, Checker, Verdict

CYCLE: Final = "causal-cycle"
INITIAL_READ: Final = "causal-initial-read"
STALE_READ: Final = "causal-stale-read"
CONFLICT: Final = "causal-conflict"
_SESSIONS: Final = "strong-session-snapshot-isolation"
_GUARANTEES: Final = (
    "monotonic-reads",
    "monotonic-writes",
    "read-your-writes",
    "writes-follow-reads",
)
MEANINGS: Final = {
    **impossible_reads.MEANINGS,
    CYCLE: Meaning(anomalies=("G1c-process",), models=("causal",), undecided=_GUARANTEES),
    INITIAL_READ: Meaning(models=("causal", _SESSIONS), undecided=_GUARANTEES),
    STALE_READ: Meaning(models=("causal", _SESSIONS), undecided=_GUARANTEES),
    CONFLICT: Meaning(models=("sequential", _SESSIONS)),
}


@dataclass
class Order:
    """Causal order over ``nodes``, operations by number in order of their last record.

    ``lane`` and ``place`` give each one's process and where it stands in it; ``before`` its
    direct causes with the reason; ``clocks[n][lane]`` how many of a lane's operations cause n,
    itself counted. ``cycle`` is one if there is one (then there are no clocks).
    """

    nodes: list[Registers]
    lane: list[int]
    place: list[int]
    before: list[list[tuple[int, str]]]
    clocks: list[list[int]] = field(default_factory=list)
    cycle: list[tuple[int, str]] = field(default_factory=list)

    def causes(self, first: int, second: int) -> bool:
        """Whether ``first`` is a cause of ``second``, which is another operation."""
        return first != second and self.clocks[second][self.lane[first]] > self.place[first]


class Causal:
    """Judges reads and writes of registers with unique values."""

    name = "causal"
    reads = frozenset({"history"})
    needs_no_times = True
    operations = micro_operations = READS | WRITES | {"read-init"}
    names_foreign = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all reads of ``record``."""
        transactions = register_transactions(record, single=True)
        refusal = transactions.refusal(self.name)
        if refusal is not None:
            return refusal
        found, known = transactions.found, writers(transactions)
        cases = Cases()
        odd = look_for_impossible_reads(record, cases, transactions, known)
        order = causal_order(found, known, budget)
        if not order.cycle and any(node.disagreeing or node.unread for node in found):
            whole = causal_order(found, known, budget, every_read=True)
            order = whole if whole.cycle else order
        if order.cycle:
            cases.wants(CYCLE)
            cases.keep(CYCLE, _cycle_anomaly(record, order.nodes, order.cycle))
        else:
            _look_for_stale_reads(record, cases, known, order, budget)
        _leave_out_early_reads(cases, claims(record, self.options))
        reads = sum(len(node.reads) for node in found)
        return judged(
            record,
            self.options,
            cases,
            MEANINGS,
            stats={"operation-count": len(found), "read-count": reads},
            unknown=transactions.odd or odd or written_twice_over(known),
            settle=MEND_ANSWERS if transactions.odd or odd else UNIQUE_VALUES,
            tested=(CYCLE, INITIAL_READ, STALE_READ, CONFLICT) if reads else (),
            untested="no read was answered",
        )


def _leave_out_early_reads(cases: Cases, claimed: Sequence[str]) -> None:
    """What was read before it was sent is no matter of causes: told where nothing else is wrong."""
    others = [kind for kind in cases.counts if kind != impossible_reads.EARLY_READ]
    if any(not claimed or forbids(claimed, MEANINGS[kind]) for kind in others):
        cases.forget(impossible_reads.EARLY_READ)


def causal_order(
    found: list[Registers], known: Writers, budget: Budget, *, every_read: bool = False
) -> Order:
    """The causal order of what happened: ok operations, and others whose writes were read.

    Causes are what was read first of each key; with ``every_read`` what was read at all.
    """
    observed = {
        id(source)
        for node in found
        for version in node.seen
        if (source := known.source(version)) is not None
    }
    nodes = [
        node
        for node in found
        if node.status == OK or (node.status == INFO and id(node) in observed)
    ]
    order = _lanes(nodes)
    number = {id(node): at for at, node in enumerate(nodes)}
    for at, node in enumerate(nodes):
        for key, value in node.seen if every_read else node.reads.items():
            writer = known.source((key, value))
            if writer is not None and writer is not node and id(writer) in number:
                why = _escaped(
                    f"read key {displayed(key)} = {displayed(value)}, which", "{b} ", " {a} wrote"
                )
                order.before[at].append((number[id(writer)], why))
    _run_clocks(order, budget)
    return order


def _lanes(nodes: list[Registers]) -> Order:
    lanes: dict[Any, int] = {}
    counts: list[int] = []
    latest: dict[Any, int] = {}
    order = Order(nodes, [0] * len(nodes), [0] * len(nodes), [[] for _ in nodes])
    for at in range(len(nodes)):  # one process does one operation at a time
        process = nodes[at].process
        is_known = nodes[at].status == OK  # nobody knows when one without answer takes effect,
        name = (process, -1 if is_known else at)  # so it is a lane of its own, with no successor
        lane = lanes.setdefault(name, len(lanes))
        if lane == len(counts):
            counts.append(0)
        order.lane[at], order.place[at] = lane, counts[lane]
        counts[lane] += 1
        if process in latest:
            order.before[at].append((latest[process], "the same process did {a} before {b}"))
        if is_known:
            latest[process] = at
    return order


def _run_clocks(order: Order, budget: Budget) -> None:
    """Vector clocks in causal order, or the cycle that keeps them from running."""
    count = len(order.nodes)
    lanes = max(order.lane, default=-1) + 1
    after: list[list[int]] = [[] for _ in range(count)]
    waits = [len(causes) for causes in order.before]
    for at, causes in enumerate(order.before):
        for cause, _ in causes:
            after[cause].append(at)
    ready = deque(at for at in range(count) if not waits[at])
    clocks: list[list[int]] = [[] for _ in range(count)]
    done = 0
    while ready:
        at = ready.popleft()
        done += 1
        if done % 1000 == 0:
            budget.spend_check("causal")
        clock = [0] * lanes
        for cause, _ in order.before[at]:
            clock = list(map(max, clock, clocks[cause]))
        clock[order.lane[at]] = max(clock[order.lane[at]], order.place[at] + 1)
        clocks[at] = clock
        for later in after[at]:
            waits[later] -= 1
            if not waits[later]:
                ready.append(later)
    if done < count:
        order.cycle = _walk_back(order.before, next(at for at in range(count) if waits[at]), waits)
    else:
        order.clocks = clocks


def _walk_back(
    before: list[list[tuple[int, str]]], start: int, waits: list[int]
) -> list[tuple[int, str]]:
    """A cycle among what still waits: each entry a node and why it comes before the next one."""
    path: list[tuple[int, str]] = []
    seen: dict[int, int] = {}
    at = start
    while at not in seen:
        seen[at] = len(path)
        cause, why = next(pair for pair in before[at] if waits[pair[0]])
        path.append((cause, why))
        at = cause
    return path[seen[at] :][::-1]


@dataclass
class _Writes:
    """The writes of one key in one lane, by place."""

    places: list[int] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)

    def last_before(self, count: int) -> int:
        """The last of them among the first ``count`` operations of the lane, or -1."""
        at = bisect_right(self.places, count - 1)
        return self.nodes[at - 1] if at else -1


def _look_for_stale_reads(
    record: Record, cases: Cases, known: Writers, order: Order, budget: Budget
) -> None:
    by_key: dict[Any, dict[int, _Writes]] = defaultdict(lambda: defaultdict(_Writes))
    for at in sorted(range(len(order.nodes)), key=order.place.__getitem__):
        for key in order.nodes[at].writes:
            lane = by_key[key][order.lane[at]]
            lane.places.append(order.place[at])
            lane.nodes.append(at)
    number = {id(node): at for at, node in enumerate(order.nodes)}
    conflicts: list[tuple[int, int, str]] = []
    for reader, node in enumerate(order.nodes):
        budget.spend_check("causal")
        for key, value in node.reads.items():
            writer = known.source((key, value))
            if not known.installed((key, value)) or writer is node:
                continue
            seen = -1 if writer is None else number[id(writer)]
            for other in _causing_writes(order, by_key[key], reader):
                if other == seen:
                    continue
                if seen < 0 or order.causes(seen, other):
                    _keep_stale_read(record, cases, order, (seen, other, reader), key)
                else:
                    why = _conflict_reason(record, order, reader, key)
                    conflicts.append((other, seen, why))
    if not {INITIAL_READ, STALE_READ} & cases.counts.keys():
        _look_for_conflicts(record, cases, order, conflicts)


def _causing_writes(order: Order, lanes: Mapping[int, _Writes], reader: int) -> Iterator[int]:
    """Of each process the last write of the key that causes ``reader``."""
    clock = order.clocks[reader]
    own = order.lane[reader]
    for lane, writes in lanes.items():
        last = writes.last_before(clock[lane] - (lane == own))
        if last >= 0 and last != reader:
            yield last


def _keep_stale_read(
    record: Record, cases: Cases, order: Order, nodes: tuple[int, int, int], key: Any
) -> None:
    seen, other, reader = nodes
    kind = INITIAL_READ if seen < 0 else STALE_READ
    if not cases.wants(kind):
        return
    later = chain(order, other, reader)
    earlier = chain(order, seen, other) if seen >= 0 else [(other, "")]
    path = [*earlier[:-1], *later]
    named = {f"T{at + 1}": order.nodes[node].position for at, (node, _) in enumerate(path)}
    steps = _path_steps(path)
    last, wrote = f"T{len(path)}", f"T{len(earlier)}"
    value = displayed(order.nodes[other].writes[key])
    if seen < 0:
        found = f"the initial (nil) state of key {displayed(key)}"
    else:
        found = f"key {displayed(key)} = {displayed(order.nodes[seen].writes[key])}, which T1 wrote"
    steps.append(
        f"{last} read {found}, and not {value}, which {wrote} wrote and which causes {last}"
    )
    cases.keep(kind, proof(record, named, steps, key=displayed_key(key)))


def chain(order: Order, first: int, last: int) -> list[tuple[int, str]]:
    """The shortest chain of causes from ``first`` to ``last``, each with why the next follows."""
    came: dict[int, tuple[int, str]] = {last: (-1, "")}
    queue = deque([last])
    while queue:
        at = queue.popleft()
        if at == first:
            break
        for cause, why in order.before[at]:
            if cause not in came:
                came[cause] = (at, why)
                queue.append(cause)
    path = []
    at = first
    while at >= 0:
        after, why = came[at]
        path.append((at, why))
        at = after
    return path


def _path_steps(path: list[tuple[int, str]]) -> list[str]:
    return [
        f"T{at + 1} < T{at + 2}, because {why.format(a=f'T{at + 1}', b=f'T{at + 2}')}"
        for at, (_, why) in enumerate(path[:-1])
    ]


def _conflict_reason(record: Record, order: Order, reader: int, key: Any) -> str:
    index = record.history.operations[order.nodes[reader].position].index
    wrote = f"both wrote key {displayed(key)}, and the read that was answered at index {index}"
    return _escaped(wrote, "", ", which {a} causes, found what {b} wrote")


def _escaped(text: str, before: str, after: str) -> str:
    """A reason with places for names, around words that are no places."""
    return before + text.replace("{", "{{").replace("}", "}}") + after


def _look_for_conflicts(
    record: Record, cases: Cases, order: Order, conflicts: list[tuple[int, int, str]]
) -> None:
    """A cycle of causal order and of what reads say of the order of writes."""
    before = [list(causes) for causes in order.before]
    for first, second, why in conflicts:
        before[second].append((first, why))
    after: list[list[int]] = [[] for _ in before]
    waits = [len(causes) for causes in before]
    for at, causes in enumerate(before):
        for cause, _ in causes:
            after[cause].append(at)
    ready = [at for at, count in enumerate(waits) if not count]
    while ready:
        for later in after[ready.pop()]:
            waits[later] -= 1
            if not waits[later]:
                ready.append(later)
    stuck = next((at for at, count in enumerate(waits) if count), None)
    if stuck is not None:
        cases.wants(CONFLICT)
        cases.keep(CONFLICT, _cycle_anomaly(record, order.nodes, _walk_back(before, stuck, waits)))


def _cycle_anomaly(record: Record, nodes: list[Registers], cycle: list[tuple[int, str]]) -> Anomaly:
    names = [f"T{at + 1}" for at in range(len(cycle))]
    named = {name: nodes[node].position for name, (node, _) in zip(names, cycle, strict=True)}
    steps = [
        f"{name} < {then}, because {why.format(a=name, b=then)}"
        for name, then, (_, why) in zip(names, names[1:] + names[:1], cycle, strict=True)
    ]
    return proof(record, named, steps)


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {Causal.name: Causal}

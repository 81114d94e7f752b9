"""Writes to a register that were acknowledged and are gone after recovery: a matter of durability.

A key without an order may be late on one node only, which real time forbids and durability does
not. In a run more is known: when all was healed and ready again (the phase ``final``). A change
that was acknowledged is *lost* if the last read after that, on every node that answered, shows

- the initial value, or what was written by changes that had all been answered before the lost
  one was invoked (one of unknown outcome may happen at any later time, so it never is), and
- began after the lost change was answered.

So nothing that may have happened can have put back what is shown. Where the value shown was tried
by anything else, nobody is accused; nor in files, which do not tell when recovery was. Only keys
that have no order are looked at: a loss leaves none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from checkers.linearizable.explain import Proof, of_key, unexplained
from checkers.linearizable.judge_registers import Broken
from checkers.linearizable.narrator import Narrator
from checkers.linearizable.register_entries import INITIAL, NOTHING, Entry, KeyHistory
from checkers.linearizable.zones import START
from checkers.proof.promises import Promises, promises
from harness.history.history import History
from harness.verdict.record import Record

LOST_WRITE: Final = "lost-write"
MOST_EXPLAINED: Final = 50
"""Keys whose losses are explained; all are counted."""
READS: Final = 5
"""Last reads that a proof shows; all are looked at."""


@dataclass(frozen=True)
class Lost:
    """The changes of one key that are lost, in order of invocation, and the reads that show it.

    ``makers`` has, by value shown, the last change that made it (:data:`START`, if none did).
    """

    broken: Broken
    changes: Sequence[Entry]
    reads: Sequence[Entry]
    makers: Mapping[int, Entry]
    alone: bool
    """Whether each value shown was made once."""


@dataclass(frozen=True)
class Losses:
    """What the keys of a run lost, and why that breaks no promise (empty if it does)."""

    keys: Sequence[Lost] = ()
    permitted_by: str = ""

    @property
    def stats(self) -> dict[str, Any]:
        """What is counted of them; nothing where there are none."""
        count = sum(len(lost.changes) for lost in self.keys)
        if not count:
            return {}
        if self.permitted_by:
            return {"permitted": {LOST_WRITE: count}, "permitted-by": self.permitted_by}
        return {f"{LOST_WRITE}-count": count}

    def in_words(self, keys: int) -> str:
        """What became of how many of ``keys``, to go on with; empty if it needs no words."""
        if not self.keys or (keys == 1 and not self.permitted_by):
            return ""
        them = f"{len(self.keys)} of them" if keys > 1 else "the register"
        why = f", which is permitted ({self.permitted_by})" if self.permitted_by else ""
        return f"{them} lost acknowledged writes{why}"


def losses(record: Record, broken: Sequence[Broken], options: Mapping[str, Any]) -> Losses:
    """What the ``broken`` keys lost, if ``record`` is of a run with reads after recovery."""
    if record.run is None or not broken:
        return Losses()
    promised = promises(record, options)
    if promised.recovered_ns is None:
        return Losses()
    found = [_lost(record.history, each, promised.recovered_ns) for each in broken]
    keys = [each for each in found if each is not None]
    return Losses(keys, _excuse(promised))


def _excuse(promised: Promises) -> str:
    not_durable = promised.not_durable
    return f"acknowledged writes may be lost: {not_durable}" if not_durable else ""


def _lost(history: History, broken: Broken, recovered_ns: int) -> Lost | None:
    home = broken.home
    reads = _last_reads(history, home, recovered_ns)
    if not reads:
        return None
    shown = {read.seen for read in reads}
    makers = {value: [e for e in home.entries if e.made == value] for value in shown}
    if INITIAL in makers:
        makers[INITIAL].append(START)
    if not all(makers.values()):
        return None
    since = max(entry.complete for each in makers.values() for entry in each)
    until = min(read.invoke for read in reads)
    changes = [
        entry
        for entry in home.entries
        if entry.made not in (NOTHING, entry.seen) and since < entry.invoke
        if entry.complete < until
    ]
    if not changes:
        return None
    return Lost(
        broken=broken,
        changes=sorted(changes, key=lambda entry: entry.invoke),
        reads=reads,
        makers={value: max(each, key=lambda e: e.complete) for value, each in makers.items()},
        alone=all(len(each) == 1 for each in makers.values()),
    )


def _last_reads(history: History, home: KeyHistory, recovered_ns: int) -> list[Entry]:
    """The last read of each node that was sent after recovery, in order of their answers."""
    operations, pairs = history.operations, history.pairs
    last: dict[Any, Entry] = {}
    for entry in sorted(home.entries, key=lambda entry: entry.complete):
        first = operations[entry.at]
        if not entry.is_read or first.time < recovered_ns:
            continue
        pair = pairs[entry.at]
        node = first.node or (operations[pair].node if pair >= 0 else None)
        last.pop(name := node if node is not None else ("process", first.process), None)
        last[name] = entry
    return list(last.values())


def proofs_of(history: History, lost: Losses) -> list[tuple[Broken, Proof]]:
    """A proof for each key that lost something, unless that is permitted.

    One that cannot be told must not hide that there is a loss.
    """
    proofs = []
    for each in [] if lost.permitted_by else lost.keys[:MOST_EXPLAINED]:
        try:
            proof = proof_of(history, each)
        except Exception as error:
            late = each.reads[-1]
            proof = replace(unexplained(history, each.broken.home, late, error), kind=LOST_WRITE)
        proofs.append((each.broken, proof))
    return proofs


def proof_of(history: History, lost: Lost) -> Proof:
    """The proof that the last of the lost changes is gone."""
    home, gone = lost.broken.home, lost.changes[-1]
    reads = lost.reads[-READS:]
    makers = {value: lost.makers[value] for value in dict.fromkeys(read.seen for read in reads)}
    narrator = Narrator(history, home, [*makers.values(), gone, *reads])
    name = narrator.name(gone)
    steps = [narrator.before(maker, gone) for maker in makers.values() if maker.at != START.at]
    steps.append(narrator.before_all(gone, reads))
    for value, maker in makers.items():
        readers = ", ".join(narrator.name(read) for read in reads if read.seen == value)
        steps.append(
            f"{readers} read {narrator.value(value)}, and {_source(narrator, lost, maker)}"
        )
    steps.append(
        f"however, {name} was acknowledged, and nothing that may have happened since it was"
        f" invoked made {narrator.values(makers)} again: {name} is lost, a contradiction"
    )
    if len(lost.reads) > 1:
        steps.append(f"so it is in the last read after recovery on all {len(lost.reads)} nodes")
    if len(lost.changes) > 1:
        first = narrator.record(lost.changes[0].complete)
        steps.append(
            f"{len(lost.changes)} acknowledged changes are lost so, the first answered at {first}"
        )
    every = "the last read" if len(lost.reads) == 1 else f"each of {len(lost.reads)} last reads"
    headline = (
        f"Lost write{of_key(home)}: {name} {narrator.deed(gone)} and was acknowledged, and {every}"
        f" after recovery shows what was there before, {narrator.values(makers)}."
    )
    return Proof(LOST_WRITE, headline, steps, narrator, reads[-1], focus=(gone, *reads))


def _source(narrator: Narrator, lost: Lost, maker: Entry) -> str:
    if lost.alone:
        return narrator.origin(maker.made, maker)
    value = narrator.value(maker.made)
    return (
        f"every write of {value} had been answered before {narrator.name(lost.changes[-1])} began"
    )

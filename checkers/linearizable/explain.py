"""Why there is no order: from a contradiction to the few operations and sentences that prove it.

Three ways, the plainest that applies:

- the read's value was *definitely overwritten*: everything that ever made it was over before
  some other change was invoked, and that change was answered before the read was invoked;
- values that were each made once: the contradiction that :mod:`checkers.linearizable.zones`
  found, between two to a handful of operations;
- else the smallest set of operations found that has no order by itself (see
  :mod:`checkers.linearizable.minimal`), with all values that the register could then hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from checkers.linearizable.attempts import attempts
from checkers.linearizable.minimal import Part
from checkers.linearizable.narrator import Narrator, show
from checkers.linearizable.register_entries import (
    BEFORE_ALL,
    INITIAL,
    NOTHING,
    Entry,
    KeyHistory,
    until,
    without_idle_infos,
)
from checkers.linearizable.search import Impossible
from checkers.linearizable.search_problem import register_problem
from checkers.linearizable.zones import (
    START,
    Backwards,
    Chain,
    Circle,
    ConsumedTwice,
    Contradiction,
    NeverMade,
    Torn,
    chain_of,
)
from harness.history.history import History
from harness.history.operation import OK
from harness.verdict.wording import named

NONLINEARIZABLE = "nonlinearizable"
STALE_READ = "stale-read"
LINES = 60
"""Of a proof that could not be made small, this much is told."""
MOST_PRECEDENCES = 200
"""Operations of a proof whose precedences are told."""


@dataclass(frozen=True)
class Proof:
    """A contradiction told: its anomaly type, a headline, the steps and who is in it."""

    kind: str
    headline: str
    steps: Sequence[str]
    narrator: Narrator
    late: Entry
    """The operation whose answer left no order."""
    focus: Sequence[Entry] = ()
    """Those whose time matters most; all of the cast if empty."""
    part: Part | None = None
    """What a proof by exhaustion went through."""
    orders: Sequence[tuple[Sequence[int], str]] = ()
    """Of an object that is no register: see :meth:`tried`."""

    def span_ns(self) -> tuple[int, int]:
        """From the first invocation to the last answer of the focus."""
        return self.narrator.span_ns(self.focus or self.cast)

    @property
    def cast(self) -> Sequence[Entry]:
        """The operations of the proof; they have no order by themselves."""
        return self.narrator.people

    def tried(self) -> list[dict[str, Any]]:
        """The longest orders of the cast that agree with all its answers but some, as indices.

        Each with the value held in the end, after which no other operation of the cast fits.
        """
        if self.orders:
            return [{"order": list(order), "state": state} for order, state in self.orders]
        start = sorted(self.part.start) if self.part is not None else [INITIAL]
        people = list(self.cast)
        return [
            {
                "order": [self.narrator.index(people[i]) for i in attempt.order],
                "state": self.narrator.value(attempt.state),
            }
            for attempt in attempts(register_problem(people, start))
        ]

    def text(self) -> str:
        """The whole proof, in lines."""
        let = [f"  {line}" for line in _at_most(self.narrator.introduction())]
        then = [f"  - {step}" for step in _at_most(self.steps)]
        return "\n".join([self.headline, "Let:", *let, "Then:", *then])


def _at_most(lines: Sequence[str]) -> list[str]:
    cut = len(lines) - LINES
    return [f"({cut} earlier lines)", *lines[cut:]] if cut > 0 else list(lines)


def overwritten(history: History, home: KeyHistory, late: Entry) -> Proof | None:
    """The proof that ``late``, a read, returned what had definitely been overwritten, if it did."""
    if not late.is_read:
        return None
    past = until(home.entries, late.complete)
    makers = [entry for entry in past if entry.made == late.seen]
    if late.seen == INITIAL:
        makers.append(START)
    changes = [
        entry
        for entry in past
        if entry.complete < late.invoke and entry.made not in (late.seen, NOTHING)
    ]
    if not makers or not changes:
        return None
    missed = max(changes, key=lambda entry: entry.invoke)
    last = max(makers, key=lambda entry: entry.complete)
    if last.complete > missed.invoke:
        return None
    narrator = Narrator(history, home, [last, missed, late])
    proof = _missed_write(narrator, last, missed, late, alone=len(makers) == 1)
    outdating = [entry for entry in changes if entry.invoke > last.complete]
    return replace(proof, steps=[*proof.steps, *_lag(narrator, outdating, late)])


def _missed_write(
    narrator: Narrator, last: Entry, missed: Entry, late: Entry, *, alone: bool
) -> Proof:
    value, other = narrator.value(late.seen), narrator.value(missed.made)
    steps = [] if last.at == START.at else [narrator.before(last, missed)]
    steps.append(narrator.before(missed, late))
    if alone:
        source = narrator.origin(late.seen, last)
    else:
        source = f"every write of {value} had been answered before {narrator.name(missed)} began"
    steps.append(
        f"however, {narrator.name(late)} < {narrator.name(missed)}, because"
        f" {narrator.name(late)} read {value}, which {narrator.name(missed)} had turned into"
        f" {other}, and {source}: a contradiction"
    )
    headline = (
        f"Stale read{of_key(narrator.home)}: {narrator.name(late)} read {value} and missed"
        f" {narrator.name(missed)}, which {narrator.deed(missed)}."
    )
    return Proof(STALE_READ, headline, steps, narrator, late, focus=(missed, late))


def _lag(narrator: Narrator, outdating: Sequence[Entry], late: Entry) -> list[str]:
    """How far behind a stale read was, where it missed more than one change."""
    if len(outdating) < 2:
        return []
    first = min(outdating, key=lambda entry: entry.complete)
    return [
        f"{narrator.name(late)} missed {len(outdating)} changes that were answered before it was"
        f" invoked, the first at {narrator.record(first.complete)}"
    ]


def contradiction_proof(
    history: History, home: KeyHistory, late: Entry, why: Contradiction
) -> Proof:
    """The proof behind ``why``, the contradiction that the completion of ``late`` made."""
    plain = overwritten(history, home, late)
    if plain is not None:
        return plain
    match why:
        case NeverMade():
            return _never_made(history, home, late, why)
        case ConsumedTwice():
            return _consumed_twice(history, home, late, why)
        case Circle():
            return _circle(history, home, late, why)
        case Backwards():
            return _backwards(history, home, late, why)
        case Torn():
            return _torn(history, home, late, why)


def of_key(home: KeyHistory) -> str:
    """`` of key 5``, or nothing where there is but one object."""
    return "" if home.key is None else f" of key {show(home.key)}"


def _never_made(history: History, home: KeyHistory, late: Entry, why: NeverMade) -> Proof:
    path = _path_to(home, late, why.reader)
    missing = why.reader.seen
    failed = [entry for entry in home.refused if entry.made == missing]
    later = [
        entry for entry in home.entries if entry.made == missing and entry.invoke > late.complete
    ]
    narrator = Narrator(history, home, [late, *path, *failed[:1], *later[:1]])
    value = narrator.value(missing)
    steps = [
        f"{narrator.name(user)} needs {narrator.value(user.seen)}, which only"
        f" {narrator.name(maker)} can have made"
        for user, maker in pairwise(path)
    ]
    reader = narrator.name(why.reader)
    remark = ""
    if failed:
        remark = f" ({narrator.name(failed[0])} tried to, and was told that it failed)"
    if later:
        remark += f" ({narrator.name(later[0])} began only afterwards)"
    steps.append(
        f"{reader} {narrator.deed(why.reader)}, but until {narrator.name(late)} was answered"
        f" nobody had begun to write {value} and it was not there at the start{remark}:"
        " a contradiction"
    )
    headline = f"Read of a value that nobody had written{of_key(home)}: {value}."
    return Proof(NONLINEARIZABLE, headline, steps, narrator, late)


def _path_to(home: KeyHistory, late: Entry, reader: Entry) -> list[Entry]:
    """From ``late`` down what made the value that each one saw, to ``reader``."""
    past = without_idle_infos(until(home.entries, late.complete))
    makers = {entry.made: entry for entry in past}
    path = [late]
    while path[-1].at != reader.at:
        maker = makers.get(path[-1].seen) if path[-1].seen != NOTHING else None
        if maker is None or maker in path:
            return [reader]
        path.append(maker)
    return path


def _consumed_twice(history: History, home: KeyHistory, late: Entry, why: ConsumedTwice) -> Proof:
    narrator, steps = _known_to_happen(history, home, late, [why.first, why.second, why.maker])
    value = narrator.value(why.first.seen)
    first, second = narrator.name(why.first), narrator.name(why.second)
    step = (
        f"{first} {narrator.deed(why.first)} and {second} {narrator.deed(why.second)}, but"
        f" {narrator.origin(why.first.seen, why.maker)}; whichever of {first} and {second} went"
        f" first took {value} away, and the other one still found it: a contradiction"
    )
    headline = f"One value replaced twice{of_key(home)}: {value}."
    return Proof(NONLINEARIZABLE, headline, [*steps, step], narrator, late)


def _circle(history: History, home: KeyHistory, late: Entry, why: Circle) -> Proof:
    ring = list(why.entries)
    narrator, steps = _known_to_happen(history, home, late, ring)
    steps += [
        f"{narrator.name(maker)} < {narrator.name(user)}, because {narrator.name(user)} found"
        f" {narrator.value(user.seen)}, which only {narrator.name(maker)} can have made"
        for maker, user in zip([ring[-1], *ring[:-1]], ring, strict=True)
    ]
    steps[-1] = f"however, {steps[-1]}: a contradiction"
    headline = f"Compare-and-sets that each need another one first{of_key(home)}."
    return Proof(NONLINEARIZABLE, headline, steps, narrator, late)


def _backwards(history: History, home: KeyHistory, late: Entry, why: Backwards) -> Proof:
    low, high = _level(why.chain, why.early), _level(why.chain, why.late)
    makers = _makers(why.chain, low, high)
    cast = [why.early, why.late, *makers]
    narrator, happened = _known_to_happen(history, home, late, cast)
    low_name, high_name = narrator.name(why.early), narrator.name(why.late)
    steps = [narrator.before(why.late, why.early), *happened, *_glue(narrator, makers)]
    steps.append(
        f"however, {low_name} < {high_name}, because {low_name} {narrator.deed(why.early)}, and"
        f" {high_name} {narrator.deed(why.late)}, which came later: a contradiction"
    )
    if not why.early.is_read:
        headline = f"Operations out of order{of_key(home)}."
        return Proof(NONLINEARIZABLE, headline, steps, narrator, late)
    headline = (
        f"Stale read{of_key(home)}: {low_name} read {narrator.value(why.early.seen)} after"
        f" {high_name} had {_perfect(narrator, why.late)}."
    )
    return Proof(STALE_READ, headline, steps, narrator, late)


def _perfect(narrator: Narrator, entry: Entry) -> str:
    deed = narrator.deed(entry)
    return deed.replace("wrote", "written", 1) if deed.startswith("wrote") else deed


def _torn(history: History, home: KeyHistory, late: Entry, why: Torn) -> Proof:
    """``late`` and its chain stand both before and after the other chain."""
    mine, other = chain_of(late, why)
    a, b, c, d = _evidence(mine, other, late)
    ours, theirs = _makers_between(mine, a, d), _makers_between(other, b, c)
    cast = [a, b, c, d, *ours, *theirs]
    narrator, happened = _known_to_happen(history, home, late, cast)
    steps = [narrator.before(a, b), narrator.before(c, d), *happened]
    steps += [*_glue(narrator, ours), *_glue(narrator, theirs)]
    steps.append(f"so {_no_room(narrator, ours, theirs)}: a contradiction")
    if d.is_read:
        headline = (
            f"Stale read{of_key(home)}: {narrator.name(d)} read {narrator.value(d.seen)} after"
            f" {narrator.name(c)} had {_perfect(narrator, c)}."
        )
        return Proof(STALE_READ, headline, steps, narrator, late)
    return Proof(NONLINEARIZABLE, f"Operations out of order{of_key(home)}.", steps, narrator, late)


def _no_room(narrator: Narrator, ours: Sequence[Entry], theirs: Sequence[Entry]) -> str:
    """Where the values of ``theirs`` would have to be: amid those of ``ours``."""
    inner = narrator.listed_values([maker.made for maker in theirs])
    was = "was" if len(theirs) == 1 else "were"
    if len(ours) == 1:
        outer = narrator.value(ours[0].made)
        return (
            f"{inner} {was} there after {outer} had been (first line) and before {outer} was seen"
            f" or made again (second line), although {outer} was there for one unbroken time"
        )
    outer = narrator.listed_values([maker.made for maker in ours])
    return (
        f"{inner} {was} there amid {outer} (first two lines), which came directly one from the"
        " other"
    )


def _known_to_happen(
    history: History, home: KeyHistory, late: Entry, cast: Sequence[Entry]
) -> tuple[Narrator, list[str]]:
    """A narrator of ``cast`` and of those who saw what its unanswered changes made; their words.

    An unanswered change counts only because somebody saw its value, so that one is a witness.
    """
    past = until(home.entries, late.complete)
    people, lines = list(cast), []
    while left := _unfounded(history, people):
        known = {other.at for other in people}
        makers = {entry.made: entry for entry in left}
        seers = [e for e in past if e.seen in makers and e.at not in known]
        seer = min(seers, key=lambda e: e.complete)
        people.append(seer)
        lines.append((makers[seer.seen], seer))
    narrator = Narrator(history, home, people)
    return narrator, [
        f"{narrator.name(entry)} did happen although it was never answered, because"
        f" {narrator.name(seer)} found {narrator.value(entry.made)}"
        for entry, seer in lines
    ]


def _evidence(mine: Chain, other: Chain, late: Entry) -> tuple[Entry, Entry, Entry, Entry]:
    """(a, b, c, d): a of ``mine`` precedes b of ``other``, c of ``other`` precedes d of ``mine``.

    Preferred are ``late`` for d, one operation for b and c, a change for that one, and for a
    what made the value of d.
    """
    c = other.first_to_complete()
    d = late if c.complete < late.invoke else mine.last_to_begin()
    level = _level(mine, d) & ~1
    candidates = [mine.levels[level][0], mine.first_to_complete()]
    ordered = sorted(other, key=lambda entry: (entry.is_read, -entry.invoke))
    for a in candidates:
        for between in ordered:
            if a.complete < between.invoke and between.complete < d.invoke:
                return a, between, between, d
    return mine.first_to_complete(), other.last_to_begin(), c, d


def _unfounded(history: History, people: Sequence[Entry]) -> list[Entry]:
    """The unanswered changes that nobody answered saw, not even by way of other changes."""
    founded = {e.seen for e in people if e.at != START.at and _was_answered(history, e)}
    left = [e for e in people if e.at != START.at and not _was_answered(history, e)]
    while found := [entry for entry in left if entry.made in founded]:
        founded |= {entry.seen for entry in found}
        left = [entry for entry in left if entry not in found]
    return left


def _was_answered(history: History, entry: Entry) -> bool:
    pair = history.pairs[entry.at]
    return entry.invoke == BEFORE_ALL or (pair >= 0 and history.operations[pair].type == OK)


def _level(chain: Chain, entry: Entry) -> int:
    for level, entries in enumerate(chain.levels):
        if any(other.at == entry.at for other in entries):
            return level
    raise ValueError(f"entry {entry.at} is not in the chain")


def _makers_between(chain: Chain, one: Entry, other: Entry) -> list[Entry]:
    levels = sorted((_level(chain, one), _level(chain, other)))
    return _makers(chain, levels[0], levels[1])


def _makers(chain: Chain, low: int, high: int) -> list[Entry]:
    """What made the values of the levels from ``low`` to ``high``."""
    return [chain.levels[level][0] for level in range(low & ~1, high + 1, 2)]


def _glue(narrator: Narrator, makers: Sequence[Entry]) -> list[str]:
    """Why the values of ``makers`` that somebody saw came one from the other, each but once."""
    seen = {entry.seen for entry in narrator.people}
    lines = []
    for place, maker in enumerate(makers):
        if place and not maker.is_read:
            lines.append(f"{narrator.name(maker)} {narrator.deed(maker)} at one stroke")
        if maker.made in seen:
            lines.append(narrator.origin(maker.made, maker))
    return lines


def without_order(history: History, home: KeyHistory, part: Part, impossible: Impossible) -> Proof:
    """The proof by exhaustion: ``part`` has no order, ``impossible`` says where every one ends."""
    narrator = Narrator(history, home, part.entries)
    late = impossible.entry
    name = narrator.name(late)
    steps = precedence(narrator, part.entries)
    found = narrator.values(impossible.values)
    beginning = ""
    if part.since is not None:
        beginning = f"whatever the register held after {narrator.record(part.since)}, when all"
        beginning += " other operations that could matter had been answered, "
    steps.append(
        f"{beginning}in every order of the others that agrees with this and with their answers,"
        f" the register held {found} when {name} was answered"
    )
    steps.append(f"however, {name} found {narrator.value(late.seen)}: a contradiction")
    if _is_outdated(home, late):
        value = narrator.value(late.seen)
        headline = f"Stale read{of_key(home)}: {name} read {value}, which had been overwritten."
        return Proof(STALE_READ, headline, steps, narrator, late, part=part)
    headline = f"No order explains the answers{of_key(home)}: {name} {narrator.deed(late)}."
    return Proof(NONLINEARIZABLE, headline, steps, narrator, late, part=part)


def unexplained(history: History, home: KeyHistory, late: Entry, error: Exception) -> Proof:
    """What is certain where telling the proof failed with ``error``, a defect of ours."""
    narrator = Narrator(history, home, [late])
    name = narrator.name(late)
    step = f"no order of all operations up to the answer of {name} explains every answer"
    note = f"(why could not be told, which is a defect of the checker: {named(error)})"
    headline = f"No order explains the answers{of_key(home)}: {name} {narrator.deed(late)}."
    return Proof(NONLINEARIZABLE, headline, [step, note], narrator, late)


def _is_outdated(home: KeyHistory, late: Entry) -> bool:
    """Whether ``late`` read what had been there once: all that made it was over by then."""
    makers = [entry for entry in until(home.entries, late.complete) if entry.made == late.seen]
    was_there = bool(makers) or late.seen == INITIAL
    return late.is_read and was_there and all(e.complete < late.invoke for e in makers)


def precedence(narrator: Narrator, cast: Sequence[Entry]) -> list[str]:
    """The precedences among ``cast`` from which all others follow, one line for each first one.

    None for a cast that nobody would read through.
    """
    if len(cast) > MOST_PRECEDENCES:
        return []
    after: dict[int, list[Entry]] = {}
    by_invoke = sorted(cast, key=lambda entry: entry.invoke)
    for second in by_invoke:
        earlier = [first for first in cast if first.complete < second.invoke]
        for first in earlier:
            if not any(first.complete < between.invoke for between in earlier):
                after.setdefault(first.at, []).append(second)
    return [narrator.before_all(e, after[e.at]) for e in by_invoke if e.at in after]

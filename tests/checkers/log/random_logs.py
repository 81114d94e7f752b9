"""Random small histories of logs, on a store that now and then misbehaves, and what is wrong in
them by definition.

:func:`errors` is written from the definitions of Jepsen's Kafka tests and the rules of
:mod:`checkers.log.evidence`, over plain tuples, with no more thought than that: every pair of
everything is looked at.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

from harness.history.history import History
from harness.history.operation import Operation

Sent = tuple[int, str, Any, Any]
"""Operation, key, offset or ``None``, value."""


class Store:
    """Logs with gaps between offsets."""

    def __init__(self, rng: Random, keys: str) -> None:
        self.rng = rng
        self.logs: dict[str, list[tuple[int, Any]]] = {key: [] for key in keys}
        self.next = dict.fromkeys(keys, 0)

    def send(self, key: str, value: Any) -> int:
        """Put ``value`` at the end."""
        offset = self.next[key] + self.rng.choice((0, 0, 1))
        self.next[key] = offset + 1
        self.logs[key].append((offset, value))
        return offset

    def poll(self, key: str, position: int) -> list[list[Any]]:
        """Some of what stands from ``position`` on."""
        found = [list(each) for each in self.logs[key] if each[0] >= position]
        return found[: self.rng.choice((1, 2, 99, 99))]


def random_log_history(rng: Random, count: int, keys: str = "ab") -> History:
    """``count`` operations of three processes, one of which may be open at a time with others."""
    store, flaw = Store(rng, keys), rng.choice((0.0, 0.0, 0.1, 0.3))
    positions: dict[tuple[int, str], int] = {}
    value = 0
    records: list[tuple[float, Operation]] = []
    clock = [0.0, 0.0, 0.0]
    process_of = [0, 1, 2]
    for _ in range(count):
        lane = rng.randrange(3)
        process, begin = process_of[lane], clock[lane] + rng.random()
        end = begin + rng.random()
        clock[lane] = end
        status = rng.choice(("ok",) * 6 + ("info", "fail"))
        asked: list[Any] = []
        told: list[Any] = []
        fresh: list[tuple[str, Any, int]] = []
        for _ in range(rng.choice((1, 1, 2, 3))):
            key = rng.choice(keys)
            if rng.random() < 0.5:
                value = value + 1 if rng.random() >= flaw / 3 else max(1, value)
                happens = status == "ok" or (status == "info" and rng.random() < 0.5)
                happens = happens != (rng.random() < flaw / 4)
                offset = store.send(key, value) if happens else store.next[key]
                if rng.random() < flaw / 4:
                    offset = max(0, offset - rng.choice((1, 2)))
                if happens and rng.random() < flaw / 6:
                    store.send(key, value)
                asked.append(["send", key, value])
                told.append(["send", key, [rng.choice((offset, offset, None)), value]])
                fresh.append((key, value, offset))
            else:
                position = positions.get((process, key), 0)
                if rng.random() < flaw:
                    position = max(0, position + rng.choice((-1, 1)))
                found = _polled(rng, store.poll(key, position), fresh, key, flaw)
                if status == "ok" and found:
                    positions[process, key] = max(pair[0] or 0 for pair in found) + 1
                asked.append(["poll"])
                told.append(["poll", {key: found}])
        answer = told if status == "ok" else rng.choice((asked, told, told, None))
        f = "txn" if len(asked) > 1 else asked[0][0]
        records.append((begin, Operation(0, 0, process, "invoke", f, asked)))
        records.append((end, Operation(0, 0, process, status, f, answer)))
        if status == "info":
            process_of[lane] += 3
    final = {key: [list(each) for each in log] for key, log in store.logs.items()}
    if rng.random() < flaw:
        lossy = rng.choice(keys)
        final[lossy] = final[lossy][: rng.randrange(len(final[lossy]) + 1)]
    at = max(clock) + 1
    records.append((at, Operation(0, 0, 99, "invoke", "final-poll", [["poll"]])))
    records.append((at + 1, Operation(0, 0, 99, "ok", "final-poll", [["poll", final]])))
    if rng.random() < flaw:
        _show_each_other(rng, [one for _, one in records if one.type == "ok"])
    records.sort(key=lambda record: record[0])
    return History(
        [
            Operation(n, n, one.process, one.type, one.f, one.value)
            for n, (_, one) in enumerate(records)
        ]
    )


def _show_each_other(rng: Random, done: list[Operation]) -> None:
    """Let two operations that sent and polled each poll what the other sent."""
    both = [one for one in done if {"send", "poll"} <= {step[0] for step in one.value}]
    if len(both) < 2:
        return
    pair = rng.sample(both, 2)
    sent = [next(step for step in one.value if step[0] == "send") for one in pair]
    for one, (_, key, message) in zip(pair, reversed(sent), strict=True):
        poll = next(step for step in one.value if step[0] == "poll")
        poll[1].setdefault(key, []).append(list(message))


def _polled(
    rng: Random, found: list[list[Any]], fresh: list[tuple[str, Any, int]], key: str, flaw: float
) -> list[list[Any]]:
    own = {(offset, value) for k, value, offset in fresh if k == key}
    if rng.random() >= flaw / 3:
        found = [pair for pair in found if tuple(pair) not in own]
    if found and rng.random() < flaw / 2:
        kind = rng.choice(("gap", "turn", "other", "moved", "twice", "nowhere"))
        at = rng.randrange(len(found))
        if kind == "gap":
            del found[at]
        elif kind == "turn":
            found.reverse()
        elif kind == "other":
            found[at] = [found[at][0], rng.choice((1000, 1, 2))]
        elif kind == "moved":
            found[at] = [found[at][0] + 1, found[at][1]]
        elif kind == "nowhere":
            found[at] = [None, found[at][1]]
        else:
            found.append(found[at])
    return found


class Facts:
    """Who did what: plain tuples out of a history."""

    def __init__(self, history: History) -> None:
        self.status: dict[int, str] = {}
        self.span: dict[int, tuple[float, float]] = {}
        self.process: dict[int, Any] = {}
        self.f: dict[int, str] = {}
        self.sends: list[Sent] = []
        self.polls: list[tuple[int, str, Any, Any, int]] = []
        self.looked: dict[int, set[str]] = {}
        for at, one in enumerate(history.operations):
            if one.type != "invoke":
                continue
            end = history.pairs[at]
            done = history.operations[end]
            self.status[at], self.process[at], self.f[at] = done.type, one.process, one.f
            self.span[at] = (at, float("inf") if done.type == "info" else end)
            self.looked[at] = set()
            for n, (step, answer) in enumerate(
                zip(one.value, done.value or [None] * len(one.value), strict=True)
            ):
                if step[0] == "send":
                    told = answer is not None and isinstance(answer[2], list)
                    self.sends.append((at, step[1], answer[2][0] if told else None, step[2]))
                elif answer is not None and len(answer) > 1:
                    self.looked[at] |= set(answer[1])
                    for key, messages in answer[1].items():
                        self.polls += [(at, key, offset, value, n) for offset, value in messages]

    def sender(self, key: str, offset: Any, value: Any) -> int | None:
        """The operation whose send a message is, where it can only be one."""
        maybe = [s for s in self.sends if s[1] == key and s[3] == value]
        maybe = [s for s in maybe if self.status[s[0]] != "fail"]
        if len(maybe) > 1:
            exact = [s for s in maybe if offset is not None and s[2] == offset]
            maybe = exact or [s for s in maybe if s[2] is None or offset is None]
        return maybe[0][0] if len(maybe) == 1 else None


def errors(history: History) -> tuple[set[str], bool]:
    """The kinds of errors in ``history``, and whether something committed was never reached."""
    facts = Facts(history)
    ok = [p for p in facts.polls if facts.status[p[0]] == "ok"]
    committed = {at for at, kind in facts.status.items() if kind == "ok"}
    committed |= {
        at
        for _, key, offset, value, _ in ok
        for at in [facts.sender(key, offset, value)]
        if at is not None
    }
    placed = {(k, o, v) for _, k, o, v, _ in facts.polls if o is not None}
    placed |= {(k, o, v) for at, k, o, v in facts.sends if at in committed and o is not None}
    found = _contents(facts, ok, placed)
    missing, waiting = _missing(facts, ok, committed)
    found |= missing | _order(facts, ok, placed, committed)
    if _circle(facts, ok):
        found.add("G1c")
    return found, waiting


def _contents(facts: Facts, ok: list[Any], placed: set[Any]) -> set[str]:
    found = set()
    if any((k, o) == (other, p) and v != w for k, o, v in placed for other, p, w in placed):
        found.add("inconsistent-offsets")
    for k, _, v in placed:
        possible = [s for s in facts.sends if (s[1], s[3]) == (k, v)]
        possible = [s for s in possible if facts.status[s[0]] != "fail"]
        if len({o for other, o, w in placed if (other, w) == (k, v)}) > max(1, len(possible)):
            found.add("duplicate")
    for at, k, o, v, _ in ok:
        tries = [s[0] for s in facts.sends if (s[1], s[3]) == (k, v)]
        if not tries:
            found.add("unexpected")
        elif all(facts.status[t] == "fail" for t in tries):
            found.add("G1a")
        else:
            first = min(facts.span[p[0]][1] for p in ok if (p[1], p[3]) == (k, v))
            if all(facts.span[t][0] > first for t in tries):
                found.add("unexpected")
        if facts.sender(k, o, v) == at:
            found.add("precommitted-read")
    return found


def _missing(facts: Facts, ok: list[Any], committed: set[int]) -> tuple[set[str], bool]:
    found, waiting = set(), False
    for key, value in {(s[1], s[3]) for s in facts.sends}:
        mine = [s for s in facts.sends if (s[1], s[3]) == (key, value) and s[0] in committed]
        several = (
            sum((s[1], s[3]) == (key, value) and facts.status[s[0]] != "fail" for s in facts.sends)
            > 1
        )
        furthest = max((p[2] for p in ok if p[1] == key and p[2] is not None), default=-1)
        hidden = [
            s
            for s in mine
            if not any(
                (p[1], p[3]) == (key, value)
                and (not several or s[2] is None or p[2] is None or p[2] == s[2])
                for p in facts.polls
            )
        ]
        lost = any(s[2] is not None and furthest > s[2] for s in hidden)
        unseen = any(
            facts.f[at] == "final-poll"
            and key in facts.looked[at]
            and facts.span[at][0] > facts.span[s[0]][1]
            and not any(p[0] == at and (p[1], p[3]) == (key, value) for p in ok)
            for s in mine
            for at in facts.f
        )
        if lost:
            found.add("lost-write")
        elif unseen:
            found.add("unseen")
        elif hidden:
            waiting = True
    return found, waiting


def _order(facts: Facts, ok: list[Any], placed: set[Any], committed: set[int]) -> set[str]:
    found = set()
    offsets = {k: sorted({o for other, o, _ in placed if other == k}) for k, _, _ in placed}

    def compare(key: str, before: int, after: int, prefix: str) -> None:
        step = offsets[key].index(after) - offsets[key].index(before)
        if step > 1:
            found.add(prefix + "poll-skip")
        if step < 1:
            found.add(prefix + "nonmonotonic-poll")

    last: dict[Any, int] = {}
    sent: dict[Any, int] = {}
    for at in sorted(facts.f):
        if facts.status[at] != "ok":
            continue
        for key in offsets:
            mine = [p[2] for p in ok if p[0] == at and p[1] == key and p[2] is not None]
            for before, after in pairwise(mine):
                compare(key, before, after, "int-")
            who = (facts.process[at], key)
            if mine and facts.f[at] != "final-poll":
                if who in last:
                    compare(key, last[who], mine[0], "")
                last[who] = mine[-1]
            here = [s[2] for s in facts.sends if s[0] == at and s[1] == key and s[2] is not None]
            if here and sent.get(who, -1) >= here[0]:
                found.add("nonmonotonic-send")
            if here:
                sent[who] = here[-1]
    for at in committed:
        for key in offsets:
            here = [s[2] for s in facts.sends if s[0] == at and s[1] == key and s[2] is not None]
            if any(before >= after for before, after in pairwise(here)):
                found.add("int-nonmonotonic-send")
    return found


def _circle(facts: Facts, ok: list[Any]) -> bool:
    reach = {(facts.sender(k, o, v), at) for at, k, o, v, _ in ok}
    reach = {(a, b) for a, b in reach if a is not None and a != b}
    while True:
        more = {(a, d) for a, b in reach for c, d in reach if b == c} - reach
        if not more:
            return any(a == b for a, b in reach)
        reach |= more

"""What every operation says of every log: sends and polled messages, by key, and their ranks.

- What an ``ok`` sent is in its log. So is what an ``info`` sent once an ``ok`` poll showed a
  message of it: polls are read-committed and the sends of one operation are one transaction (as
  Jepsen has it), so all were committed, at offsets that its completion may tell. With the option
  ``transactional`` false, or an ``isolation_level`` of ``read_uncommitted``, nothing follows from a
  message but itself.
- Every poll shows what stands in a log, also one of a transaction that failed or whose outcome is
  unknown: pollers are only ever given what was committed. What *must* have been seen, and by whom,
  is asked of ``ok`` polls alone.
- A value is sent once to a key. Where it was sent again, the offset tells which send it was.
- An ``ok`` answer has the micro-operations that were asked, on the same keys, with the same values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from harness.history.calls import Call, calls, name, short
from harness.history.history import History
from harness.history.values import key_text

SEND: Final = "send"
POLL: Final = "poll"
FINAL_POLL: Final = "final-poll"
ASSIGNS: Final = ("assign", "subscribe")
WORKS: Final = (SEND, POLL, FINAL_POLL, "txn")
OTHERS: Final = ("crash", "debug-topic-partitions")
"""Operations of Jepsen's tests that say nothing of a log."""


class Unreadable(Exception):
    """An operation is not one of a log; the message names it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as one micro-operation of ``call`` sent or polled it.

    ``value`` is a :func:`harness.history.calls.name`; ``offset`` is ``None`` where it is not known.
    """

    call: Call
    key: str
    offset: int | None
    value: Any
    shown: str

    def __str__(self) -> str:
        """``offset 7 of key x: 12``."""
        at = "an unknown offset" if self.offset is None else f"offset {self.offset}"
        return f"{at} of key {self.key}: {self.shown}"


@dataclass
class Shelf:
    """All that is known of the log of one key.

    ``sends`` by value, those that failed too; ``polls`` of ``ok`` by value; ``at`` every message at
    its offset, by value; ``glimpsed`` where any poll showed a value.
    """

    key: str
    sends: dict[Any, list[Message]] = field(default_factory=dict)
    polls: dict[Any, list[Message]] = field(default_factory=dict)
    at: dict[int, dict[Any, Message]] = field(default_factory=dict)
    glimpsed: dict[Any, set[int | None]] = field(default_factory=dict)
    rank: dict[int, int] = field(default_factory=dict)
    offsets: list[int] = field(default_factory=list)

    def see(self, message: Message) -> None:
        """Take in that ``message`` stands at its offset."""
        if message.offset is not None:
            self.at.setdefault(message.offset, {}).setdefault(message.value, message)

    def settle(self) -> None:
        """Give every offset its rank; to be called once, when all is seen."""
        self.offsets = sorted(self.at)
        self.rank = {offset: rank for rank, offset in enumerate(self.offsets)}

    def between(self, first: int, last: int) -> list[Message]:
        """One message for each offset that lies strictly between two known offsets."""
        ranks = range(self.rank[first] + 1, self.rank[last])
        return [next(iter(self.at[self.offsets[rank]].values())) for rank in ranks]

    def sent(self, message: Message) -> Message | None:
        """The send of which ``message`` came, if it can only be one."""
        possible = [send for send in self.sends.get(message.value, ()) if not send.call.failed]
        if len(possible) > 1:
            same = [
                s for s in possible if message.offset is not None and s.offset == message.offset
            ]
            possible = same or [s for s in possible if s.offset is None or message.offset is None]
        return possible[0] if len(possible) == 1 else None


@dataclass
class Work:
    """One call with what it sent and polled, by key, in its own order.

    ``committed``: its sends are in their logs. Of others ``sends`` and ``polls`` stay empty.
    ``polled_keys`` are those that a poll looked at, also where it found nothing.
    """

    call: Call
    committed: bool = False
    tried: list[Message] = field(default_factory=list)
    polled_keys: set[str] = field(default_factory=set)
    sends: dict[str, list[Message]] = field(default_factory=dict)
    polls: dict[str, list[Message]] = field(default_factory=dict)


class Evidence:
    """Every send and poll of a history, by key and by call.

    ``is_safe``: see the module's text. Raises :class:`Unreadable` for an ``ok`` answer that is not
    made of micro-operations, or not of those that were asked.
    """

    def __init__(self, history: History, *, is_safe: bool = True) -> None:
        self.calls = calls(history)
        self.shelves: dict[str, Shelf] = {}
        self.works = [self._work(call) for call in self.calls if call.f in WORKS]
        for work in self.works:
            known = work.call.ok or (is_safe and self._is_shown(work))
            if known:
                self._commit(work)
        for shelf in self.shelves.values():
            shelf.settle()

    def shelf(self, key: str) -> Shelf:
        """The log of ``key``, made when first asked for."""
        return self.shelves.setdefault(key, Shelf(key))

    def sender(self, message: Message) -> Call | None:
        """Who sent ``message``, if it can only be one."""
        sent = self.shelf(message.key).sent(message)
        return sent.call if sent is not None else None

    def _is_shown(self, work: Work) -> bool:
        """Whether an ``ok`` poll shows some message of what may have happened."""
        if work.call.failed:
            return False
        polled = [m for send in work.tried for m in self.shelf(send.key).polls.get(send.value, ())]
        return any(self.sender(message) is work.call for message in polled)

    def _commit(self, work: Work) -> None:
        work.committed = True
        for message in work.tried:
            work.sends.setdefault(message.key, []).append(message)
            self.shelf(message.key).see(message)

    def _work(self, call: Call) -> Work:
        work = Work(call)
        for part in _sends(call):
            message = _sent(call, *part)
            work.tried.append(message)
            self.shelf(message.key).sends.setdefault(message.value, []).append(message)
        for found in _polls(call):
            work.polled_keys.update(map(key_name, found))
            for message in _polled(call, found):
                shelf = self.shelf(message.key)
                shelf.see(message)
                shelf.glimpsed.setdefault(message.value, set()).add(message.offset)
                if call.ok:
                    work.polls.setdefault(message.key, []).append(message)
                    shelf.polls.setdefault(message.value, []).append(message)
        return work


def call_number(call: Call) -> int:
    """A number of a call's own, in order of completion."""
    return call.last.index


def _sends(call: Call) -> Iterator[tuple[Any, Any, Any]]:
    """Key, offset or nil, and value of each send of ``call``."""
    asked, told = _parts(call, call.asked), _parts(call, call.answer)
    parts = told if call.ok and told else asked or told
    if call.ok and asked and told and not _answers(asked, told):
        raise Unreadable(f"{call}: the answer {short(call.answer)} is none to what was asked")
    others = told if len(told) == len(parts) else parts
    for part, other in zip(parts, others, strict=True):
        if part[0] != SEND:
            continue
        value, offset = part[2], None
        if asked and _is_placed(other, part):
            offset = other[2][0]
        elif (not asked or call.ok) and _has_offset(value):
            offset, value = value
        yield part[1], offset, value


def _answers(asked: Sequence[Any], told: Sequence[Any]) -> bool:
    """Whether ``told`` has the micro-operations that were ``asked``, in their order."""
    if len(asked) != len(told):
        return False
    return all(
        a[0] == b[0] == POLL
        or (a[0] == b[0] == SEND and key_name(a[1]) == key_name(b[1]) and _is_same(a[2], b[2]))
        for a, b in zip(asked, told, strict=True)
    )


def _is_same(asked: Any, told: Any) -> bool:
    return bool(name(told) == name(asked) or (_has_offset(told) and name(told[1]) == name(asked)))


def _is_placed(told: Sequence[Any], asked: Sequence[Any]) -> bool:
    """Whether ``told`` is the send ``asked``, with its offset."""
    if told[0] != SEND or key_name(told[1]) != key_name(asked[1]) or not _has_offset(told[2]):
        return False
    return bool(name(told[2]) != name(asked[2]) and name(told[2][1]) == name(asked[2]))


def _has_offset(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _is_offset(value[0])


def _is_offset(offset: Any) -> bool:
    return offset is None or (isinstance(offset, int) and not isinstance(offset, bool))


def _parts(call: Call, value: Any) -> Sequence[Sequence[Any]]:
    """The micro-operations in ``value``; none where it is not made of them, and nobody relies on
    it: what did not end ``ok`` may have put anything there.
    """
    if value is None:
        return []
    if isinstance(value, list) and value and isinstance(value[0], str):
        value = [value]
    wrong = _what_is_wrong(value)
    if wrong and (call.ok or value is call.asked):
        raise Unreadable(f"{call}: {wrong}")
    return [] if wrong else value


def _what_is_wrong(value: Any) -> str:
    if not isinstance(value, list):
        return f"{short(value)} is no list of sends and polls"
    for part in value:
        if not (isinstance(part, list) and part and part[0] in (SEND, POLL)):
            return f"{short(part)} is neither a send nor a poll"
        if part[0] == SEND and len(part) != 3:
            return f"{short(part)} is not a send of a value to a key"
    return ""


def _sent(call: Call, key: Any, offset: Any, value: Any) -> Message:
    return Message(call, key_name(key), offset, name(value), short(value))


def _polls(call: Call) -> Iterator[Mapping[Any, Any]]:
    """What each poll of ``call`` was answered."""
    for part in _parts(call, call.answer):
        found = part[1] if part[0] == POLL and len(part) > 1 else None
        wrong = "" if found is None else _what_is_no_answer(found)
        if wrong and call.ok:
            raise Unreadable(f"{call}: {wrong}")
        if found is not None and not wrong:
            yield found


def _what_is_no_answer(found: Any) -> str:
    if not isinstance(found, Mapping):
        return f"{short(found)} is not a map from key to messages"
    for messages in found.values():
        if not isinstance(messages, list | None):
            return f"{short(messages)} is no list of messages"
        for pair in messages or ():
            if not (isinstance(pair, list) and len(pair) == 2):
                return f"{short(pair)} is not [offset, value]"
            if not _is_offset(pair[0]):
                return f"{short(pair[0])} is not an offset"
    return ""


def _polled(call: Call, found: Mapping[Any, Any]) -> Iterator[Message]:
    for key, messages in found.items():
        for offset, value in messages or ():
            yield Message(call, key_name(key), offset, name(value), short(value))


def key_name(key: Any) -> str:
    """A key as text: in JSON the keys of a map are strings, those of a send need not be."""
    return key_text(key)

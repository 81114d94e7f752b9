"""What every operation says of every log: sends and polled messages, by key, and their ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from checkers.calls import Call, calls, name, short
from harness.history.history import History
from harness.history.values import key_text

SEND: Final = "send"
POLL: Final = "poll"
FINAL_POLL: Final = "final-poll"
ASSIGNS: Final = ("assign", "subscribe")
WORKS: Final = (SEND, POLL, FINAL_POLL, "txn")


class Unreadable(Exception):
    """An operation is not one of a log; the message names it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as one micro-operation of ``call`` sent or polled it.

    ``value`` is a :func:`checkers.calls.name`; ``offset`` is ``None`` where it is not known.
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
    """All that is known of the log of one key."""

    key: str
    sends: dict[Any, list[Message]] = field(default_factory=dict)
    polls: dict[Any, list[Message]] = field(default_factory=dict)
    at: dict[int, dict[Any, Message]] = field(default_factory=dict)
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


@dataclass
class Work:
    """One call with what it sent and polled, by key, in its own order.

    ``polled_keys`` are those that a poll looked at, also where it found nothing.
    """

    call: Call
    polled_keys: set[str] = field(default_factory=set)
    sends: dict[str, list[Message]] = field(default_factory=dict)
    polls: dict[str, list[Message]] = field(default_factory=dict)


class Evidence:
    """Every send and poll of a history, by key and by call.

    Raises :class:`Unreadable` for a value that is not made of micro-operations.
    """

    def __init__(self, history: History) -> None:
        self.calls = calls(history)
        self.shelves: dict[str, Shelf] = {}
        self.works: list[Work] = []
        for call in self.calls:
            if call.f in WORKS:
                self.works.append(self._work(call))
        for shelf in self.shelves.values():
            shelf.settle()

    def shelf(self, key: str) -> Shelf:
        """The log of ``key``, made when first asked for."""
        return self.shelves.setdefault(key, Shelf(key))

    def _work(self, call: Call) -> Work:
        work = Work(call)
        for part in _parts(call):
            if part[0] == SEND:
                message = _sent(call, part)
                shelf = self.shelf(message.key)
                shelf.sends.setdefault(message.value, []).append(message)
                if call.ok:
                    work.sends.setdefault(message.key, []).append(message)
                    shelf.see(message)
            elif call.ok and len(part) > 1:
                work.polled_keys.update(map(key_name, part[1] or ()))
                for message in _polled(call, part[1]):
                    work.polls.setdefault(message.key, []).append(message)
                    shelf = self.shelf(message.key)
                    shelf.polls.setdefault(message.value, []).append(message)
                    shelf.see(message)
        return work


def _parts(call: Call) -> Sequence[Sequence[Any]]:
    """The micro-operations of ``call``: as answered if it is ok, else as asked."""
    value = call.answer if call.ok and call.answer is not None else call.value
    if isinstance(value, list) and value and isinstance(value[0], str):
        value = [value]
    parts = value if isinstance(value, list) else []
    for part in parts:
        if not (isinstance(part, list) and part and part[0] in (SEND, POLL)):
            raise Unreadable(f"{call}: {short(part)} is neither a send nor a poll")
        if part[0] == SEND and len(part) != 3:
            raise Unreadable(f"{call}: {short(part)} is not a send of a value to a key")
    return parts


def _sent(call: Call, part: Sequence[Any]) -> Message:
    _, key, value = part
    offset = None
    if call.ok and isinstance(value, list) and len(value) == 2:
        offset, value = value
    return Message(call, key_name(key), _offset(call, offset), name(value), short(value))


def _polled(call: Call, found: Any) -> Iterator[Message]:
    if not isinstance(found, Mapping | None):
        raise Unreadable(f"{call}: {short(found)} is not a map from key to messages")
    for key, messages in (found or {}).items():
        for pair in messages or ():
            if not (isinstance(pair, list) and len(pair) == 2):
                raise Unreadable(f"{call}: {short(pair)} is not [offset, value]")
            offset, value = pair
            yield Message(call, key_name(key), _offset(call, offset), name(value), short(value))


def _offset(call: Call, offset: Any) -> int | None:
    if offset is None or (isinstance(offset, int) and not isinstance(offset, bool)):
        return offset
    raise Unreadable(f"{call}: {short(offset)} is not an offset")


def key_name(key: Any) -> str:
    """A key as text: in JSON the keys of a map are strings, those of a send need not be."""
    return key_text(key)

"""Transactions on Redis that only read: each call is one script, so nobody can come in between.

A script is executed as one, so what it reads is of one moment, and nothing need be watched: a bank
that is read as a whole never conflicts with the transfers around it, as it would with ``WATCH``
(:mod:`systems.redis.transaction`). A transaction of several calls reads all that it has read before
once more with each: if that is as it was, everything holds at the last moment; if not, ``Failed``
(a conflict), for no moment shows all of it.

Nothing is changed, so any loss is ``Failed``; a commit sends nothing. Cost: a round trip a call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.contract.client import Failed
from systems.drivers.resp import Answer, Refusal, Word
from systems.redis.asks import Asks
from systems.redis.stored import joined, loaded, loaded_list, not_understood, stored

READS: Final = (
    "local ranges, names, values = {}, {}, {} "
    "local scans = tonumber(ARGV[3]) "
    "for at = 4, 2 + 2 * scans, 2 do "
    "local found = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[at], ARGV[at + 1]) "
    "ranges[#ranges + 1] = found "
    "for _, name in ipairs(found) do names[#names + 1] = name end end "
    "for at = 4 + 2 * scans, #ARGV do names[#names + 1] = ARGV[at] end "
    "for _, name in ipairs(names) do values[#values + 1] = {name, "
    "redis.call('GET', ARGV[1] .. name), redis.call('LRANGE', ARGV[2] .. name, 0, -1)} end "
    "return {ranges, values}"
)
"""Names by ranges, then name, value and appended of each of them and of those that were given."""

Bounds = tuple[bytes, bytes]


class RedisReading:
    """One transaction that only reads. Its one operation's time holds for all its requests."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks
        self._deadline = asks.deadline()
        self._ranges: dict[Bounds, list[bytes]] = {}
        self._seen: dict[bytes, tuple[Answer, Answer]] = {}
        self._finished = False

    async def get(self, key: Any) -> Any:
        """The value of ``key`` (``None`` if absent)."""
        return (await self.get_many([key]))[key]

    async def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        """The values of all ``keys``, of one moment."""
        names = {key: stored(key) for key in keys}
        if any(name not in self._seen for name in names.values()):
            await self._look([], list(names.values()))
        return {key: self._value(name) for key, name in names.items()}

    async def scan(self, prefix: str) -> Mapping[str, Any]:
        """Every key that begins with ``prefix``, with its value, of one moment."""
        start = stored(prefix)[:-1]  # a stored string, open at its end
        bounds = (b"[" + start, b"[" + start + b"\xff")
        await self._look([bounds], [])
        found = self._ranges[bounds]
        values = {loaded(name): self._value(name) for name in sorted(found)}
        return {key: value for key, value in values.items() if value is not None}

    async def put(self, key: Any, value: Any) -> None:
        """Refused."""
        raise self._no_change()

    async def append(self, key: Any, element: Any) -> None:
        """Refused."""
        raise self._no_change()

    async def delete(self, key: Any) -> None:
        """Refused."""
        raise self._no_change()

    async def commit(self) -> None:
        """All that was read is of one moment already: nothing is sent."""
        self._must_be_open()
        self._finished = True

    async def abort(self) -> None:
        """Nothing is sent."""
        self._finished = True

    async def _look(self, ranges: Sequence[Bounds], names: Sequence[bytes]) -> None:
        """Read this and all that was read before, in one script."""
        self._must_be_open()
        every_range = list(dict.fromkeys([*self._ranges, *ranges]))
        every_name = list(dict.fromkeys([*self._seen, *names]))
        try:
            found_ranges, found = await self._ask(every_range, every_name)
            for bounds, before in self._ranges.items():
                self._must_be_as_it_was(before, found_ranges[bounds])
            for name, before_value in self._seen.items():
                self._must_be_as_it_was(before_value, found.get(name))
        except BaseException:
            self._finished = True
            raise
        self._ranges, self._seen = found_ranges, found

    async def _ask(
        self, ranges: Sequence[Bounds], names: Sequence[bytes]
    ) -> tuple[dict[Bounds, list[bytes]], dict[bytes, tuple[Answer, Answer]]]:
        key = self._asks.key
        command: list[Word] = ["EVAL", READS, 1, key("rows", b"all")]
        command += [key("row", b""), key("tail", b""), len(ranges)]
        command += [*(bound for bounds in ranges for bound in bounds), *names]
        (answer,) = await self._asks.exchange([command], mutates=False, deadline=self._deadline)
        if isinstance(answer, Refusal):
            raise self._asks.refused(answer, in_doubt=False)
        found, values = _halves(answer, len(ranges))
        seen = dict(map(_triple, values))
        wanted = {*names, *(name for of_range in found for name in of_range)}
        if set(seen) != wanted:
            raise not_understood(answer)
        return dict(zip(ranges, found, strict=True)), seen

    def _value(self, name: bytes) -> Any:
        base, appended = self._seen[name]
        return joined(loaded(base), loaded_list(appended))

    def _must_be_as_it_was(self, before: Any, now: Any) -> None:
        if before != now:
            raise Failed(["answer", "conflict"], session_ended=False)

    def _no_change(self) -> Failed:
        said = ["request", "this transaction was begun to read alone"]
        return Failed(said, session_ended=False)

    def _must_be_open(self) -> None:
        if self._finished:
            raise Failed(["request", "this transaction is finished"], session_ended=False)


def _halves(answer: Answer, ranges: int) -> tuple[list[list[bytes]], list[Answer]]:
    """The names that each range gave, and what was read; ``Failed`` where it is something else."""
    if not isinstance(answer, list) or len(answer) != 2:
        raise not_understood(answer)
    found, values = answer
    if not isinstance(found, list) or not isinstance(values, list) or len(found) != ranges:
        raise not_understood(answer)
    names = [
        [each for each in of_range if isinstance(each, bytes)]
        for of_range in found
        if isinstance(of_range, list)
    ]
    if names != found:
        raise not_understood(answer)
    return names, values


def _triple(answer: Answer) -> tuple[bytes, tuple[Answer, Answer]]:
    if not isinstance(answer, list) or len(answer) != 3:
        raise not_understood(answer)
    name, base, appended = answer
    if not isinstance(name, bytes):
        raise not_understood(answer)
    loaded(base), loaded_list(appended)  # ``Failed`` where it is no value
    return name, (base, appended)

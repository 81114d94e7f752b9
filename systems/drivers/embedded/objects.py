"""Registers, sets, counters, queues, logs, locks, ids: a statement each, which commits itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from harness.contract.client import Failed, Indeterminate
from harness.wording import shown
from systems.drivers.embedded.asks import Asks, Rows
from systems.drivers.embedded.dialect import Dialect, get_of
from systems.drivers.embedded.transaction import stored


class EmbeddedObjects:
    """The abilities but for transactions."""

    def __init__(self, asks: Asks, dialect: Dialect) -> None:
        self._asks, self._sql = asks, dialect

    async def read(self, key: Any) -> Any:
        """The value of ``key`` (``None`` if absent)."""
        rows = await self._read(get_of(self._sql, 1), 2, stored(key))
        return _loaded(rows[0][1], Failed) if rows else None

    async def write(self, key: Any, value: Any) -> None:
        """Set ``key`` to ``value``."""
        await self._change(self._sql.put, stored(key), _storable(value))

    async def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        """Set ``key`` to ``new`` if it holds ``old`` (``None``: is absent)."""
        if old is None:
            rows = await self._change(self._sql.create, stored(key), _storable(new))
        else:
            rows = await self._change(self._sql.swap, _storable(new), stored(key), stored(old))
        return _cell(rows) is not None

    async def add_to_set(self, name: Any, element: Any) -> None:
        """Add ``element``."""
        await self._change(self._sql.add, stored(name), stored(element))

    async def read_set(self, name: Any) -> Sequence[Any]:
        """Every element."""
        rows = await self._read(self._sql.members, 1, stored(name))
        return [_loaded(row[0], Failed) for row in rows]

    async def add_to_counter(self, name: Any, delta: int) -> None:
        """Change the counter by ``delta``."""
        await self._change(self._sql.count, stored(name), delta)

    async def read_counter(self, name: Any) -> int:
        """The value; 0 before it was changed."""
        rows = await self._read(self._sql.counted, 1, stored(name))
        return _number(rows[0][0], Failed) if rows else 0

    async def enqueue(self, name: Any, value: Any) -> None:
        """Put ``value`` in."""
        await self._change(self._sql.enqueue, stored(name), stored(value))

    async def dequeue(self, name: Any) -> Any:
        """Take the oldest out; ``None`` if the queue is empty."""
        text = _cell(await self._change(self._sql.dequeue, stored(name)))
        return None if text is None else _loaded(text, Indeterminate)

    async def append_to_log(self, name: Any, value: Any) -> int:
        """Append ``value``; its place."""
        rows = await self._change(self._sql.log, stored(name), stored(value), stored(name))
        return _number(_cell(rows), Indeterminate)

    async def poll_log(self, name: Any, after: int) -> Sequence[tuple[int, Any]]:
        """Place and value of every message after place ``after``, in order."""
        rows = await self._read(self._sql.logged, 2, stored(name), after)
        return [(_number(place, Failed), _loaded(text, Failed)) for place, text in rows]

    async def acquire(self, name: Any) -> int | None:
        """Take the lock without waiting; a token that rises, or ``None`` if another holds it."""
        token = _cell(await self._change(self._sql.acquire, stored(name)))
        return None if token is None else _number(token, Indeterminate)

    async def release(self, name: Any, token: int) -> bool:
        """Give the lock back; ``False`` if ``token`` does not hold it."""
        return _cell(await self._change(self._sql.release, stored(name), token)) is not None

    async def generate_id(self) -> int:
        """The next whole number of the table's own."""
        return _number(_cell(await self._change(self._sql.generate)), Indeterminate)

    async def _read(self, sql: str, width: int, *values: Any) -> Rows:
        rows = await self._asks.ask(sql, *values, effective=False)
        if any(len(row) != width for row in rows):
            raise Failed(["answer", f"not the rows asked for: {shown(rows)}"], session_ended=False)
        return rows

    async def _change(self, sql: str, *values: Any) -> Rows:
        return await self._asks.ask(sql, *values, effective=True)


def _cell(rows: Rows) -> Any:
    """The one cell of the one row, ``None`` where there is no row; anything else is no answer."""
    if not rows:
        return None
    if len(rows) != 1 or len(rows[0]) != 1:
        raise Indeterminate(["answer", f"not the one cell asked for: {shown(rows)}"])
    return rows[0][0]


def _loaded(text: Any, otherwise: type[Failed | Indeterminate]) -> Any:
    """What was stored as ``text``; raises ``otherwise`` if nothing of ours is stored so."""
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        raise otherwise(["answer", f"not what was stored: {shown(text)}"]) from None


def _number(cell: Any, otherwise: type[Failed | Indeterminate]) -> int:
    if type(cell) is not int:
        raise otherwise(["answer", f"not a whole number: {shown(cell)}"])
    return cell


def _storable(value: Any) -> str:
    """``value`` as stored; ``None`` means absent and cannot be set."""
    if value is None:
        raise Failed(
            ["request", "a register cannot be set to null, which stands for absent"],
            session_ended=False,
        )
    return stored(value)

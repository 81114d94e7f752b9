"""The client of Nun-db: registers, sets and counters, a key each.

========  ==========================================================================================
register  ``get`` and ``set``; a compare-and-set is ``get-safe`` and ``set-safe`` at that version,
          which the primary alone looks at
set       a key for each element under the set's name; read by ``keys``, which tells all there are
counter   ``increment`` and ``get``
========  ==========================================================================================

Values are JSON on one line. Nothing is retried.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from harness.contract.client import Counters, Failed, Registers, Sets
from harness.wording import shown
from systems.nundb.asks import Asks, Manner
from systems.nundb.lines import Said
from systems.nundb.places import EMPTY

ABILITIES: Final = (Registers, Sets, Counters)


class NunDbClient:
    """Speaks to one node, or to the primary. All of :data:`ABILITIES`."""

    def __init__(self, op_timeout_s: float, manner: Manner) -> None:
        self._asks = Asks(op_timeout_s, manner)
        self.open, self.close = self._asks.open, self._asks.close

    async def read(self, key: Any) -> Any:
        """``get``."""
        return await self._get(f"register/{key}", self._asks.deadline())

    async def write(self, key: Any, value: Any) -> None:
        """``set``."""
        command = f"set register/{key} {_stored(value)}"
        await self._asks.ask(command, self._asks.deadline(), mutates=True)

    async def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        """``get-safe``, and ``set-safe`` with the version that was read."""
        deadline, name = self._asks.deadline(), f"register/{key}"
        said = await self._asks.ask(f"get-safe {name}", deadline, mutates=False)
        version, _, text = _after("value-version ", said).partition(" ")
        if not version.lstrip("-").isdecimal():
            raise Failed(["answer", f"get-safe: {shown(said.lines)}"], session_ended=False)
        if _loaded(text) != old:
            return False
        command = f"set-safe {name} {version} {_stored(new)}"
        await self._asks.ask(command, deadline, mutates=True)
        return True

    async def add_to_set(self, name: Any, element: Any) -> None:
        """``set`` of a key of the element's own."""
        stored = _stored(element)
        command = f"set set/{name}/{stored} {stored}"
        await self._asks.ask(command, self._asks.deadline(), mutates=True)

    async def read_set(self, name: Any) -> Sequence[Any]:
        """``keys``, and of these the set's."""
        said = await self._asks.ask("keys", self._asks.deadline(), mutates=False)
        prefix = f"set/{name}/"
        found = _after("keys", said).split(",")
        return [_loaded(key.removeprefix(prefix)) for key in found if key.startswith(prefix)]

    async def add_to_counter(self, name: Any, delta: int) -> None:
        """``increment``."""
        command = f"increment counter/{name} {delta}"
        await self._asks.ask(command, self._asks.deadline(), mutates=True)

    async def read_counter(self, name: Any) -> int:
        """``get``."""
        found = await self._get(f"counter/{name}", self._asks.deadline())
        if found is not None and not isinstance(found, int):
            raise Failed(["answer", f"a counter holds {shown(found)}"], session_ended=False)
        return found or 0

    async def _get(self, key: str, deadline: float) -> Any:
        said = await self._asks.ask(f"get {key}", deadline, mutates=False)
        return _loaded(_after("value ", said))


def _stored(value: Any) -> str:
    """A value as one line; ``Failed`` where the protocol has no way to say it."""
    text = json.dumps(value)
    if value is None or ";" in text:
        what = f"{shown(value)} cannot be stored: null stands for absent, and ; ends a command"
        raise Failed(["request", what], session_ended=False)
    return text


def _loaded(text: str) -> Any:
    if text == EMPTY:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        what = ["answer", f"not a value of ours: {shown(text[:80])}"]
        raise Failed(what, session_ended=False) from error


def _after(word: str, said: Said) -> str:
    """What stands behind ``word`` in an answer of one line."""
    if len(said.lines) != 1 or not said.lines[0].startswith(word.strip()):
        what = ["answer", f"{shown(said.lines)} in place of {word.strip()}"]
        raise Failed(what, session_ended=False)
    return said.lines[0][len(word.strip()) :].strip()

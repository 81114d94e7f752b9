"""How keys and values lie in Dgraph, and the texts by which they are asked for.

A key is a record: a node of the graph with an indexed ``key_I`` and a ``value_I``, where ``I`` is
the key's *stripe*: one of some predicates (7, as in Jepsen's test), each of which is a tablet that
moves by itself, so that a transaction over several keys crosses tablets and groups. Deleting a key
removes both edges, and with them the entry of the index.

Where records are found by uid, the clients share a table from key to uid. A uid is had from Dgraph
by a mutation that is never committed; the index is not asked then, and no key is written.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from harness.contract.client import Failed
from harness.wording import shown
from systems.dgraph.dialect import Dialect
from systems.dgraph.options import INT, JSON

KEY: Final = "polygraph_key"
VALUE: Final = "polygraph_value"
READY: Final = "polygraph_ready"
NO_VALUE: Final = "no value"
_LAST: Final = "~"
"""Sorts behind whatever the names of workloads are made of."""


class Odd(dict[str, Any]):
    """What is shown where a record is not as it was written: half of one, or two of them."""


@dataclass
class Uids:
    """Key to uid, shared by all clients of a run."""

    known: dict[str, str] = field(default_factory=dict)
    asking: dict[str, asyncio.Lock] = field(default_factory=dict)

    def lock_of(self, name: str) -> asyncio.Lock:
        """One client at a time asks for the uid of a key."""
        return self.asking.setdefault(name, asyncio.Lock())


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a run's records lie. ``prefix`` begins every stored key; ``uids`` is none by index."""

    dialect: Dialect
    stripes: int = 7
    stored_as: str = JSON
    prefix: str = ""
    uids: Uids | None = None

    def name(self, key: Any) -> str:
        """The key as it is stored."""
        return self.prefix + json.dumps(key, ensure_ascii=False)

    def key(self, name: str) -> Any:
        """The key behind :meth:`name`."""
        return json.loads(name.removeprefix(self.prefix))

    def stripe(self, name: str) -> int:
        """Which predicates hold a stored key."""
        return zlib.crc32(name.encode()) % self.stripes

    def schema(self) -> str:
        """Every predicate."""
        kind = "int" if self.stored_as == INT else "string"
        lines = [f"{READY}: string ."]
        for number in range(self.stripes):
            lines.append(f"{KEY}_{number}: string @index(exact) @upsert .")
            lines.append(f"{VALUE}_{number}: {kind} .")
        return "\n".join(lines) + "\n"

    def tablets(self) -> list[str]:
        """The predicates that can be moved, in an order that spreads them."""
        return [f"{kind}_{n}" for n in range(self.stripes) for kind in (KEY, VALUE)]

    def stored(self, value: Any) -> Any:
        """A value as it is stored; ``Failed`` for one that cannot be."""
        if value is None:
            what = ["request", "a key cannot be set to null, which stands for absent"]
            raise Failed(what, session_ended=False)
        if self.stored_as == JSON:
            return json.dumps(value, ensure_ascii=False)
        if not isinstance(value, int) or isinstance(value, bool):
            what = ["request", f"{shown(value)} is no integer (--stored-as int)"]
            raise Failed(what, session_ended=False)
        return value

    def loaded(self, row: Mapping[str, Any]) -> Any:
        """The value of a row; an :class:`Odd` one where it is no value of ours."""
        if "value" not in row:
            return Odd({NO_VALUE: row.get("uid")})
        if self.stored_as == INT:
            return row["value"]
        try:
            return json.loads(row["value"])
        except (TypeError, ValueError):
            return Odd({"not JSON": row["value"]})

    def by_key(self, names: Iterable[str]) -> str:
        """Records by the index."""
        found: dict[int, list[str]] = {}
        for name in names:
            found.setdefault(self.stripe(name), []).append(quoted(name))
        blocks = [
            f"q{n}(func: eq({KEY}_{n}, [{', '.join(of)}])) {self._fields(n)}"
            for n, of in sorted(found.items())
        ]
        return "{ " + " ".join(blocks) + " }"

    def by_prefix(self, start: str) -> str:
        """Every record whose stored key begins with ``start``, by the index."""
        least, most = quoted(start), quoted(start + _LAST * 4)
        blocks = [
            f"q{n}(func: ge({KEY}_{n}, {least})) @filter(le({KEY}_{n}, {most})) {self._fields(n)}"
            for n in range(self.stripes)
        ]
        return "{ " + " ".join(blocks) + " }"

    def by_uid(self, uids: Mapping[str, str]) -> str:
        """Records by uid, for stored key to uid; those without a value do not show."""
        found: dict[int, list[str]] = {}
        for name, uid in uids.items():
            found.setdefault(self.stripe(name), []).append(uid)
        blocks = [
            f"q{n}(func: uid({', '.join(of)})) @filter(has({VALUE}_{n}))"
            f" {{ uid value: {VALUE}_{n} }}"
            for n, of in sorted(found.items())
        ]
        return "{ " + " ".join(blocks) + " }"

    def _fields(self, number: int) -> str:
        return f"{{ uid key: {KEY}_{number} value: {VALUE}_{number} }}"


def rows_of(data: Any) -> list[Mapping[str, Any]]:
    """Every row of an answer to one of these; ``Failed`` (a read has no effect) if it is none."""
    if not isinstance(data, dict):
        raise Failed(["answer", f"a query was answered with {shown(data)}"], session_ended=False)
    rows: list[Mapping[str, Any]] = []
    for name, block in data.items():
        ours = name.startswith("q") and isinstance(block, Sequence) and not isinstance(block, str)
        if not ours or not all(isinstance(row, dict) for row in block):
            what = ["answer", f"a query was answered with {shown(name)}: {shown(block)}"]
            raise Failed(what, session_ended=False)
        rows += block
    return rows


def quoted(text: str) -> str:
    """A text as queries spell it."""
    return json.dumps(text, ensure_ascii=False)

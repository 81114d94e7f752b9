"""Why one transaction of a register history comes before another: edges in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from checkers.elle.explain import show
from checkers.elle.graph import WR, WW
from checkers.elle.inference import Reason
from checkers.elle.registers.anomalies import because
from checkers.elle.registers.versions import Edges, Order, Versions


class RegisterReasons:
    """Finds the micro-operations and versions behind an edge."""

    def __init__(self, known: Versions, order: Order) -> None:
        self.known = known
        self.order = order
        self._rows: dict[tuple[int, int], tuple[Edges, int]] | None = None

    def reason(self, label: int, before: int, after: int) -> Reason:
        """Why ``before`` comes before ``after``."""
        if label == WR:
            return self._wr(before, after)
        touched = self._written(before) if label == WW else self._read(before)
        verb = "wrote" if label == WW else "read"
        for first in touched:
            for second in self._written(after):
                why = self._why(first, second, before, after)
                if why is not None:
                    return self._ordered(verb, first, second, why)
        raise AssertionError((label, before, after))

    def _wr(self, before: int, after: int) -> Reason:
        written = set(self._written(before))
        version = next(version for version in self._read(after) if version in written)
        key, value = self._key(version), self.known.name(version)
        text = f"{{a}} wrote key {show(key)} = {show(value)}, which was read by {{b}}"
        return Reason(text=text, data={"key": key, "value": value})

    def _ordered(self, verb: str, first: int, second: int, why: str) -> Reason:
        key = self._key(first)
        old, new = self.known.name(first), self.known.name(second)
        data = {"key": key, "value": old, "value'": new}
        if self.known.value[first] < 0:
            state = "nil" if old is None else show(old)
            text = (
                f"{{a}} read the initial ({state}) state of key {show(key)}, which {{b}} set to"
                f" {show(new)}"
            )
            return Reason(text=text, data=data)
        text = (
            f"{{a}} {verb} key {show(key)} = {show(old)}, and {{b}} set it to {show(new)}, which"
            f" came later in the version order: {why}"
        )
        return Reason(text=text, data=data)

    def _why(self, first: int, second: int, before: int, after: int) -> str | None:
        """Why the version ``first`` comes before ``second``, or ``None`` if that is not known."""
        if self.known.key[first] != self.known.key[second] or first == second:
            return None
        if self.known.value[first] < 0:
            return ""
        edge = self._edges().get((first, second))
        if edge is None:
            return None
        edges, row = edge
        names = {before: "{a}", after: "{b}"}
        one, other = int(edges.one[row]), int(edges.other[row])
        a, b = (
            names.get(txn, f"the transaction at index {self._index(txn)}") for txn in (one, other)
        )
        return because(self.known, edges, row).format(a=a, b=b)

    def _index(self, txn: int) -> int:
        return self.known.found.index(txn) if txn >= 0 else -1

    def _edges(self) -> dict[tuple[int, int], tuple[Edges, int]]:
        """Each known pair of versions with the first source that says so; made when first asked."""
        if self._rows is None:
            self._rows = {}
            for part in reversed(self.order.agreed):
                pairs = zip(part.before.tolist(), part.after.tolist(), strict=True)
                self._rows.update({pair: (part, row) for row, pair in enumerate(pairs)})
        return self._rows

    def _key(self, version: int) -> Any:
        return self.known.found.keys[int(self.known.key[version])]

    def _span(self, txn: int) -> slice:
        found = self.known.found
        return slice(int(found.first[txn]), int(found.first[txn + 1]))

    def _written(self, txn: int) -> list[int]:
        span = self._span(txn)
        final: list[int] = self.known.of[span][self.known.chains.is_final[span]].tolist()
        return final

    def _read(self, txn: int) -> list[int]:
        rows = np.arange(self._span(txn).start, self._span(txn).stop)
        read: list[int] = self.known.of[rows[np.isin(rows, self.known.external)]].tolist()
        return read

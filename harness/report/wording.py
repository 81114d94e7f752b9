"""How one call reads in words: ``read → 5``, ``write 7``, ``cas [1, 2] → fail``.

The same words stand in the witness tables, the lanes and the timeline's tooltips, so that a
reader can carry one from picture to picture. Values are foreign text: everything goes through
:mod:`harness.report.display`.
"""

from __future__ import annotations

from functools import cached_property

from harness.report.display import shown, visible
from harness.report.intervals import Calls, split_key


class Wording:
    """Words for the calls of one history."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @cached_property
    def keys(self) -> list[str | None]:
        """The independent key of each call, or ``None``."""
        return [self._key(call) for call in range(len(self._calls))]

    def key(self, call: int) -> str | None:
        """The independent key of one call, or ``None``."""
        return self.keys[call]

    def _key(self, call: int) -> str | None:
        if not self._calls.keyed:
            return None
        for record in self._calls.records(call):
            if record is not None:
                key, _ = split_key(record.value, self._calls.keyed)
                if key is not None:
                    return shown(key, 80)
        return None

    def asked(self, call: int, limit: int = 400) -> str:
        """The value invoked with; empty for nil."""
        return self._value(call, 0, limit)

    def answered(self, call: int, limit: int = 400) -> str:
        """The value of the completion; empty where it is nil or the same as asked."""
        answer = self._value(call, 1, limit)
        return "" if answer == self._value(call, 0, limit) else answer

    def _value(self, call: int, half: int, limit: int) -> str:
        record = self._calls.records(call)[half]
        if record is None:
            return ""
        _, value = split_key(record.value, self._calls.keyed)
        return "" if value is None else shown(value, limit)

    def error(self, call: int, limit: int = 400) -> str:
        """The completion's error; empty where there is none."""
        record = self._calls.records(call)[1]
        return "" if record is None or record.error is None else shown(record.error, limit)

    def beside(self, call: int, limit: int = 400) -> str:
        """What client and workload said beside the value; empty where they said nothing.

        Who served first, then the system's own timestamps.
        """
        facts: dict[str, object] = {}
        for record in self._calls.records(call):
            if record is None:
                continue
            facts.update({"served by": record.served} if record.served else {})
            facts.update(record.timestamps or {})
            facts.update(record.extra or {})
        return ", ".join(
            f"{visible(str(key), 60)} {shown(each, limit)}" for key, each in facts.items()
        )

    def node(self, call: int) -> str:
        """The node that was asked; empty where the history does not tell."""
        for record in self._calls.records(call):
            if record is not None and record.node:
                return visible(record.node, 60)
        return ""

    def phrase(self, call: int, *, with_key: bool = False, limit: int = 60) -> str:
        """The call in one line."""
        words = [visible(self._calls.f_names[int(self._calls.f[call])], 40)]
        key = self.key(call) if with_key else None
        words += [f"k{key}" if key is not None else "", self.asked(call, limit)]
        kind = int(self._calls.type[call])
        answer = self.answered(call, limit)
        if kind == 1 and answer == "" and self.asked(call, limit) == "":
            answer = "nil"
        words += [f"→ {answer}" if answer else "", {2: "✗", 3: "?"}.get(kind, "")]
        return " ".join(word for word in words if word)

"""How one call reads in words: ``read → 5``, ``write 7``, ``txn r x 5, append y 8``.

The same words stand in the witness tables, the lanes and the timeline's tooltips, so that a
reader can carry one from picture to picture. Values are foreign text: everything goes through
:mod:`harness.report.display`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

from harness.history.operation import TYPES, is_transaction
from harness.report.display import as_text, duration, place, seconds, visible
from harness.report.intervals import OPEN_TYPE, Calls, split_key

WHOLE: Final = 20_000
"""Characters of a value that is shown whole."""
_OK: Final = 1


class Wording:
    """Words for the calls of one history."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @cached_property
    def keys(self) -> list[str | None]:
        """The independent key of each call, or ``None``."""
        return [self._key(call) for call in range(len(self._calls))]

    @cached_property
    def transactions(self) -> list[int]:
        """The f's, as codes, of which a committed transaction is told by its answer alone."""
        codes = self._calls.f
        return sorted({int(codes[call]) for call in range(len(codes)) if self._is_whole(call)})

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
                    return visible(as_text(key), 80)
        return None

    def asked(self, call: int, limit: int = 400) -> str:
        """The value invoked with; empty for nil, and of a transaction whose answer repeats it."""
        first, second = self._calls.records(call)
        if first is None or (self._is_whole(call) and second is not None):
            return ""
        return self._value(first.value, limit, is_answer=False)

    def answered(self, call: int, limit: int = 400) -> str:
        """The value of the completion; empty where it is nil or the same as asked."""
        first, second = self._calls.records(call)
        if second is None:
            return ""
        answer = self._value(second.value, limit, is_answer=int(self._calls.type[call]) == _OK)
        asked = "" if first is None else self._value(first.value, limit, is_answer=False)
        return "" if answer == asked and not self._is_whole(call) else answer

    def _is_whole(self, call: int) -> bool:
        """Whether the answer says all that was asked: a transaction that was committed."""
        _, second = self._calls.records(call)
        if second is None or int(self._calls.type[call]) != _OK:
            return False
        return is_transaction(split_key(second.value, self._calls.keyed)[1])

    def _value(self, whole: Any, limit: int, *, is_answer: bool) -> str:
        _, value = split_key(whole, self._calls.keyed)
        if value is None:
            return ""
        if is_transaction(value):
            return visible(", ".join(_step(part, is_answer=is_answer) for part in value), limit)
        return visible(as_text(value), limit)

    def error(self, call: int, limit: int = 400) -> str:
        """The completion's error; empty where there is none."""
        record = self._calls.records(call)[1]
        return (
            "" if record is None or record.error is None else visible(as_text(record.error), limit)
        )

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
            f"{visible(str(key), 60)} {visible(as_text(each), limit)}"
            for key, each in facts.items()
        )

    def node(self, call: int) -> str:
        """The node that was asked; empty where the history does not tell."""
        for record in self._calls.records(call):
            if record is not None and record.node:
                return visible(record.node, 60)
        return ""

    def phrase(self, call: int, *, with_key: bool = False, limit: int = 60) -> str:
        """The call in one line."""
        f = visible(self._calls.f_names[int(self._calls.f[call])], 40)
        key = self.key(call) if with_key else None
        words = [f, f"k{key}" if key is not None else "", self.asked(call, limit)]
        kind = int(self._calls.type[call])
        answer = self.answered(call, limit)
        if kind == _OK and answer == "" and self.asked(call, limit) == "":
            answer = "nil"
        is_whole = self._is_whole(call)
        arrow = "" if is_whole else "→ "
        words = words if not (is_whole and answer.startswith(f"{f} ")) else words[1:]
        words += [f"{arrow}{answer}" if answer else "", {2: "✗", OPEN_TYPE: "?"}.get(kind, "")]
        return " ".join(word for word in words if word)

    def label(self, call: int, *, with_key: bool = False) -> str:
        """The call for the bar of a picture: what needs not be said there is left out."""
        words = self.phrase(call, with_key=with_key, limit=400)
        f = self._calls.f_names[int(self._calls.f[call])]
        return (
            words.removeprefix(f"{f} ") if int(self._calls.f[call]) in self.transactions else words
        )

    def moment(self, time_ns: float | None) -> str:
        """When that was: seconds of the run, or the record where the history has no times."""
        if time_ns is None:
            return seconds(None)
        return seconds(time_ns) if self._calls.is_timed else place(time_ns)

    def title(self, call: int) -> str:
        """The call and what came of it, whole and in one line."""
        words = [
            f"{self.phrase(call, with_key=True, limit=2000)}: {TYPES[int(self._calls.type[call])]}"
        ]
        if self._calls.is_timed:
            took = duration(float(self._calls.latency[call]))
            never = "never answered" if self._calls.complete[call] < 0 else f"took {took}"
            words += [seconds(self._calls.start[call]), never]
        return ", ".join(words)


def _step(part: Any, *, is_answer: bool) -> str:
    """One micro-operation: ``append x 8``, ``r y 5``; a read that waits for its answer ``r y``."""
    words = list(part)
    if not is_answer:
        while len(words) > 2 and words[-1] is None:
            words.pop()
    return " ".join(_word(word) for word in words)


def _word(value: Any) -> str:
    """As text; quoted where it could be taken for several words."""
    if isinstance(value, str) and type(value) is str and not value.isidentifier():
        return as_text([value])[1:-1]
    return as_text(value)

"""Values that only EDN can say, in and out of JSON: ``{"#edn": ":x"}`` is the keyword ``:x``.

Into JSON lines everything goes, tagged where it must be. Into a JSON array, which other tools read
(elle-cli), only what JSON can say: else the export is refused. In both a set goes as a sorted list,
and a map with strings for keys as an object, unless the history also has the list or the object
that it would be mistaken for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec import structs

from harness.errors import HistoryError
from harness.history.formats.edn_forms import parse
from harness.history.operation import Header, Operation
from harness.history.values import RICH, TAG, Members, Tagged, TextKeys, exact, is_rich, plain, wire

TAG_BYTES: Final = TAG.encode()
"""Where this is not, no value is tagged."""
_OUTERMOST: Final = 1
"""How deep in a value a set may stand that is an answer: it, or the value of a key."""


def revived(item: Any, depth: int = 0) -> Any:
    """``item`` of JSON with what is tagged in it as what it means.

    What looks like a tag and is none (no EDN, or what JSON can say itself) stays an object.
    """
    if type(item) is list:
        return [revived(part, depth + 1) for part in item]
    if type(item) is not dict:
        return item
    text = item.get(TAG)
    if len(item) == 1 and type(text) is str:
        try:
            forms = parse(text)
        except ValueError:
            forms = []
        if len(forms) == 1 and type(forms[0]) in RICH:
            if type(forms[0]) is Members and depth > _OUTERMOST:
                return Tagged(text)
            return forms[0]
    return {key: revived(part, depth + 1) for key, part in item.items()}


def revived_operations(operations: Iterable[Operation]) -> list[Operation]:
    """``operations`` of JSON with what is tagged in their values as what it means."""
    return [
        structs.replace(
            operation,
            value=revived(operation.value),
            extra=None if operation.extra is None else revived(operation.extra),
        )
        for operation in operations
    ]


def revived_record(found: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record of JSON with what is tagged in them as what it means."""
    return {field: revived(item) for field, item in found.items()}


def wired_header(header: Header) -> Header:
    """``header`` with an initial state that JSON can say."""
    return structs.replace(header, initial=wire(header.initial))


def in_json(operations: Sequence[Operation], *, is_ours: bool) -> Iterator[Operation]:
    """``operations`` as JSON has them, with tags if they go into our own format.

    Raises ``HistoryError`` for what cannot be said.
    """
    say: _Words | None = None
    for operation in operations:
        if not is_rich(operation.value) and not is_rich(operation.extra):
            yield operation
            continue
        if say is None:
            say = _Words(operations, is_ours=is_ours)
        extra = wire(operation.extra) if is_ours else plain(operation.extra)
        if not is_ours and not operation.is_client:  # is compared with nothing
            yield structs.replace(operation, value=plain(operation.value), extra=extra)
            continue
        try:
            yield structs.replace(operation, value=say.value(operation.value), extra=extra)
        except _Unsayable as error:
            raise HistoryError(
                f"operation {operation.index} ({operation.f}) has the value {error}, which JSON"
                " cannot say so that it stays what it is",
                "export as jsonl or edn",
            ) from None


class _Unsayable(Exception):
    """Its text is the EDN of what a format has no word for."""


class _Words:
    """Says values of one history in JSON; knows all its lists and objects, to mistake nothing."""

    def __init__(self, operations: Sequence[Operation], *, is_ours: bool) -> None:
        self._is_ours = is_ours
        self._taken: set[str] = set()
        for operation in operations:
            self._take(operation.value)

    def _take(self, item: Any) -> None:
        kind = type(item)
        if kind is list or kind is dict:
            self._taken.add(exact(item))
        if kind is dict or kind is TextKeys:
            item = list(item.values())
        if isinstance(item, list):
            for part in item:
                self._take(part)

    def value(self, item: Any) -> Any:
        """``item`` in JSON."""
        kind = type(item)
        if kind is Members and exact(list(item)) not in self._taken:
            return [self.value(part) for part in item]
        if kind is TextKeys and exact(dict(item)) not in self._taken:
            return {key: self.value(part) for key, part in item.items()}
        if kind in RICH:
            if not self._is_ours:
                raise _Unsayable(next(iter(wire(item).values())))
            return wire(item)
        if kind is list or kind is tuple:
            return [self.value(part) for part in item]
        if kind is dict:
            return {key: self.value(part) for key, part in item.items()}
        return item

"""Lists that no order of appends explains, told as they come.

Two committed reads of one list must begin alike: elements are only ever appended. So the longest
read of each key is kept, and each further one must be a beginning of it, or it of that one. A read
behind an append of the same transaction is left to the checker, and so is all else about lists.

Cost: a comparison of each read with the longest one. Keys that were read least lately are
forgotten, which loses sightings and makes none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from harness.history.calls import name, short
from harness.history.operation import OK, Operation, is_transaction
from harness.verdict.lookout import Sighting, sighting

MOST_KEYS: Final = 10_000


class ListLookout:
    """Keeps the longest list of each key, and who read it."""

    def __init__(self) -> None:
        self._longest: OrderedDict[Any, tuple[list[Any], int]] = OrderedDict()

    def see(self, operation: Operation) -> Sighting | None:
        """Take in the next record."""
        if operation.type != OK or not operation.is_client or not is_transaction(operation.value):
            return None
        for key, found in _reads(operation.value):
            longest, index = self._kept(key)
            shorter, longer = sorted((found, longest), key=len)
            if longer[: len(shorter)] != shorter:
                return _told(operation, key, found, longest, index)
            if len(found) > len(longest):
                self._keep(key, found, operation.index)
        return None

    def _kept(self, key: Any) -> tuple[list[Any], int]:
        return self._longest.get(name(key), ([], -1))

    def _keep(self, key: Any, found: list[Any], index: int) -> None:
        named = name(key)
        self._longest[named] = (found, index)
        self._longest.move_to_end(named)
        if len(self._longest) > MOST_KEYS:
            self._longest.popitem(last=False)


def _reads(steps: list[Any]) -> Iterator[tuple[Any, list[Any]]]:
    """What the transaction read of each key that it had not appended to."""
    appended = set()
    for step in steps:
        if len(step) < 3:
            continue
        if step[0] == "append":
            appended.add(name(step[1]))
        elif step[0] == "r" and isinstance(step[2], list) and name(step[1]) not in appended:
            yield step[1], step[2]


def _told(
    operation: Operation, key: Any, found: list[Any], longest: list[Any], index: int
) -> Sighting:
    pairs = zip(found, longest, strict=False)
    place = next((at for at, (one, other) in enumerate(pairs) if one != other), 0)
    text = (
        f"a read of key {short(key)} has {short(found[place])} at place {place + 1}, where record"
        f" {index} read {short(longest[place])}: no order of appends shows both"
    )
    return sighting("incompatible-order", operation, text)

"""A history without the operations of some names, on the word of the user.

What is left keeps its indices and times, so that a witness is found in the file that it came
from. Both halves of an operation go. Columns that the reader made are cut down with it, so that
a large history stays in columns; operations are still read only where somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, overload

from harness.history.history import History
from harness.history.operation import Operation
from harness.wording import shown

if TYPE_CHECKING:
    from harness.history.columns import Columns


def without(history: History, names: Collection[str]) -> History:
    """``history`` without client operations called one of ``names``; a notice says how many.

    A name that nothing has is told, too, for it is most likely misspelt.
    """
    if not names:
        return history
    kept = _kept_rows if history.prepared is not None else _kept_places
    places, counts = kept(history, names)
    notices = [
        f"{count} operations {shown(name)} were left out, as --ignore-f says"
        if count
        else f"--ignore-f {name}: no client operation has that name"
        for name, count in counts.items()
    ]
    operations = Picked(history.operations, places)
    prepared = None if history.prepared is None else _rows(history.prepared, places)
    stricter = None if history.stricter is None else without(history.stricter, names)
    return replace(
        history,
        operations=operations,
        notices=(*history.notices, *notices),
        prepared=prepared,
        stricter=stricter,
    )


class Picked(Sequence[Operation]):
    """Some of the operations of another sequence, taken from it when they are asked for."""

    def __init__(self, operations: Sequence[Operation], places: Sequence[int]) -> None:
        self._operations = operations
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> Operation: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Operation]: ...

    def __getitem__(self, place: int | slice) -> Operation | Sequence[Operation]:
        if isinstance(place, slice):
            return list(self.pick(range(len(self))[place]))
        return self._operations[self._places[place]]

    def __iter__(self) -> Iterator[Operation]:
        wanted = iter(self._places)
        following = next(wanted, None)
        for place, operation in enumerate(self._operations):
            if place == following:
                yield operation
                following = next(wanted, None)

    def pick(self, places: Sequence[int]) -> Iterator[Operation]:
        """The operations at ``places``."""
        inner = [self._places[place] for place in places]
        pick = getattr(self._operations, "pick", None)
        yield from pick(inner) if pick is not None else (self._operations[n] for n in inner)


def _kept_places(history: History, names: Collection[str]) -> tuple[list[int], dict[str, int]]:
    """The positions that stay, and how many operations of each name go."""
    counts = dict.fromkeys(names, 0)
    places = []
    for place, operation in enumerate(history.operations):
        if operation.is_client and operation.f in counts:
            is_second = 0 <= history.pairs[place] < place
            counts[operation.f] += not is_second
        else:
            places.append(place)
    return places, counts


def _kept_rows(history: History, names: Collection[str]) -> tuple[list[int], dict[str, int]]:
    """As :func:`_kept_places`, on columns."""
    import numpy as np

    view = history.prepared
    assert view is not None
    counts = dict.fromkeys(names, 0)
    codes = [code for code, name in enumerate(view.f_names) if name in counts]
    goes = np.isin(view.f, codes) & (view.process >= 0)
    first = goes & ~((view.pair >= 0) & (view.pair < np.arange(len(view))))
    numbers = np.bincount(view.f[first], minlength=len(view.f_names)).tolist()
    counts.update({view.f_names[code]: numbers[code] for code in codes})
    return (~goes).nonzero()[0].tolist(), counts


def _rows(view: Columns, places: Sequence[int]) -> Columns:
    """The rows at ``places``, with pairs and transactions numbered anew."""
    import numpy as np

    rows = np.array(places, dtype=np.int64)
    at = np.full(len(view) + 1, -1, dtype=np.int64)  # the last one stands for "no other half"
    at[rows] = np.arange(len(rows))
    micro = view.micro
    is_kept = at[micro.txn] >= 0
    cut: dict[str, Any] = {
        name: getattr(micro, name)[is_kept]
        for name in ("f", "key", "value", "list_start", "list_end")
    }
    txn = at[micro.txn[is_kept]].astype(micro.txn.dtype)
    names = ("index", "time", "type", "process", "f", "key", "value_kind", "value")
    columns: dict[str, Any] = {name: getattr(view, name)[rows] for name in names}
    pair = at[view.pair[rows]].astype(view.pair.dtype)
    return replace(view, **columns, pair=pair, micro=replace(micro, **cut, txn=txn))

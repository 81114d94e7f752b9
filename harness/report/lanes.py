"""The picture of one anomaly: its witness and what ran beside it, as lanes over stretched time.

    process 3 · n1   ├─ write 7 ─┤
    process 5 · n2                    ├─ read → 6 ─┤        ← the cut covers this

What proves an anomaly is the order of records, not how long they took: a write of 1 ms and a
stale read 5 s later would be two dots on a linear axis. So every start and end gets a place in
*record order*, gaps grow with the logarithm of the time between, and each bar is at least as wide
as the beginning of its label; what is wider takes more of it. One pass from left to right finds the
least such places. Geometry only: the drawing is in ``lanes.svg.j2``.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.history.operation import TYPES
from harness.report.bands import Band
from harness.report.intervals import Calls
from harness.report.wording import Wording

MOST_WITNESS = 24
"""Operations of the witness that are drawn, the last ones."""
MOST_BESIDE = 12
"""Operations drawn beside the witness."""
ROW = 30.0
TOP = 46.0
GUTTER = 128.0
_LETTER = 7.3
_LEAST_BAR = 26.0
_WANTED = 980.0
_MOST_STRETCH = 1.7
_WITNESS_LETTERS = (160, 100, 64, 40)
"""Of a witness's label: the most with which the picture is no wider than wanted, else the least."""
_BESIDE_LETTERS = 22


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One operation in the picture; lengths in SVG units."""

    index: int
    x: float
    y: float
    width: float
    type: str
    is_witness: bool
    is_open: bool
    label: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Shade:
    """One fault band in the picture."""

    x: float
    width: float
    row: int
    label: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """All geometry of one picture."""

    width: float
    height: float
    bars: list[Bar]
    shades: list[Shade]
    rows: list[tuple[float, str]]
    ticks: list[tuple[float, str]]
    top: float
    first: float
    last: float
    """Where the witness begins and ends, which is what must be seen."""
    left_out: int
    """Operations of the witness that came before those drawn."""


@dataclass(frozen=True)
class Axis:
    """Places of the shown records: ``positions`` in the history, their times and their x."""

    positions: list[int]
    times: list[int]
    xs: list[float]

    def of_position(self, position: int) -> float:
        """The place of a shown record; past the last one, the right edge."""
        at = bisect_right(self.positions, position) - 1
        return self.xs[at] if self.positions[at] == position else self.xs[-1] + 28.0

    def of_time(self, time_ns: int) -> float:
        """The place of a moment, between the records around it."""
        at = bisect_right(self.times, time_ns)
        if at == 0:
            return self.xs[0] - 14.0
        if at == len(self.times):
            return self.xs[-1] + 14.0
        before, after = self.times[at - 1], self.times[at]
        share = (time_ns - before) / (after - before) if after > before else 1.0
        return self.xs[at - 1] + share * (self.xs[at] - self.xs[at - 1])


def draw(
    calls: Calls,
    witness: Sequence[int],
    bands: Sequence[Band],
    wording: Wording,
    names: Mapping[int, str] | None = None,
) -> Drawing | None:
    """The picture of the witness (call numbers), or ``None`` where none of them is known.

    ``names`` are the names that the proof gives to calls (``T1``).
    """
    if not witness:
        return None
    left_out = max(len(witness) - MOST_WITNESS, 0)
    witness = sorted(witness, key=calls.span)[left_out:]
    names = names or {}
    chosen = sorted({*witness, *_beside(calls, witness, wording)}, key=calls.span)
    keyed = len({wording.key(call) for call in chosen}) > 1
    labels = {
        call: f"{names.get(call, '')} {wording.label(call, with_key=keyed)}".strip()
        for call in chosen
    }
    for letters in _WITNESS_LETTERS:
        most = {call: letters if call in witness else _BESIDE_LETTERS for call in chosen}
        axis = _axis(calls, chosen, {call: _cut(labels[call], most[call]) for call in chosen})
        if axis.xs[-1] <= _WANTED:
            break
    processes = list(dict.fromkeys(int(calls.process[call]) for call in chosen))
    shades = _shades(bands, axis, wording)
    top = TOP + 16.0 * len({shade.row for shade in shades})
    heights = {process: top + ROW * at for at, process in enumerate(processes)}
    bars = [
        _bar(calls, call, call in witness, axis, heights, labels[call], most[call], wording)
        for call in chosen
    ]
    decisive = [bar for bar in bars if bar.is_witness]
    return Drawing(
        width=max(axis.xs[-1] + 60.0, *(bar.x + bar.width + 12.0 for bar in bars)),
        height=top + ROW * len(processes) + 10.0,
        bars=bars,
        shades=shades,
        rows=[(heights[p], _row_label(calls, chosen, p, wording)) for p in processes],
        ticks=_ticks(axis, wording),
        top=top,
        first=min(bar.x for bar in decisive),
        last=max(bar.x + bar.width for bar in decisive),
        left_out=left_out,
    )


def _beside(calls: Calls, witness: Sequence[int], wording: Wording) -> list[int]:
    """The operations on the same keys that ran within the witness's span, the latest first."""
    first = min(calls.span(call)[0] for call in witness)
    last = max(min(calls.span(call)[1], len(calls.history) - 1) for call in witness)
    keys = {wording.key(call) for call in witness}
    there = (calls.invoke <= last) & ((calls.complete < 0) | (calls.complete >= first))
    near = [
        call
        for call in there.nonzero()[0].tolist()
        if wording.key(call) in keys and call not in witness
    ]
    near.sort(key=lambda call: _distance(calls, call, witness))
    return near[:MOST_BESIDE]


def _distance(calls: Calls, call: int, witness: Sequence[int]) -> int:
    start, end = calls.span(call)
    edges = [edge for other in witness for edge in calls.span(other)]
    return min(min(abs(start - edge), abs(end - edge)) for edge in edges)


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: max(letters - 1, 0)]}…"


def _axis(calls: Calls, chosen: Sequence[int], labels: dict[int, str]) -> Axis:
    spans = {call: calls.span(call) for call in chosen}
    shown = {edge for span in spans.values() for edge in span if edge < len(calls.history)}
    positions = sorted(shown)
    times = [calls.time_of(position) for position in positions]
    started = {spans[call][1]: (spans[call][0], labels[call]) for call in chosen}
    place: dict[int, float] = {}
    x = GUTTER + 16.0
    for at, position in enumerate(positions):
        if at:
            x += 12.0 + 11.0 * math.log10(1.0 + max(times[at] - times[at - 1], 0) / 1e5)
        if position in started and started[position][0] in place:
            start, label = started[position]
            x = max(x, place[start] + max(_LEAST_BAR, len(label) * _LETTER + 12.0))
        place[position] = x
    xs = list(place.values())
    stretch = min(max((_WANTED - GUTTER) / max(xs[-1] - GUTTER, 1.0), 1.0), _MOST_STRETCH)
    return Axis(positions, times, [GUTTER + (x - GUTTER) * stretch for x in xs])


def _bar(
    calls: Calls,
    call: int,
    is_witness: bool,
    axis: Axis,
    heights: dict[int, float],
    label: str,
    most: int,
    wording: Wording,
) -> Bar:
    start, end = calls.span(call)
    x = axis.of_position(start)
    is_endless = end >= len(calls.history)
    least = len(_cut(label, most)) * _LETTER + 12.0 if is_endless else 6.0
    width = max(axis.of_position(end) - x, least)
    first, second = calls.records(call)
    record = first or second
    return Bar(
        index=record.index if record else -1,
        x=x,
        y=heights[int(calls.process[call])],
        width=width,
        type=TYPES[int(calls.type[call])],
        is_witness=is_witness,
        is_open=TYPES[int(calls.type[call])] == "info",
        label=_cut(label, int((width - 12.0) / _LETTER + 0.01)),
        title=wording.title(call),
    )


def _row_label(calls: Calls, chosen: Sequence[int], process: int, wording: Wording) -> str:
    nodes = {wording.node(call) for call in chosen if calls.process[call] == process} - {""}
    return f"process {process}" + (f" · {min(nodes)[:8]}" if nodes else "")


def _shades(bands: Sequence[Band], axis: Axis, wording: Wording) -> list[Shade]:
    """Bands that touch the picture; rows keep the labels of overlapping bands apart."""
    shades: list[Shade] = []
    free_from: list[float] = []
    for band in bands:
        if not band.was_injected or not band.overlaps(axis.times[0], axis.times[-1]):
            continue
        x, right = axis.of_time(band.start), axis.of_time(band.end)
        room = max(right, x + len(band.label) * 6.0 + 10.0)
        row = next((row for row, free in enumerate(free_from) if free <= x), len(free_from))
        free_from[row : row + 1] = [room]
        span = "" if band.is_moment else f" to {wording.moment(band.end)}"
        title = f"{band.label}, {wording.moment(band.start)}{span}"
        shades.append(Shade(x=x, width=max(right - x, 2.0), row=row, label=band.label, title=title))
    return shades


def _ticks(axis: Axis, wording: Wording) -> list[tuple[float, str]]:
    ticks: list[tuple[float, str]] = []
    for x, time_ns in zip(axis.xs, axis.times, strict=True):
        if not ticks or x - ticks[-1][0] >= 74.0:
            ticks.append((x, wording.moment(time_ns)))
    return ticks

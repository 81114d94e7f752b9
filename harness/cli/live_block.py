"""The live block: a run under way on a terminal, drawn again in place.

    run  12/60 s  [####............]  213 ops/s
      rate    ▁▃▅▇█▇▅▅▅▅▃▁▃▅▇▇▇   213 a second, at most 340
      errors  ▁▁▁▁▁▁▁▁▁▁▅█▃▁▁▁▁   3 fail, 0 info a second
      p50     ▂▂▂▂▂▂▂▂▂▂▇█▂▂▂▂▂   1.2 ms
      p99     ▂▃▂▂▂▂▂▂▂▂▇█▂▂▂▂▂   14 ms, at most 810 ms
      faults  ··········━━━━···   partition n1, n2 since 2 s

Every line of characters goes from the start of the run to now, so what stands above what happened
at the same time. Latencies are drawn to a logarithmic scale. Warnings scroll above the block.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

from harness.cli.sparks import BLOCKS, PLAIN, bar, columns, most, spark
from harness.cli.speech import on_one_line, printable
from harness.cli.watch import Watch, ms

if TYPE_CHECKING:
    from rich.console import Console, Group, RenderableType
    from rich.text import Text

INDENT: Final = "  "
NAME_WIDTH: Final = 8
MOST_WIDTH: Final = 60
"""Of a line of characters."""
WORDS_WIDTH: Final = 36
"""Beside it, on a terminal that is wide enough."""


@contextlib.contextmanager
def live(stream: TextIO, has_colours: bool) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A function to give each event to, which draws the block on ``stream``."""
    from rich.console import Console
    from rich.live import Live

    watch = Watch()
    console = Console(file=stream, no_color=not has_colours, highlight=False)

    with Live(console=console, refresh_per_second=4, transient=True) as block:

        def show(event: Mapping[str, Any]) -> None:
            for line in watch.see(event):
                if line != watch.sighted():  # it stands in the block
                    console.print(printable(line), markup=False)
            block.update(drawn(watch, console))

        yield show


def drawn(watch: Watch, console: Console) -> Group:
    """The block as rich draws it: a line is cut where the terminal ends, an anomaly is not."""
    from rich.console import Group

    knows_blocks = "utf" in (console.encoding or "").lower()
    lines = [_line(_head(watch, console.width), "bold")]
    lines += [_line(row) for row in _rows(watch, console.width, knows_blocks)]
    lines += [_line(f"{INDENT}{tally}") for tally in watch.tallies()]
    lines += [_line(f"{INDENT}{words}", "red") for words in watch.trouble()]
    return Group(*lines, *_anomaly(watch))


def _line(words: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(on_one_line(words), style=style, no_wrap=True, overflow="ellipsis")


def _head(watch: Watch, width: int) -> str:
    """What is done now, how far it is, and how fast it goes."""
    if not watch.limit_s:
        return watch.headline()
    clock = bar(watch.time_s / watch.limit_s, max(12, min(40, width - 44)))
    phase, *rest = watch.headline().split("  ")
    return "  ".join((phase, rest[0], clock, *rest[1:]))


def _rows(watch: Watch, width: int, knows_blocks: bool) -> list[str]:
    """Rate, errors, latencies and faults over time; nothing before there is any."""
    pace = watch.pace
    good = pace.get("ok") or []
    if not good:
        return []
    room = min(MOST_WIDTH, max(10, width - len(INDENT) - NAME_WIDTH - WORDS_WIDTH))
    span = float(pace["width_s"])
    rates = [sum(counts) / span for counts in zip(good, pace["fail"], pace["info"], strict=True)]
    errors = [sum(counts) / span for counts in zip(pace["fail"], pace["info"], strict=True)]
    blocks = BLOCKS if knows_blocks else PLAIN
    failed = f"{pace['fail'][-1] / span:.0f} fail, {pace['info'][-1] / span:.0f} info a second"
    rows = [
        ("rate", spark(rates, room, blocks=blocks), f"{rates[-1]:.0f} a second,"
         f" at most {max(rates):.0f}"),
        ("errors", spark(errors, room, blocks=blocks), failed),
    ]  # fmt: skip
    for name in ("p50", "p99"):
        values = pace[f"{name}_ms"]
        line = spark(values, room, of_group=most, logarithmic=True, blocks=blocks)
        rows.append((name, line, _latency(values)))
    if watch.bands:
        marks = _marks(
            watch.bands, len(good), span, room, ("━", "·") if knows_blocks else ("=", ".")
        )
        rows.append(("faults", marks, _faults(watch.bands, watch.time_s)))
    longest = max(len(line) for _, line, _ in rows)
    return [f"{INDENT}{name:<{NAME_WIDTH}}{line:<{longest}}  {words}" for name, line, words in rows]


def _latency(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    now = "no answer" if values[-1] is None else ms(values[-1])
    return f"{now}, at most {ms(max(known))}"


def _marks(
    bands: Sequence[Mapping[str, Any]], count: int, span_s: float, room: int, signs: tuple[str, str]
) -> str:
    """Where in the buckets a fault was in force."""
    active, quiet = signs
    is_active = [
        any(_overlaps(band, at * span_s, (at + 1) * span_s) for band in bands)
        for at in range(count)
    ]
    return "".join(active if any(group) else quiet for group in columns(is_active, room))


def _overlaps(band: Mapping[str, Any], start_s: float, end_s: float) -> bool:
    end = band.get("end_s")
    return float(band["start_s"]) < end_s and (end is None or float(end) >= start_s)


def _faults(bands: Sequence[Mapping[str, Any]], now_s: float) -> str:
    """Those in force; where there are none, the last ones."""
    in_force = [band for band in bands if band.get("end_s") is None]
    if in_force:
        return ", ".join(
            f"{_named(band)} since {max(0.0, now_s - float(band['start_s'])):.0f} s"
            for band in in_force
        )
    last = bands[-1]
    return f"last {_named(last)} at {float(last['start_s']):.0f} s, healed"


def _named(band: Mapping[str, Any]) -> str:
    targets = ", ".join(map(str, band.get("targets") or ()))
    return f"{band.get('fault')} {targets}".rstrip()


def _anomaly(watch: Watch) -> list[RenderableType]:
    """The first anomaly so far; or what is looked out for, which is less than what is judged."""
    from rich.padding import Padding
    from rich.text import Text

    if found := watch.sighted():
        whole = Text(on_one_line(found), style="bold red")
        return [Padding(whole, (0, 0, 0, len(INDENT)))]
    if not watch.pace:
        return []
    by = ", ".join(watch.watched)
    seen = f"no anomaly that {by} can tell at once" if by else "nothing can be told at once"
    return [_line(f"{INDENT}{seen}; the verdict comes at the end", "dim")]

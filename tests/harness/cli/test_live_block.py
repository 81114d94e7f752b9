"""The live block: a bar, lines of characters over time, faults, and the first anomaly so far."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from harness.cli.live_block import drawn
from harness.cli.sparks import BLOCKS, bar, mean, most, spark
from harness.cli.watch import Watch

PACE = {
    "width_s": 0.5,
    "ok": [10, 20, 40, 0],
    "fail": [0, 0, 5, 0],
    "info": [0, 0, 0, 0],
    "p50_ms": [1.0, 1.1, 1.2, None],
    "p99_ms": [2.0, 4.0, 400.0, None],
}
BANDS = [
    {"fault": "kill", "targets": ["n1"], "start_s": 0.6, "end_s": 0.9, "bit": True},
    {"fault": "partition", "targets": ["n1", "n2"], "start_s": 1.6, "end_s": None, "bit": True},
]
SEEN = {"checker": "bank", "kind": "wrong-total", "time_s": 1.2, "index": 7}
ANOMALY = {**SEEN, "message": "a read\x1b" * 40}


def shown(width: int, encoding: str = "utf-8", **more: Any) -> list[str]:
    watch = Watch()
    facts = {"pace": PACE, "bands": BANDS, "watched": ["bank"], "anomaly": None, **more}
    operations = {"read": {"invoke": 75, "ok": 70, "fail": 5, "info": 0}}
    watch.see({"event": "phase", "name": "run", "time_ns": 0})
    event = {"event": "progress", "time_ns": int(2e9), "limit_s": 8.0, "operations": operations}
    watch.see({**event, **facts})
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    Console(file=stream, width=width).print(drawn(watch, Console(file=stream, width=width)))
    return raw.getvalue().decode(encoding).splitlines()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    lines = shown(width, anomaly=ANOMALY)
    assert lines
    assert all(len(line) <= width for line in lines)


def test_everything_over_time_stands_in_columns() -> None:
    lines = shown(80)
    assert lines[0].startswith("run  2/8 s  [########")
    assert lines[1].split() == ["rate", "▃▄█▁", "0", "a", "second,", "at", "most", "90"]
    assert lines[2].split()[:2] == ["errors", "▁▁█▁"]
    assert lines[3].startswith("  p50     ▁▁▂")
    assert lines[4].rstrip().endswith("no answer, at most 400 ms")
    assert lines[5].rstrip() == "  faults  ·━·━  partition n1, n2 since 0 s"


def test_a_terminal_of_ascii_gets_ascii() -> None:
    text = "\n".join(shown(80, "ascii"))
    assert text.isascii()
    assert "  faults  .=.=" in text


def test_the_first_anomaly_is_whole_and_cannot_drive_the_terminal() -> None:
    text = "\n".join(shown(80, anomaly=ANOMALY))
    assert "first anomaly so far: wrong-total at 1.2 s: a read\\x1b" in text
    assert "\x1b" not in text
    assert "".join(text.split()).count("aread\\x1b") == 40


def test_that_nothing_was_seen_is_said_with_what_was_looked_for() -> None:
    assert "no anomaly that bank can tell at once" in "\n".join(shown(80))
    assert "nothing can be told at once" in "\n".join(shown(80, watched=[]))


def test_a_bar_is_never_longer_than_it_may_be() -> None:
    assert [bar(done, 6) for done in (-1, 0, 0.5, 1, 9)] == [
        "[....]", "[....]", "[##..]", "[####]", "[####]",
    ]  # fmt: skip


def test_many_values_share_columns() -> None:
    assert len(spark([1.0] * 100, 30)) == 25
    assert spark([1, 1, 1, 9], 2, of_group=mean) == "▂█"
    assert spark([0, 8, 0, 4], 2, of_group=most) == f"{BLOCKS[-1]}{BLOCKS[4]}"


def test_what_hardly_changes_is_flat_on_a_logarithmic_scale() -> None:
    assert spark([1.0, 1.05, 1.1], 9, logarithmic=True) == "▁▁▁"
    assert spark([1.0, 10.0, 100.0], 9, logarithmic=True) == "▁▅█"

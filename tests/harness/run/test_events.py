"""The stream of events: whole lines, and no reader that is slow or gone holds a run up."""

from __future__ import annotations

import json
import os

from harness.run.events import Events


def test_events_come_as_lines_and_nobody_need_read_them() -> None:
    reader, writer = os.pipe()
    events = Events(writer)
    events.emit("phase", 3, name="run")
    assert json.loads(os.read(reader, 4096)) == {"event": "phase", "time_ns": 3, "name": "run"}
    os.close(reader)
    events.emit("phase", 4, name="heal")
    events.emit("progress", 5)
    Events(None).emit("progress", 6)
    os.close(writer)


def test_progress_that_nobody_reads_is_left_out_and_the_end_is_not() -> None:
    """As with a front that was stopped: the loop that serves the clients must not wait for it."""
    reader, writer = os.pipe()
    events = Events(writer)
    for second in range(10_000):
        events.emit("progress", second, filler="x" * 100)
    told = os.read(reader, 1 << 20)
    assert told.startswith(b'{"event": "progress", "time_ns": 0')
    assert told.endswith(b"\n")
    events.emit("end", 1, exit=0)
    os.close(writer)
    with os.fdopen(reader, "rb") as rest:
        assert json.loads(rest.read().splitlines()[-1])["event"] == "end"

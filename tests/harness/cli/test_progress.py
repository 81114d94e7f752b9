"""Progress: what events mean, and how often it is told where there is no terminal."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from harness.cli.progress import Watch, lines, progress
from harness.cli.speech import printable


def tick(time_s: float, ok: int, **more: Any) -> Mapping[str, Any]:
    """A progress event after ``time_s`` with ``ok`` reads."""
    operations = {"read": {"invoke": ok + 1, "ok": ok, "fail": 0, "info": 0}}
    facts = {"limit_s": 60.0, "operations": operations, "faults": [], "last_error": None}
    return {"event": "progress", "time_ns": int(time_s * 1e9), **facts, **more}


def test_the_pace_is_that_of_the_last_stretch() -> None:
    watch = Watch()
    watch.see(tick(1.0, 100))
    watch.see(tick(3.0, 500))
    assert watch.rate == 200
    assert watch.headline() == "begin  3/60 s  200 ops/s"


def test_trouble_names_faults_nodes_and_the_last_error() -> None:
    watch = Watch()
    watch.see(tick(1.0, 1, faults=["partition"], nodes={"n1": "paused"}, last_error="refused"))
    assert watch.trouble() == ["faults: partition", "nodes: n1=paused", "last error: refused"]


def test_a_line_is_written_each_ten_seconds_and_no_more() -> None:
    now_s, stream = 0.0, io.StringIO()
    show = lines(stream, lambda: now_s)
    for second in range(1, 26):
        now_s = float(second)
        show(tick(now_s, second * 100))
    assert stream.getvalue().splitlines() == [
        "begin  10/60 s  100 ops/s; read 1000 ok 0 fail 0 info",
        "begin  20/60 s  100 ops/s; read 2000 ok 0 fail 0 info",
    ]


def test_a_warning_is_told_at_once() -> None:
    stream = io.StringIO()
    lines(stream, lambda: 0.0)({"event": "warning", "time_ns": 0, "message": "disk\x07full"})
    assert stream.getvalue() == "warning: disk\\x07full\n"


def test_a_stream_that_is_no_terminal_gets_lines() -> None:
    stream = io.StringIO()
    with progress(stream, lambda: 0.0) as show:
        show({"event": "phase", "time_ns": 0, "name": "begin", "run_dir": "store/x"})
    assert stream.getvalue() == "run: store/x\n"


class Terminal(io.StringIO):
    """A stream that calls itself a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def test_a_terminal_gets_a_block_with_the_present(monkeypatch: Any) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with progress(stream) as show:
        show(tick(3.0, 10, faults=["kill"]))
    assert "faults: kill" in stream.getvalue()


def test_no_color_is_honoured(monkeypatch: Any) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    with progress(stream) as show:
        show(tick(3.0, 10, faults=["kill"]))
    assert "\x1b[31m" not in stream.getvalue()
    assert "\x1b[1;31m" not in stream.getvalue()


def test_control_characters_are_spelled_out() -> None:
    assert printable("a\x1b[31mb\x00\n") == "a\\x1b[31mb\\x00\n"


def test_the_first_anomaly_is_told_once_and_latencies_each_ten_seconds() -> None:
    now_s, stream = 0.0, io.StringIO()
    show = lines(stream, lambda: now_s)
    found = {"kind": "stale-read", "time_s": 4.2, "index": 9, "message": "read found 1"}
    pace = {"width_s": 0.5, "p50_ms": [1.0, 2.0], "p99_ms": [9.0, None]}
    for second in range(1, 12):
        now_s = float(second)
        show(tick(now_s, second * 100, anomaly=found if second > 4 else None, pace=pace))
    assert stream.getvalue().splitlines() == [
        "first anomaly so far: stale-read at 4.2 s: read found 1",
        "begin  10/60 s  100 ops/s; p50 2 ms, p99 9 ms; read 1000 ok 0 fail 0 info",
    ]

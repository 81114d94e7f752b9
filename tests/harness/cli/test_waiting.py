"""The bar of long work: nothing at first, a line in place on a terminal, lines elsewhere."""

from __future__ import annotations

import io

import pytest

from harness.cli.waiting import Waiting


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(autouse=True)
def _a_terminal_that_can_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


def test_quick_work_leaves_no_trace() -> None:
    stream, clock = Terminal(), Clock()
    waiting = Waiting(2, stream, clock)
    clock.now_s = 0.9
    waiting.show()
    waiting.advance()
    waiting.wipe()
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_that_is_wiped() -> None:
    stream, clock = Terminal(), Clock()
    waiting = Waiting(2, stream, clock)
    waiting.begin("x.edn")
    waiting.advance()
    clock.now_s = 3.0
    waiting.show()
    assert "[############............] 1/2 judged  3 s  x.edn" in stream.getvalue()
    waiting.wipe()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_elsewhere_a_line_comes_each_ten_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    waiting = Waiting(3, stream, clock)
    for clock.now_s in (2.0, 9.9, 10.0, 12.0, 20.1):
        waiting.show()
    assert stream.getvalue().count("\n") == 2
    assert "\x1b" not in stream.getvalue()


def test_it_ends_with_the_work() -> None:
    stream = Terminal()
    with Waiting(1, stream, Clock()) as waiting:
        waiting.advance()
    assert stream.getvalue() == ""

"""The live block of a soak: what it says, and that it stays away from what is no terminal."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cli.soak_progress import Present, block, drawn
from harness.soak.book import Book, Entry, Settings


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    settings = Settings(
        scenario={},
        seed=1,
        runs=20,
        duration_s=None,
        until_failure=False,
        parallel=2,
        confidence=0.95,
        at_most=0.05,
        hard_limit_s=60.0,
        start_wall_ns=0,
    )
    found = Book.create(tmp_path / "soak", settings)
    yield found
    found.close()


def entry(number: int, event: Any, exit: int | None = None) -> Entry:
    return Entry(number=number, event=event, seed=1, wall_ns=0, exit=exit)


def test_the_block_tells_counts_and_what_is_under_way(book: Book) -> None:
    now_s = [100.0]
    present = Present(book, clock=lambda: now_s[0])
    for told in (entry(1, "begun"), entry(2, "begun"), entry(1, "ended", 1), entry(3, "begun")):
        book.add(told)
        present.see(told)
        now_s[0] += 35.0
    assert present.headline() == "soak  1/20 runs  2:20"
    assert present.lines() == ["run 2  1:45", "run 3  0:35"]
    assert "1 violation" in drawn(present).plain
    assert "0 passed" in drawn(present).plain


def test_a_soak_without_a_number_says_how_it_ends(book: Book) -> None:
    import msgspec

    book.settings = msgspec.structs.replace(
        book.settings, runs=None, until_failure=True, duration_s=7200.0
    )
    told = Present(book, clock=lambda: 0.0).headline()
    assert told == "soak  0 runs until the first violation  0:00 of 2:00:00"


def test_where_there_is_no_terminal_nothing_is_drawn(book: Book) -> None:
    stream = io.StringIO()
    with block(book, stream) as show:
        show.see(entry(1, "begun"))
        show.tick()
    assert stream.getvalue() == ""


def test_on_a_terminal_the_block_is_drawn_and_gone_at_the_end(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    threads = set(threading.enumerate())
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with block(book) as show:
            told = entry(1, "begun")
            book.add(told)
            show.see(told)
            show.tick()
            assert set(threading.enumerate()) <= threads
            print("a line of the reporter", file=sys.stderr, flush=True)
    seen = everything(ours)
    assert "soak  0/20 runs" in seen
    assert "  run 1  " in seen
    assert "\x1b[2K" in seen
    assert "a line of the reporter\r\n" in without_controls(seen)


def everything(fd: int) -> str:
    """All that was written to a terminal whose other end is closed; its reader then gets EIO."""
    parts = []
    with contextlib.suppress(OSError):
        while part := os.read(fd, 65536):
            parts.append(part)
    os.close(fd)
    return b"".join(parts).decode()


def without_controls(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r(?!\n)", "", text)

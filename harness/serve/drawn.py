"""Pages drawn for those who look: one process a page, few at once, kept in memory for the next.

Nothing is written: the store is only read. Who asks for a page that is being drawn waits for that
one, so a huge run is drawn once however many look at it.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

from harness.linux.surroundings import program
from harness.store.untrusted import Folder

Kind = Literal["report", "soak"]
TIMEOUT_S: Final = 180.0
AT_ONCE: Final = 2
MOST_PAGE_BYTES: Final = 64 << 20
MOST_KEPT_BYTES: Final = 128 << 20
READ: Final[dict[Kind, tuple[str, ...]]] = {
    "report": (
        "verdict.json",
        "scenario.toml",
        "evidence/run.json",
        "faults.jsonl",
        "history.jsonl",
        "history.jsonl.zst",
        "history.jsonl.gz",
    ),
    "soak": ("summary.json",),
}
"""What a page is drawn from; it is drawn again when one of them has changed."""


class Undrawn(Exception):
    """A page cannot be drawn; the message says why."""


@dataclass(frozen=True)
class _Wanted:
    """One page: of what kind, of which folder in the store."""

    kind: Kind
    name: str
    stamp: str


class Drawn:
    """The pages of a store. Any thread may ask; the answer comes by a ``Future``."""

    def __init__(self, store: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._store = store
        self._timeout_s = timeout_s
        self._pool = ThreadPoolExecutor(AT_ONCE, "drawing")
        self._turn = threading.RLock()
        self._under_way: dict[_Wanted, Future[bytes]] = {}
        self._pages: OrderedDict[_Wanted, bytes | Undrawn] = OrderedDict()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._is_over = False

    def page(self, kind: Kind, name: str, folder: Folder) -> Future[bytes]:
        """The page of ``folder``, which is ``name`` for the drawing process."""
        wanted = _Wanted(kind, name, _stamp(folder, READ[kind]))
        with self._turn:
            if wanted in self._pages:
                self._pages.move_to_end(wanted)
                return _over(self._pages[wanted])
            found = self._under_way.get(wanted)
            if found is None:
                found = self._under_way[wanted] = self._pool.submit(self._draw, wanted)
                found.add_done_callback(self._forget(wanted))
            return found

    def close(self) -> None:
        """End what is being drawn."""
        with self._turn:
            self._is_over = True
            for process in self._processes:
                process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _forget(self, wanted: _Wanted) -> Callable[[Future[bytes]], None]:
        def over(_: Future[bytes]) -> None:
            with self._turn:
                self._under_way.pop(wanted, None)

        return over

    def _draw(self, wanted: _Wanted) -> bytes:
        try:
            drawn: bytes | Undrawn = self._drawn(wanted)
        except Undrawn as undrawn:  # it would fail again, as long as nothing has changed
            drawn = undrawn
        with self._turn:
            self._pages[wanted] = drawn
            while len(self._pages) > 1 and self._kept_bytes() > MOST_KEPT_BYTES:
                self._pages.popitem(last=False)
        if isinstance(drawn, Undrawn):
            raise drawn
        return drawn

    def _kept_bytes(self) -> int:
        return sum(len(page) for page in self._pages.values() if isinstance(page, bytes))

    def _drawn(self, wanted: _Wanted) -> bytes:
        with tempfile.TemporaryFile() as page, tempfile.TemporaryFile() as said:
            argv = program("harness.serve.rendering", wanted.kind, str(self._store), wanted.name)
            code = self._ended(argv, page, said)
            page.seek(0)
            drawn = page.read(MOST_PAGE_BYTES + 1)
            if code != 0:
                said.seek(0)
                lines = said.read(1 << 16).decode("utf-8", "replace").strip().splitlines()
                raise Undrawn(lines[-1] if lines else f"the drawing ended with {code}")
        if len(drawn) > MOST_PAGE_BYTES:
            raise Undrawn(f"its page is larger than {MOST_PAGE_BYTES >> 20} MB")
        return drawn

    def _ended(self, argv: list[str], out: IO[bytes], err: IO[bytes]) -> int:
        """Run a process to its end, or to ours; its exit code."""
        with self._turn:
            if self._is_over:
                raise Undrawn("the index is about to end")
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            self._processes.add(process)
        try:
            return process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            hint = "polygraph report RUN makes it without a limit"
            raise Undrawn(f"it took longer than {self._timeout_s:.0f} s; {hint}") from None
        finally:
            with self._turn:
                self._processes.discard(process)


def _over(page: bytes | Undrawn) -> Future[bytes]:
    future: Future[bytes] = Future()
    if isinstance(page, Undrawn):
        future.set_exception(page)
    else:
        future.set_result(page)
    return future


def _stamp(folder: Folder, names: tuple[str, ...]) -> str:
    marks = []
    for name in names:
        try:
            found = folder.stat(name)
            marks.append(f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}")
        except OSError as error:
            marks.append(f"!{error.errno}")
    return " ".join(marks)

"""Every verb that reads a run, put to a hostile folder, and what must hold of how it ends.

A verb runs in a forked child, so that one that hangs or dies is seen and ended, and imports are
paid once. Its standard output and error are files: what it says is looked at as the terminal
would get it.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

from tests.hostile.run_folders import SECRET, Hostile, plain_files

LIMIT_S = 10.0
MOST_BYTES = 6 << 30
"""Of addresses, most of which are what the interpreter has mapped and shares."""
MOST_ZIPPED = 1 << 28
IMPORTED = (
    *(f"harness.cli.{verb}" for verb in ("check", "check_one", "down", "export", "heal", "report")),
    "harness.cli.side_by_side",
    "harness.cluster.docker.provider",
    "harness.cluster.existing.provider",
    "harness.cluster.leftovers",
    "harness.cluster.local.provider",
    "harness.cluster.ssh.provider",
    "harness.judge.judge",
    "harness.report.page",
    "harness.serve.app",
    "harness.soak.page",
    "anyio._backends._asyncio",
    "docker",
    "jinja2",
    "paramiko",
    "starlette.testclient",
)
DOCUMENTED = frozenset({0, 1, 2, 3, 4})


@dataclass(frozen=True)
class Ending:
    """How a verb ended: its exit code, or the signal as a negative number; what it said."""

    verb: str
    code: int
    out: bytes
    err: bytes
    seconds: float

    def faults(self) -> Iterator[str]:
        """What must not be, whatever the verb was given."""
        if self.code == -signal.SIGKILL and self.seconds >= LIMIT_S:
            yield f"did not end in {LIMIT_S:g} s"
        elif self.code not in DOCUMENTED:
            yield f"ended with {self.code}: {self.err[-300:]!r}"
        yield from _faults_of_text(self.err, "standard error")
        # What was exported is data in another's notation; and most of all not for a terminal.
        yield from _faults_of_text(self.out, "standard output", self.verb.startswith("export"))


def _faults_of_text(told: bytes, where: str, is_data: bool = False) -> Iterator[str]:
    for sign in (b"unexpected error", b"Traceback (most recent", b"Error: ", b"Exception ignored"):
        if sign in told:
            place = told.index(sign)
            yield f"{where} says {told[place : place + 300].decode(errors='replace')!r}"
            break
    if SECRET.encode() in told:
        yield f"{where} tells the secret"
    try:
        text = told.decode()
    except UnicodeDecodeError as error:
        yield f"{where} is not UTF-8: {error}"
        return
    if is_data:
        return
    raw = {letter for letter in text if not (letter.isprintable() or letter in "\n\t")}
    if raw:
        yield f"{where} has raw {sorted(raw)[:5]!r}"


@cache
def import_all() -> None:
    """Import here what every child would import again, which costs more than most verbs do."""
    for name in IMPORTED:
        import_module(name)


def in_a_child(verb: str, work: Callable[[], int], *, limit_s: float = LIMIT_S) -> Ending:
    """What ``work`` came to in a child of its own, ended if it takes longer than ``limit_s``."""
    import_all()
    began = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            _carry_out(work, out.fileno(), err.fileno())
        code = _code_of(child, limit_s)
        seconds = time.monotonic() - began
        out.seek(0)
        err.seek(0)
        return Ending(verb, code, out.read(), err.read(), seconds)


def _carry_out(work: Callable[[], int], out: int, err: int) -> NoReturn:
    code = 99
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        for number, target in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
            os.dup2(number, target)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(  # noqa: SIM115
            2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1
        )
        code = work()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _code_of(child: int, limit_s: float) -> int:
    """The exit code of the child, all that it started ended with it where it takes too long."""
    pidfd = os.pidfd_open(child)
    try:
        if not select.select([pidfd], [], [], limit_s)[0]:
            os.killpg(child, signal.SIGKILL)
    finally:
        os.close(pidfd)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def command(*argv: str, plots: bool = False, limit_s: float = LIMIT_S) -> Ending:
    """One command line of ``polygraph``. Without ``plots`` no pictures are drawn, which is slow."""
    from harness.cli.main import run

    def work() -> int:
        if not plots:
            _draw_nothing()
        return run(argv)

    return in_a_child(" ".join(argv), work, limit_s=limit_s)


def _draw_nothing() -> None:
    from harness.report import page

    page.draw_plots = lambda *_, **__: []  # type: ignore[assignment]


def serving(store: Path, run: Path, *, drawn: bool = False) -> Ending:
    """The pages of the index, of one run, and its archive; an answer of 500 is exit code 98.

    Reports are ``drawn`` by a process each, which is slow: ``report`` does the same.
    """

    def work() -> int:
        from harness.serve.drawn import Drawn

        if not drawn:
            Drawn._drawn = lambda self, wanted: b"drawn"  # type: ignore[method-assign]
        return _serve(store, run)

    return in_a_child("serve", work)


def _serve(store: Path, run: Path) -> int:
    from starlette.testclient import TestClient

    from harness.serve.app import application

    name = quote(os.fsencode(run.relative_to(store)))
    pages = ["/", "/runs.json", "/?verdict=invalid", "/style.css"]
    pages += [f"/{each}/{name}/" for each in ("run", "live", "soak")] + [f"/progress/{name}"]
    if all(path.stat().st_size < MOST_ZIPPED for path in plain_files(run)):
        pages.append(f"/zip/{name}")  # streamed: as long as the run is large
    with TestClient(
        application(store, None),
        base_url="http://127.0.0.1:8080",
        raise_server_exceptions=False,
        follow_redirects=False,
    ) as client:
        return max([_served(client, page) for page in pages])


def _served(client: Any, page: str) -> int:
    """Ask for a page, and say what came of it, but not what stands there; 98 for a defect."""
    answer = client.get(page)
    kind = answer.headers.get("content-type")
    print(f"{page}: {answer.status_code} {kind}".encode("ascii", "backslashreplace").decode())
    if SECRET.encode() in _unpacked(answer.content):
        print(f"{page}: {SECRET}")
    return 98 if answer.status_code >= 500 else 0


def _unpacked(content: bytes) -> bytes:
    """What was served, and what is in it if it is an archive."""
    import io
    import zipfile

    if not content.startswith(b"PK"):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return content + b"".join(archive.read(name) for name in archive.namelist())


def every_verb(hostile: Hostile, *, shorter: bool = False) -> Iterator[Ending]:
    """All verbs over one folder, one after the other; ``shorter`` leaves out what repeats much."""
    run, store = str(hostile.run), str(hostile.store)
    yield command("check", run)
    yield serving(hostile.store, hostile.run)
    yield command("heal", "--store", store)
    if not shorter:
        yield command("check", "-m", "cas-register", "-v", run)
        yield command("export", "-f", "jsonl", run)
        yield command("down", "--store", store, run)
    yield command("report", run)


def words(ending: Ending) -> list[str]:
    """What ``check`` said of each file, by its lines."""
    return [line.rpartition("\t")[2] for line in ending.out.decode().splitlines()]


def faults_of(hostile: Hostile, endings: Sequence[Ending]) -> list[str]:
    """All that was wrong with how the verbs ended, and with what is around the run."""
    found = [f"{hostile.name}: {e.verb}: {fault}" for e in endings for fault in e.faults()]
    for ending in endings:
        if ending.verb.startswith("check") and "--self-test" not in ending.verb:
            found += [f"{hostile.name}: {ending.verb}: {fault}" for fault in _lines(ending)]
        if hostile.attack.derived and ending.verb == f"check {hostile.run}":
            found += _turned(hostile, ending)
    try:
        hostile.assert_harmless()
    except AssertionError as error:
        found.append(str(error))
    return found


def _lines(ending: Ending) -> Iterator[str]:
    lines = ending.out.decode(errors="replace").splitlines()
    told = [line.split("\t")[1:] for line in lines]
    if len(lines) > 1 or any(each not in (["true"], ["false"], ["unknown"]) for each in told):
        yield f"said {lines!r}, which is no line of a name and a word"
    if not lines and ending.code in (0, 1):
        yield f"ended with {ending.code} and no line"


def _turned(hostile: Hostile, ending: Ending) -> Iterator[str]:
    wrong = {True: "false", False: "true"}[hostile.valid]
    if wrong in words(ending):
        yield f"{hostile.name}: check says {wrong} of a run that is not"

"""The run process: ``python -m harness.run SCENARIO.toml --run-dir DIR --events FD``.

Started by the front through the provider. A line ``stop SIGNAL`` on standard input ends
the run cleanly (heal, seal, judge, exit 130), ``anomaly JSON`` its operations alone; the end of
standard input means that the front died: heal, seal, exit, at once. What asks a command to stop is
the front's, which passes it on: here it ends nothing, also where it was sent to every process there
is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.confidential import clear_logs, without_secrets
from harness.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_INTERRUPTED,
    EXIT_INVALID,
    EXIT_UNKNOWN,
    EXIT_VALID,
    PolygraphError,
    SetupError,
    StoreError,
    cannot_write,
)
from harness.linux.standard_streams import spare_people
from harness.linux.stopping import how_stopped, take_calmly
from harness.run.events import Events
from harness.run.failing_fast import ANOMALY
from harness.run.interrupts import STOP
from harness.run.scenario import resolve
from harness.store.ended import write_end
from harness.store.run_log import RunLog
from harness.store.runs import write_text
from harness.store.scenario import read_toml, registry_of
from harness.wording import named, placed

QUICK_SEAL_BYTES = 4 << 20

EXITS = {True: EXIT_VALID, False: EXIT_INVALID, "unknown": EXIT_UNKNOWN}


def main(argv: list[str] | None = None) -> int:
    """Live one run; the exit code of design section 7."""
    arguments = _arguments(argv)
    signalled: list[int] = []
    take_calmly(signalled.append)
    os.umask(os.umask(0o077) | 0o022)
    run_dir: Path = arguments.run_dir.resolve()
    events = Events(arguments.events, RunLog(run_dir, "run"))
    message, exit_code = "", EXIT_INFRASTRUCTURE
    try:
        secrets = _received(arguments.secrets)
        exit_code, message = _live(arguments.scenario, run_dir, events, signalled, secrets)
    except PolygraphError as error:
        events.note_error(error)
        exit_code, message = error.exit_code, str(error)
    except OSError as error:
        events.note_error(error)
        name = error.filename if isinstance(error.filename, str) else ""
        if Path(name).is_relative_to(run_dir):  # no defect: the disk is full, say
            message = str(cannot_write(f"cannot write {name}", error))
        else:
            message = _defect(run_dir, error)
    except BaseException as error:  # also what a plug-in must not raise, like SystemExit
        events.note_error(error)
        message = _defect(run_dir, error)
    write_end(run_dir, exit_code, message, events.phase)
    events.emit("end", 0, exit=exit_code, message=message)
    return exit_code


def _defect(run_dir: Path, error: BaseException) -> str:
    """What is said of an exception that nobody meant."""
    path = run_dir / "evidence" / "defect.txt"
    with contextlib.suppress(StoreError):
        write_text(path, without_secrets("".join(traceback.format_exception(error))))
    return f"a defect of Polygraph or of a plug-in: {placed(error)}; the traceback is in {path}"


def run_and_leave() -> None:
    """End at once with the exit code: threads that hang in a dead node are not waited for."""
    spare_people()
    exit_code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m harness.run")
    parser.add_argument("scenario", type=Path)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--events", type=int, default=None)
    parser.add_argument("--secrets", type=int, default=None)
    return parser.parse_args(argv)


def _received(fd: int | None) -> dict[str, str]:
    """The secrets that the front handed over; nothing that this process starts inherits them."""
    if fd is None:
        return {}
    with os.fdopen(fd, "rb") as pipe:
        secrets: dict[str, str] = json.loads(pipe.read())
    return secrets


def _live(
    scenario_path: Path,
    run_dir: Path,
    events: Events,
    signalled: list[int],
    secrets: Mapping[str, str],
) -> tuple[int, str]:
    """The exit code, and a message where there is more to say than the verdict.

    ``signalled`` gains the signals that ask to stop and were sent to this very process.
    """
    from harness.cluster import providers
    from harness.cluster.provider import PROVIDER_VARIABLE
    from harness.run.life import Life
    from harness.run.preparation import prepare, request_of

    table = read_toml(scenario_path)
    registry = registry_of(table)
    scenario = resolve(table, registry, secrets)
    parts = prepare(scenario, registry)
    request = request_of(parts, os.environ.get(PROVIDER_VARIABLE))
    cluster = providers.of(request.provider).cluster(request, run_dir)
    life: Life | None = None
    try:
        life = Life(parts, cluster, run_dir, events, signalled=signalled)
        life.give_up = lambda why: _give_up(cluster, run_dir, events, why)
        _listen(life)
        gc.collect()
        gc.freeze()
        verdict = _loop_runner(life)
        exit_code, message = _exit_code(life, verdict)
        if verdict is None:
            write_end(run_dir, exit_code, message, events.phase)  # which the page tells
        _render(run_dir, life, events)
        return exit_code, message
    except SetupError as error:
        # Who signals everything there is ends the nodes too: they did not fail by themselves.
        if life is None or not (life.interrupted or signalled):
            raise
        events.note_error(error)
        return EXIT_INTERRUPTED, how_stopped(life.stopped_by or signalled[0])
    finally:
        if life is not None and life.abandoned:
            threading.Event().wait()  # the thread that saw the front die ends all
        _tear_down(cluster, run_dir, scenario.leave_db_running, events)
        clear_logs(run_dir)  # what was logged since it was collected


def _loop_runner(life: Any) -> dict[str, Any] | None:
    """Run the loop without waiting for its threads at the end: a thread may hang in a dead node."""
    try:
        import uvloop

        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    except ImportError:
        loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    verdict: dict[str, Any] | None = loop.run_until_complete(life.run())
    return verdict


def _exit_code(life: Any, verdict: dict[str, Any] | None) -> tuple[int, str]:
    if life.unhealed:
        return EXIT_INFRASTRUCTURE, "not healed: " + "; ".join(life.unhealed)
    if life.interrupted or verdict is None:
        return EXIT_INTERRUPTED, how_stopped(life.stopped_by)
    broken = getattr(getattr(life, "journal", None), "failure", None)
    why = getattr(life, "defect", None) or (broken.message if broken is not None else None)
    if why and verdict["valid"] is not False:  # what was proved before it stays proved
        return EXIT_INFRASTRUCTURE, f"{why}; the history so far is kept"
    return EXITS[verdict["valid"]], ""


def _listen(life: Any) -> None:
    """Follow standard input from a thread: ``stop SIGNAL``, ``anomaly JSON``, or its end."""

    def follow() -> None:
        for line in sys.stdin:
            words = line.split()
            if words[:1] == [STOP]:
                life.stop(getattr(signal, "".join(words[1:2]), signal.SIGINT))
            elif words[:1] == [ANOMALY]:
                life.fail_fast(json.loads(line.partition(" ")[2]))
        _abandon(life)

    threading.Thread(target=follow, name="front", daemon=True).start()


def _give_up(cluster: Any, run_dir: Path, events: Events, why: str) -> None:
    """The loop is blocked for good: end the nodes and this process, with a last word."""
    _tear_down(cluster, run_dir, False, events)
    message = f"{why}; the history so far is kept"
    write_end(run_dir, EXIT_INFRASTRUCTURE, message, events.phase)
    events.emit("end", 0, exit=EXIT_INFRASTRUCTURE, message=message)
    os._exit(EXIT_INFRASTRUCTURE)


def _abandon(life: Any) -> None:
    """The front is gone: seal the history and go. The nodes, and every fault, end with us.

    In namespaces the kernel ends them; elsewhere the cluster is taken down here, and where that
    fails ``polygraph heal`` finishes it: the run stays registered until it is gone.
    """
    life.abandon()
    life.events.note("the front is gone: the history is sealed, and everything ends")
    try:
        if life.journal is not None:
            life.journal.close()
            seal_if_short(life.run_dir)
    finally:
        try:
            if not _ends_with_run(life.cluster):
                end_cluster(life.cluster, life.run_dir)
        finally:
            os._exit(EXIT_INTERRUPTED)


def end_cluster(cluster: Any, run_dir: Path) -> None:
    """Take the cluster down; where no namespaces end it, what it left on disk goes here too.

    Faults that nobody could note as healed ended with it, which the ledger then says.
    """
    from harness.cluster.leftovers import forget
    from harness.store import registration

    registered = registration.read(run_dir)
    cluster.down()
    if not _ends_with_run(cluster):
        forget(run_dir, registered)


def _ends_with_run(cluster: Any) -> bool:
    """Whether the kernel ends all of it with the run's first process."""
    return bool(getattr(cluster, "ends_with_run", False))


def seal_if_short(run_dir: Path) -> None:
    """Seal what can be sealed in the moment that is left; a longer history stays as it is."""
    from harness.history.seal import seal

    path = run_dir / "history.jsonl"
    if path.exists() and path.stat().st_size < QUICK_SEAL_BYTES:
        seal(run_dir)


def _render(run_dir: Path, life: Any, events: Events) -> None:
    """The page; its failure is told and changes nothing."""
    events.emit("phase", life.now(), name="report")
    try:
        from harness.report import render

        clear_logs(run_dir)  # which the page quotes
        page = render(run_dir)
        shown = page.read_text("utf-8")
        if without_secrets(shown) != shown:  # logged since
            write_text(page, without_secrets(shown))
    except Exception as error:
        events.note_error(error)
        with contextlib.suppress(StoreError):
            text = without_secrets(traceback.format_exc())
            write_text(run_dir / "evidence" / "report-failure.txt", text)
        events.emit("warning", life.now(), message=f"the report could not be made: {named(error)}")


def _tear_down(cluster: Any, run_dir: Path, leave_running: bool, events: Events) -> None:
    events.emit("phase", 0, name="teardown")
    try:
        if leave_running:
            cluster.leave_running()
        else:
            end_cluster(cluster, run_dir)
    except Exception as error:
        events.note_error(error)
        events.emit("warning", 0, message=f"teardown: {named(error)} (the verdict stands)")


if __name__ == "__main__":
    run_and_leave()

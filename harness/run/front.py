"""The front's half of a run: make the folder, start the run process, follow its events.

The run process is started by the provider (inside its namespaces, where it has some) and alone
touches nodes and clients; the front shows what it says and passes its exit code on. If it dies
without its last word, the front says so and how to judge what is left.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from harness.cluster import providers
from harness.cluster.provider import PROVIDER_VARIABLE, AsksFirst, Provider, Request
from harness.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_INTERRUPTED,
    PolygraphError,
    StoreError,
    UsageError,
)
from harness.linux.stopping import Stopped, name_of
from harness.linux.surroundings import program
from harness.option import MOST_SECRET_BYTES, Option
from harness.plugins import Registry
from harness.run.failing_fast import FailFast
from harness.run.interrupts import Interrupts, stop_on_interrupt
from harness.run.onlooker import Onlooker, checkers_of
from harness.run.preparation import Parts, prepare, request_of
from harness.store.ended import write_end
from harness.store.run_log import RunLog
from harness.store.runs import (
    is_over,
    new_run_dir,
    read_json,
    write_json,
    write_text,
    written_by_owner_alone,
)
from harness.store.scenario import Scenario
from harness.wording import named

PRESENT: Final = (
    "limit_s", "operations", "faults", "nodes", "last_error", "pace", "bands", "watched", "anomaly"
)  # fmt: skip
"""What is kept of a progress event."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended. ``verdict`` is ``verdict.json``; ``message`` says what else there is."""

    exit_code: int
    run_dir: Path
    verdict: Mapping[str, Any] | None
    message: str


def run(
    scenario: Scenario,
    store: Path,
    on_event: Callable[[Mapping[str, Any]], None],
    registry: Registry,
    agrees: Callable[[str], bool] = lambda warning: False,
) -> Outcome:
    """Run ``scenario`` to its end, keeping it in ``store``.

    ``agrees`` is asked whether to go on where the run would do something to what is not ours.
    ``on_event`` gets every event, in this thread. A KeyboardInterrupt stops the run cleanly
    (exit 130), as SIGTERM and SIGHUP do; a second one ends it at once. Raises what forbids the
    run before it starts.
    """
    providers.of(scenario.provider)  # an unknown name is refused before all else
    parts = prepare(scenario, registry)
    request = ask_first(parts, agrees)
    provider = providers.of(request.provider)
    runs_already = isinstance(provider, AsksFirst)
    provider.prepare(request, _teller(on_event))
    with written_by_owner_alone():
        run_dir = new_run_dir(store, scenario.system, scenario.workload, datetime.now())
        with _last_word(store, run_dir, RunLog(run_dir, "front")) as log:
            kept = run_dir / "scenario.toml"
            write_text(kept, scenario.to_toml({}))  # a run that cannot be begun is one to ask about
            log.write(f"begin, by {request.provider}: {scenario.command()}")
            if not runs_already:  # else only it can tell
                write_text(kept, scenario.to_toml(parts.system.versions()))
            judges = checkers_of(parts.workload.checkers, scenario.options, registry)
            onlooker = Onlooker(run_dir, judges)
            fail_fast = FailFast(onlooker, parts, registry)
            remember = _remembering(run_dir, onlooker, fail_fast, on_event)
            with contextlib.closing(onlooker), stop_on_interrupt(remember) as interrupts:
                fail_fast.tell = interrupts.say
                on_event({"event": "phase", "time_ns": 0, "name": "begin", "run_dir": str(run_dir)})
                leave = scenario.leave_db_running
                end = _follow(
                    provider,
                    request,
                    leave,
                    run_dir,
                    remember,
                    interrupts,
                    log,
                    scenario.secret_values,
                )
            if onlooker.trouble:
                log.write(onlooker.trouble)
    return Outcome(end[0], run_dir, read_json(run_dir / "verdict.json"), end[1])


def ask_first(parts: Parts, agrees: Callable[[str], bool]) -> Request:
    """Choose the provider, and have the user agree to what it does to what is not ours."""
    request = providers.choose(request_of(parts))
    provider = providers.of(request.provider)
    if isinstance(provider, AsksFirst):
        _refuse_unless_agreed(provider.warning(request), agrees)
    return request


def _refuse_unless_agreed(warning: str, agrees: Callable[[str], bool]) -> None:
    if not agrees(warning):
        raise UsageError(
            f"{warning}; nobody has agreed to that",
            "polygraph test ... --yes, if they may be written and loaded",
        )


@contextlib.contextmanager
def _last_word(store: Path, run_dir: Path, log: RunLog) -> Iterator[RunLog]:
    """The run is over then; what ends the front by an exception stands in the run's folder too."""
    try:
        yield log
    except BaseException as error:
        log.error(error)
        code = EXIT_INFRASTRUCTURE
        if isinstance(error, KeyboardInterrupt):
            code = EXIT_INTERRUPTED
        elif isinstance(error, PolygraphError):
            code = error.exit_code
        message = str(error) if isinstance(error, PolygraphError | Stopped) else named(error)
        _say_end(run_dir, code, message)
        raise
    finally:
        is_over(store, run_dir)
        log.close()


def _say_end(run_dir: Path, code: int, message: str) -> None:
    """Leave the last word for a run process that left none."""
    phase = (read_json(run_dir / "evidence" / "progress.json") or {}).get("phase", "begin")
    write_end(run_dir, code, message, phase)


def _remembering(
    run_dir: Path,
    onlooker: Onlooker,
    fail_fast: FailFast,
    on_event: Callable[[Mapping[str, Any]], None],
) -> Callable[[Mapping[str, Any]], None]:
    """``on_event``, with the present kept in ``evidence/progress.json`` for whoever looks on.

    Progress is told with what an onlooker sees beside it.
    """
    present: dict[str, Any] = {}

    def remember(event: Mapping[str, Any]) -> None:
        event = onlooker.hear(event)
        fail_fast.look()
        if event.get("event") == "phase":
            present["phase"] = event.get("name")
        if event.get("event") == "progress":
            present["time_s"] = float(event.get("time_ns", 0)) / 1e9
            for name in PRESENT:
                present[name] = event.get(name)
        if event.get("event") in ("phase", "progress"):
            with contextlib.suppress(StoreError):  # nothing depends on it
                write_json(run_dir / "evidence" / "progress.json", present)
        on_event(event)

    return remember


def _teller(on_event: Callable[[Mapping[str, Any]], None]) -> Callable[[str], None]:
    """Shows what happens before the run begins, where it may take long (images are built)."""

    def tell(message: str) -> None:
        on_event({"event": "phase", "time_ns": 0, "name": "prepare", "message": message})

    return tell


def _follow(
    provider: Provider,
    request: Request,
    leave_running: bool,
    run_dir: Path,
    on_event: Callable[[Mapping[str, Any]], None],
    interrupts: Interrupts,
    log: RunLog,
    secrets: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Start the run process and read its events to their end: (exit code, message)."""
    events_read, events_write = os.pipe()
    argv = program("harness.run", str(run_dir / "scenario.toml"))
    argv += ["--run-dir", str(run_dir), "--events", str(events_write)]
    passed, env = [events_write], {**os.environ, PROVIDER_VARIABLE: request.provider}
    if secrets:
        passed.append(handed_over(secrets))
        argv += ["--secrets", str(passed[-1])]
        for name in secrets:  # what the run starts must not inherit them
            env.pop(Option(name=name).twin, None)
    try:
        entered = provider.spawn(argv, request=request, run_dir=run_dir, pass_fds=passed, env=env)
    except BaseException:
        os.close(events_read)
        raise
    finally:
        for fd in passed:
            os.close(fd)
    log.write(f"the run process is {entered.run_pid}")
    last: Mapping[str, Any] = {}
    try:
        interrupts.pass_on_to(entered.stdin_fd)
        for event in _events(events_read):
            on_event(event)
            last = event if event.get("event") == "end" else last
        interrupts.end()
        status = entered.wait(30.0)
    finally:
        interrupts.end()
        if not leave_running:
            entered.kill()
    if interrupts.number is not None:
        log.write(f"asked to stop by {name_of(interrupts.number)}")
    log.write(f"the run process ended with exit status {status}")
    if not last:
        message = f"the run process ended without a last word (exit status {status})"
        _say_end(run_dir, EXIT_INFRASTRUCTURE, message)
        return EXIT_INFRASTRUCTURE, f"{message}\n  try: polygraph check {run_dir}"
    return int(last.get("exit", EXIT_INFRASTRUCTURE)), str(last.get("message", ""))


def handed_over(secrets: Mapping[str, str]) -> int:
    """The end of a pipe to read ``secrets`` from, once: in no file, no argument, no environment."""
    data = json.dumps(secrets).encode()
    if len(data) > MOST_SECRET_BYTES:
        raise UsageError(f"the secrets of a run hold at most {MOST_SECRET_BYTES} bytes together")
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as out:
        out.write(data)  # fits into any pipe, so nobody need read yet
    return reader


def _events(events_fd: int) -> Iterator[Mapping[str, Any]]:
    """Every event of the stream, to its end."""
    buffer = b""
    with os.fdopen(events_fd, "rb", buffering=0) as stream:
        while chunk := stream.read(65536):
            *lines, buffer = (buffer + chunk).split(b"\n")
            yield from (json.loads(line) for line in lines)

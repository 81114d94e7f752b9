"""Judging one file or run for ``polygraph check``: from its name to a verdict, or what went wrong.

Files judged side by side must not talk into each other, so :func:`judge_apart` keeps what is to
be said on standard error in the :class:`Outcome`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.cli.failure import exit_code_of
from harness.cli.model_names import checker_for
from harness.cli.session import Session
from harness.cli.speech import say
from harness.errors import (
    EXIT_INVALID,
    EXIT_UNKNOWN,
    EXIT_VALID,
    HistoryError,
    PolygraphError,
    StoreError,
    UsageError,
    cannot_write,
)
from harness.history.bounds import USUAL, Bounds
from harness.judge.apart import CHECK_SECONDS
from harness.plugins import Registry

Begun = Callable[[str], object]
"""Called with the name of each checker before it begins."""
EXITS = {True: EXIT_VALID, False: EXIT_INVALID, "unknown": EXIT_UNKNOWN}
STDIN = "-"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the flags ask for: ``model`` is ``-m``, ``header`` replaces what the history says of
    itself, ``options`` go to the checkers, operations named in ``ignore_f`` are left out;
    ``folders`` say where proofs of a file are kept; ``partial`` takes what is left of a file that
    was cut off; ``budget`` is what each checker may take.
    """

    model: str | None
    format: str | None
    header: Mapping[str, Any]
    options: Mapping[str, Any]
    store: Path
    registry: Registry
    session: Session
    ignore_f: Sequence[str] = ()
    budget: float | None = None
    folders: Mapping[str, Path] = field(default_factory=dict)
    sort_by_time: int | None = None
    bounds: Bounds = USUAL
    partial: bool = False
    begun: Begun = str

    @property
    def overrides(self) -> bool:
        """Whether a run is to be judged otherwise than by its own scenario."""
        return self.model is not None or bool(self.header or self.options or self.ignore_f)


@dataclass(frozen=True)
class Outcome:
    """What became of one file: the exit code, the verdict if there is one, and what was said."""

    code: int
    verdict: Mapping[str, Any] | None
    said: str


def judge_safely(name: str, begun: Begun, *, request: Request) -> Outcome:
    """Judge the file or run called ``name``; trouble with it is told, not raised."""
    request = dataclasses.replace(request, begun=begun)
    return safely(partial(_judge_named, name, request), request.session)


def safely(judge: Callable[[], Mapping[str, Any] | None], session: Session) -> Outcome:
    """What ``judge`` came to; trouble is told, not raised."""
    try:
        verdict = judge()
    except Exception as error:
        return Outcome(exit_code_of(error, session), None, "")
    return Outcome(EXIT_VALID if verdict is None else EXITS[verdict["valid"]], verdict, "")


def judge_apart(name: str, begun: Begun, *, request: Request) -> Outcome:
    """:func:`judge_safely`, with all that is said kept for later."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        outcome = judge_safely(name, begun, request=request)
    return dataclasses.replace(outcome, said=said.getvalue())


def _judge_named(name: str, request: Request) -> Mapping[str, Any]:
    """:func:`_judge`; what is wrong with the file or run says of which, for there may be many."""
    try:
        return _judge(name, request)
    except UsageError as error:
        if name in error.message:
            raise
        raise type(error)(f"{name}: {error.message}", error.hint) from error


def _judge(name: str, request: Request) -> Mapping[str, Any]:
    from harness.history.seal import JEPSEN
    from harness.store.runs import find_run, is_run_dir

    path = Path(name)
    is_file = name == STDIN or path.is_file() or (path.exists() and not path.is_dir())
    is_jepsens = not is_run_dir(path) and any((path / file).is_file() for file in JEPSEN)
    if is_file or is_jepsens or _is_foreign(path):
        return _judge_file(name, request)
    return _judge_run(name, find_run(request.store, name), request)


def _is_foreign(path: Path) -> bool:
    """Whether this is the folder of another tool, such as one of Cobra's logs."""
    from harness.history.formats.folders import foreign
    from harness.store.runs import is_run_dir

    return path.is_dir() and not is_run_dir(path) and foreign(path) is not None


def budget_of(name: str, request: Request) -> float:
    """Seconds for each checker: as asked, else as the run was made, else the usual ones."""
    if request.budget is not None:
        return request.budget
    if name != STDIN and not Path(name).is_file():
        from harness.store.runs import find_run
        from harness.store.scenario import recorded, recorded_table

        with contextlib.suppress(PolygraphError):  # what is wrong with it is told when it is judged
            run_dir = find_run(request.store, name)
            return recorded(recorded_table(run_dir)).budget
    return CHECK_SECONDS


def history_of(name: str, request: Request) -> Any:
    """The history of a file or a run."""
    from harness.judge.judge import load_record
    from harness.store.runs import find_run

    path = Path(name)
    if name == STDIN or path.is_file() or _is_foreign(path):
        return _read(name, request)
    return load_record(find_run(request.store, name), request.bounds).history


def _judge_file(name: str, request: Request) -> Mapping[str, Any]:
    return judge_bare(_read(name, request), name, request)


def _read(name: str, request: Request) -> Any:
    from harness.history.reader import read_history
    from harness.history.seal import is_unsealed

    path = Path(name)
    history = read_history(
        path, request.format, sort_by_time=request.sort_by_time, bounds=request.bounds
    )
    if history.partial and not (request.partial or path.is_dir() or is_unsealed(path)):
        raise HistoryError(
            f"{name}: ends within a record, so the rest of it was cut off",
            "the whole file, or --partial to judge what there is",
        )
    return history


def judge_bare(
    history: Any,
    name: str,
    request: Request,
    recorded: Sequence[str] = (),
    unavailable: Mapping[str, Any] = MappingProxyType({}),
) -> Mapping[str, Any]:
    """Judge a bare history by ``-m``, by the checkers ``recorded``, or by what its header says.

    ``unavailable`` are those of the recorded ones that are not at hand, with what is said of them.
    """
    from msgspec import structs

    from harness.history.without import without
    from harness.judge.judge import RUN_CHECKERS, judge_history

    header = structs.replace(history.header, **request.header)
    history = without(dataclasses.replace(history, header=header), request.ignore_f)
    own = recorded or _checkers_for(history, name, request)
    checkers = [*(each for each in own if each not in unavailable), *RUN_CHECKERS]
    options = dict(request.options)
    if name in request.folders:
        options["directory"] = str(request.folders[name])
    verdict = judge_history(
        history,
        checkers,
        options,
        request.registry,
        seconds=budget_of(name, request),
        begun=request.begun,
        unavailable=unavailable,
    )
    _keep_proofs(name, history, verdict, request)
    return verdict


def _keep_proofs(name: str, history: Any, verdict: Mapping[str, Any], request: Request) -> None:
    if name in request.folders:
        from harness.cli.kept_proofs import keep

        try:
            keep(request.folders[name], history, verdict)
        except OSError as error:
            raise cannot_write(f"cannot write into {request.folders[name]}", error) from error


def _checkers_for(history: Any, name: str, request: Request) -> Sequence[str]:
    """The names of the checkers: ``-m``, else the workload's, else the model's own."""
    header, registry = history.header, request.registry
    if request.model is not None:
        return [checker_for(request.model, history, registry)]
    if header.workload in registry.names("workloads"):
        return tuple(registry.get("workloads", header.workload).checkers)
    if header.model:
        return [checker_for(header.model, history, registry)]
    raise UsageError(f"{name} does not say what it is a history of", "-m MODEL, see polygraph list")


def _judge_run(name: str, run_dir: Path, request: Request) -> Mapping[str, Any]:
    """Judge a run by all that its folder holds; keep the verdict where there was none."""
    from harness.judge.judge import judge_run, load_record
    from harness.judge.unavailable import unavailable_checkers
    from harness.store.ended import ending, why_no_verdict
    from harness.store.runs import read_json

    if request.sort_by_time is not None:
        raise UsageError("--sort-by-time is for files; the records of a run are in order")
    if request.overrides:
        say(f"{run_dir}: other flags than its own, so judged as a bare history", err=True)
        record = load_record(run_dir, request.bounds)
        facts = record.run or {}
        recorded = () if request.model is not None else facts.get("checkers") or ()
        unavailable = unavailable_checkers(run_dir, facts, recorded, request.registry)
        return judge_bare(record.history, name, request, recorded, unavailable)
    record = load_record(run_dir, request.bounds)
    verdict = judge_run(
        run_dir,
        record=record,
        seconds=budget_of(name, request),
        begun=request.begun,
        registry=request.registry,
        bounds=request.bounds,
    )
    stored = read_json(run_dir / "verdict.json")
    found = ending(run_dir)
    if found.state == "under way":
        say(f"{run_dir}: still under way, this judges what there is so far", err=True)
    elif not isinstance(stored, Mapping):
        if found.state != "not known":
            say(f"{run_dir}: {why_no_verdict(run_dir)}", err=True)
        _keep(run_dir, verdict)
    elif stored.get("valid") != verdict["valid"]:
        say(f"{run_dir}: its verdict.json says {stored.get('valid')}, kept as it is", err=True)
    if name in request.folders:
        _keep_proofs(name, record.history, verdict, request)
    return verdict


def _keep(run_dir: Path, verdict: Mapping[str, Any]) -> None:
    """The verdict into the run's folder, which may be another's; where nothing ran, none is kept.

    A run without a history has no verdict: its folder goes on saying why.
    """
    from harness.history.seal import PLAIN, SEALED
    from harness.store.runs import write_json
    from harness.store.untrusted import Folder

    if not any(Folder(run_dir).has(name) for name in (PLAIN, *SEALED)):
        return
    try:
        write_json(run_dir / "verdict.json", verdict)
    except StoreError as error:
        say(f"{run_dir}: the verdict is not kept: {error.message}", err=True)

"""From record to verdict: every checker, the health of the run, and the worst of them wins.

Used by the run itself (as a process of its own, ``python -m harness.judge RUN``, so that a
checker that dies takes nothing with it) and by ``polygraph check``. A checker that raises or
runs out of budget is ``unknown`` with the reason, never valid. A verdict is against a claim:
an anomaly that none of the claimed models forbids is told, but makes ``unknown``, not invalid.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from harness.errors import EXIT_INFRASTRUCTURE, PolygraphError
from harness.history.bounds import USUAL, Bounds
from harness.history.history import History
from harness.history.ledger import LedgerEntry, read_ledger
from harness.history.operation import Header
from harness.history.reader import read_history
from harness.judge import health, pairings
from harness.judge.claims import models_of, with_known_claims
from harness.judge.composing import compose
from harness.judge.facts import read_facts, read_states
from harness.judge.unavailable import unavailable_checkers
from harness.judge.unmodelled import refuse_other_models, unmodelled
from harness.plugins import Registry
from harness.store.scenario import recorded, recorded_table
from harness.store.untrusted import Folder, TooLarge
from harness.verdict.record import LogFile, Record, odd_logs
from harness.verdict.steps import (
    CRASH_OF_CHECKER,
    DEFECT_OF_CHECKER,
    MORE_MEMORY,
    SEARCH_LONGER,
    Step,
)
from harness.verdict.verdict import (
    UNKNOWN,
    Budget,
    BudgetExceeded,
    Checker,
    Valid,
    Verdict,
)
from harness.verdict.verdict_file import VerdictFile
from harness.wording import named, shown

if TYPE_CHECKING:
    from harness.verdict.metrics import Metrics

RUN_CHECKERS = ("stats", "unhandled-exceptions", "crash", "logs", "no-recovery")
"""Judged in every run, beside the workload's own checkers."""
OF_THE_USER_ALONE = frozenset({"directory"})
"""Options of checkers that name a place: whoever wrote the run does not say where we write."""


def judge_history(
    history: History,
    checkers: Sequence[str],
    options: Mapping[str, Any],
    registry: Registry,
    *,
    seconds: float = 300.0,
    begun: Callable[[str], object] = str,
    unavailable: Mapping[str, Verdict] = MappingProxyType({}),
) -> VerdictFile:
    """Judge a bare history: no health, crash or recovery. The shape of ``verdict.json``.

    ``begun`` is called with the name of each checker before it begins; ``unavailable`` are
    checkers that are not at hand, with what is said of them. ``UsageError`` where the history has
    no operation that a checker of its own could judge.
    """
    history = with_known_claims(history)
    record = Record(history=history, options=options)
    own = [name for name in checkers if name not in RUN_CHECKERS]
    refuse_other_models(record, own, options, registry)
    verdicts, left_out = run_checkers(
        record, checkers, options, registry, seconds=seconds, begun=begun, are_the_users=True
    )
    claims = list(options.get("claims") or history.header.claims)
    answer = compose(
        record,
        {**unavailable, **verdicts},
        claims=claims,
        health_findings=[],
        requested_faults=[],
        anomalies=options.get("anomalies") or (),
    )
    answer["left_out"] = left_out
    return answer


def judge_run(
    run_dir: Path,
    *,
    seconds: float | None = None,
    begun: Callable[[str], object] = str,
    registry: Registry | None = None,
    bounds: Bounds = USUAL,
    record: Record | None = None,
) -> VerdictFile:
    """Judge a run from its folder alone, as far as ``bounds`` go. Writes nothing.

    ``record`` is what :func:`load_record` gives of it, where it is at hand already.

    No file with code that the run's scenario names is loaded: it may have moved or changed, or be
    another machine's. ``registry`` is what may be used now; a checker of the run that is not in
    it, or not by the same hand, is not run, and what it said then is told. ``seconds`` is the
    budget of each checker (that of the scenario unless given).
    """
    registry = Registry() if registry is None else registry
    table = recorded_table(run_dir)
    record = load_record(run_dir, bounds) if record is None else record
    record = replace(record, history=with_known_claims(record.history))
    run = record.run or {}
    scenario = recorded(table, run.get("option_defaults"))
    names = [*_own_checkers(record, scenario.workload, registry), *RUN_CHECKERS]
    if record.states is not None:
        names.append("agreement")
    if run.get("gauges"):
        names.append("metrics")
    unavailable = unavailable_checkers(run_dir, run, names, registry)
    verdicts, left_out = run_checkers(
        record,
        [name for name in names if name not in unavailable],
        _safe_options({**scenario.options, **(run.get("checker_options") or {})}),
        registry,
        seconds=scenario.budget if seconds is None else seconds,
        begun=begun,
    )
    asked = models_of(scenario.consistency_models, "the run's consistency_models")
    health_findings = health.examine(record, scenario.nemesis)
    health_findings += health.missing_evidence(record, scenario.nemesis, left_out)
    health_findings += health.told_by_checkers(verdicts)
    answer = compose(
        record,
        unavailable | verdicts,
        claims=list(asked or record.header.claims),
        health_findings=health_findings,
        requested_faults=scenario.nemesis,
    )
    answer["seed"], answer["reproduce"] = scenario.seed, scenario.command()
    answer["left_out"] = left_out
    answer["provider"] = (record.run or {}).get("provider", scenario.provider)
    return answer


def load_record(run_dir: Path, bounds: Bounds = USUAL) -> Record:
    """Everything that checkers may read of the run in ``run_dir``; missing parts are ``None``.

    A run that was killed before its first operation has an empty, partial history. The folder may
    be anybody's, so no link in it is followed: a history or a ledger that is one, or is beyond
    ``bounds``, is a ``HistoryError``; logs and evidence that are odd count as missing.
    """
    if any(run_dir.glob("history.jsonl*")):
        history = read_history(run_dir, bounds=bounds)
    else:
        history = History((), Header(), ("the run has no history yet",), partial=True)
    ledger, inside = run_dir / "faults.jsonl", Folder(run_dir)
    faults: list[LedgerEntry] | None = None
    if os.path.lexists(ledger):
        faults = read_ledger(ledger, bounds)
    logs = [
        LogFile(node=path.parent.name, path=run_dir / path)
        for path in map(Path, inside.files("nodes"))
        if len(path.parts) == 3 and path.suffix == ".log"
    ]
    left_out = odd_logs(inside)
    if left_out is not None:
        history = replace(history, notices=(*history.notices, left_out))
    return Record(
        history=history,
        faults=faults,
        logs=logs,
        run=read_facts(run_dir),
        states=read_states(run_dir),
        metrics=_metrics(inside),
    )


def _metrics(inside: Folder) -> Metrics | None:
    """What was sampled; a file that is odd counts as missing, which a promise makes unknown."""
    from harness.verdict.metrics import read_metrics

    try:
        return read_metrics(inside)
    except OSError:
        return None


def run_checkers(
    record: Record,
    names: Iterable[str],
    options: Mapping[str, Any],
    registry: Registry,
    *,
    seconds: float,
    begun: Callable[[str], object] = str,
    are_the_users: bool = False,
) -> tuple[dict[str, Verdict], list[str]]:
    """The verdict of each checker, and the names of those whose parts of the record are missing.

    Where the options are the user's own, and not of a run's folder, a checker that cannot be made
    with them has a defect, which is raised.
    """
    verdicts: dict[str, Verdict] = {}
    left_out: list[str] = []
    counts = record.history.outcomes
    for name in dict.fromkeys(names):
        checker: Checker | Verdict
        if are_the_users:
            checker = registry.get("checkers", name)(options)
        else:
            checker = _made(name, options, registry)
        if isinstance(checker, Verdict):
            verdicts[name] = checker
        elif checker.reads <= record.parts:
            begun(name)
            foreign = unmodelled(checker, name, counts)
            verdicts[name] = foreign or _check_safely(name, checker, record, Budget.start(seconds))
        else:
            left_out.append(name)
    return verdicts, left_out


def _made(name: str, options: Mapping[str, Any], registry: Registry) -> Checker | Verdict:
    """The checker, or that it cannot be made with these options: unknown, and why."""
    try:
        checker: Checker = registry.get("checkers", name)(options)
        return checker
    except PolygraphError:
        raise
    except Exception as error:
        why = f"the checker {name} cannot be made with the options of this run: {named(error)}"
        stats = {"traceback": traceback.format_exc()}
        return Verdict(valid=UNKNOWN, why=why, settle=CRASH_OF_CHECKER, stats=stats)


def _safe_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's folder says to its checkers, but not where they are to write."""
    return {name: value for name, value in options.items() if name not in OF_THE_USER_ALONE}


def _check_safely(name: str, checker: Checker, record: Record, budget: Budget) -> Verdict:
    pid = os.getpid()
    try:
        return _understood(name, pairings.judged(checker.check, record, budget))
    except BudgetExceeded as error:
        why = f"the checker {name} ran out of budget: {error}"
        return Verdict(valid=UNKNOWN, why=why, settle=SEARCH_LONGER)
    except TooLarge as error:
        why = f"{error.filename} {error.strerror}, so {name} did not search the rest of it"
        return Verdict(valid=UNKNOWN, why=why, settle="read that log yourself, or run it again")
    except MemoryError:
        why = f"the checker {name} ran out of memory"
        return Verdict(valid=UNKNOWN, why=why, settle=MORE_MEMORY)
    except (Exception, SystemExit) as error:
        return Verdict(
            valid=UNKNOWN,
            why=f"the checker {name} crashed: {named(error)}",
            settle=CRASH_OF_CHECKER,
            stats={"traceback": traceback.format_exc()},
        )
    finally:
        if os.getpid() != pid:  # a copy that the checker made: only one of the two may judge
            os._exit(EXIT_INFRASTRUCTURE)


def _understood(name: str, answer: object) -> Verdict:
    """``answer`` if it is a verdict to the letter; nothing odd may ever pass for valid."""
    if not isinstance(answer, Verdict):
        why = f"the checker {name} answered {shown(answer)}, no verdict"
        return Verdict(valid=UNKNOWN, why=why, settle=DEFECT_OF_CHECKER)
    if not (answer.valid is True or answer.valid is False or answer.valid == UNKNOWN):
        why = f"the checker {name} said valid={shown(answer.valid)}, not true, false or unknown"
        return Verdict(valid=UNKNOWN, why=why, settle=DEFECT_OF_CHECKER)
    if not isinstance(answer.settle, str | Step):
        answer = replace(answer, settle="")
    try:
        json.dumps(answer.as_json(), allow_nan=False)
    except (TypeError, ValueError) as error:
        why = f"the checker {name} said valid={answer.valid}, with what is no JSON: {error}"
        valid: Valid = False if answer.valid is False else UNKNOWN
        return Verdict(valid=valid, why=why, settle=DEFECT_OF_CHECKER)
    return answer


def _own_checkers(record: Record, workload: str, registry: Registry) -> Sequence[str]:
    """The checkers of the run beside :data:`RUN_CHECKERS`: as recorded, else its workload's."""
    recorded = (record.run or {}).get("checkers")
    if recorded:
        return tuple(map(str, recorded))
    found = registry.found("workloads").get(workload)
    return () if found is None else tuple(getattr(found.factory, "checkers", ()))

"""``polygraph check --self-test``: would the checkers notice? Tried, not believed.

Without a file: every planted anomaly (the examples of ``polygraph explain`` and further trials,
:mod:`harness.verdict.explanation`) is given to the checker that it names, which must tell exactly
what was planted, and clean histories, which it must not accuse. One line each.

With files: one answered read of each is changed to what nobody can have written, and the verdict
must then be false. That tries the whole way, from the file's format to the checker's options.
Whoever passes this test can still be wrong; whoever fails it is.

Exit codes: 0 all as it must be, 3 something planted was missed or something clean accused (a
defect of a checker), 2 a file has no read to change, or the verdict on it was unknown.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import structs

from harness.cli.check_one import Begun, Outcome, Request, history_of, judge_bare
from harness.cli.failure import exit_code_of
from harness.cli.session import Session
from harness.cli.speech import say
from harness.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_UNKNOWN,
    EXIT_USAGE,
    EXIT_VALID,
    PolygraphError,
)
from harness.history.history import History
from harness.history.operation import OK, Operation
from harness.plugins import Registry
from harness.verdict.explanation import Example
from harness.verdict.verdict import UNKNOWN
from harness.wording import named, shown

NOWHERE = 10**15
"""Added to a value, so that it becomes one that nobody wrote."""
NAMED = 30
WORST_FIRST = (EXIT_USAGE, EXIT_INFRASTRUCTURE, EXIT_UNKNOWN, EXIT_VALID)


def try_all(registry: Registry, session: Session) -> int:
    """Try every checker of the registry, a line for each trial; the exit code.

    In a process of its own, like all judging: a checker that ends it must not look like success.
    """

    def judge(name: str, begun: Begun) -> Outcome:
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                code = _try_all(registry)
        except PolygraphError as error:  # a plug-in that cannot be loaded, or has a taken name
            code = exit_code_of(error, session)
        return Outcome(code, None, said.getvalue())

    return _show(["the self-test"], judge)


def try_files(names: Sequence[str], request: Request) -> int:
    """Change one read of each file and judge it, a line each; the worst exit code."""
    return _show(names, lambda name, begun: _try_file(name, request))


def _show(names: Sequence[str], judge: Callable[[str, Begun], Outcome]) -> int:
    from harness.cli.side_by_side import judge_all

    codes = set()
    for position, outcome in judge_all(names, judge, 1):
        codes.add(outcome.code)
        if outcome.verdict is not None:  # the process ended before it had an answer
            say(f"{names[position]}: {outcome.verdict['why']}", err=True)
        say(outcome.said, end="")
    return next(code for code in WORST_FIRST if code in codes)


def _try_file(name: str, request: Request) -> Outcome:
    try:
        history = history_of(name, request)
        change = corrupted(history)
        before = after = None
        if change is not None:
            before = judge_bare(history, name, request)["valid"]
            after = judge_bare(change.history, name, request)["valid"]
    except Exception as error:
        return Outcome(exit_code_of(error, request.session), None, "")
    line, code = told(name, change, before, after)
    return Outcome(code, None, f"{line}\n")


def _try_all(registry: Registry) -> int:
    missed, tried = 0, Counter[str]()
    for name, example in trials(registry):
        trouble = outcome(example, registry)
        tried[example.checker] += 1
        missed += bool(trouble)
        planted = ", ".join(example.expects) or ("nothing" if example.valid is True else "doubt")
        verdict = f"MISSED: {trouble}" if trouble else "told" if example.expects else "not accused"
        say(f"{name:<{NAMED}} {example.checker:<20} planted {planted}: {verdict}")
    checkers = registry.usable("checkers")
    known = {checkers[name].factory for name in tried}
    untried = [name for name, found in sorted(checkers.items()) if found.factory not in known]
    for checker in untried:
        say(f"{'-':<{NAMED}} {checker:<20} has no trial of its own")
    wrong = f"{missed} wrong" if missed else "all as they must be"
    say(f"{tried.total()} trials of {len(tried)} checkers: {wrong}")
    return EXIT_INFRASTRUCTURE if missed else EXIT_VALID


def trials(registry: Registry) -> Iterator[tuple[str, Example]]:
    """Every example with the name of what it shows, each once."""
    seen: set[tuple[str, str, str]] = set()
    for name, example in _all(registry):
        key = (example.checker, example.drawing, repr(sorted(example.options.items())))
        if key not in seen:
            seen.add(key)
            yield name, example


def _all(registry: Registry) -> Iterator[tuple[str, Example]]:
    from harness.cli.explain import entries

    for entry in entries(registry):
        yield from ((entry.name, example) for example in entry.examples)
    for found in registry.found("trials").values():
        for example in found.factory():
            yield ("wrong answer" if example.expects else "clean"), example


def outcome(example: Example, registry: Registry) -> str:
    """What is wrong with the checker's answer; empty if it is as the example states."""
    try:
        verdict = example.judged(registry.get("checkers", example.checker))
    except Exception as error:
        return f"the checker crashed: {named(error)}"
    found = sorted(verdict.anomalies)
    if verdict.valid != example.valid:
        return f"valid is {verdict.valid}, must be {example.valid}"
    if found != sorted(example.expects):
        return f"told {', '.join(found) or 'nothing'}"
    return ""


# -- with files ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Corrupted:
    """A history with the answer of operation ``index`` changed from ``before`` to ``after``."""

    history: History
    index: int
    before: Any
    after: Any


def corrupted(history: History) -> Corrupted | None:
    """``history`` with one answered read, as near to its middle as can be, made impossible."""
    places = sorted(
        range(len(history.operations)), key=lambda at: abs(2 * at - len(history.operations))
    )
    for at in places:
        operation = history.operations[at]
        if operation.type == OK and operation.is_client:
            changed = _changed(operation, history.header.independent)
            if changed is not None:
                operations = list(history.operations)
                operations[at] = structs.replace(operation, value=changed)
                whole = dataclasses.replace(history, operations=operations, prepared=None)
                return Corrupted(whole, operation.index, operation.value, changed)
    return None


def _changed(operation: Operation, keyed: bool) -> Any:
    """Another value for an operation that read something; ``None`` for any other."""
    value = operation.value
    if keyed and isinstance(value, list) and len(value) == 2:
        inner = _changed(structs.replace(operation, value=value[1]), keyed=False)
        return None if inner is None else [value[0], inner]
    if operation.f == "txn" or _is_steps(value):
        return _changed_steps(value)
    return _impossible(value) if operation.f in ("read", "dequeue", "drain") else None


def _is_steps(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(step, list) and step and isinstance(step[0], str) for step in value)
    )


def _changed_steps(steps: Any) -> Any:
    for at, step in enumerate(steps if _is_steps(steps) else ()):
        if step[0] in ("r", "read", "poll", "rp") and len(step) > 1:
            other = _impossible(step[-1])
            if other is not None:
                return [*steps[:at], [*step[:-1], other], *steps[at + 1 :]]
    return None


def _impossible(value: Any) -> Any:
    """``value`` with something in it that nobody can have written; ``None`` if it holds nothing."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value + NOWHERE
    if isinstance(value, str):
        return f"{value}-{NOWHERE}"
    if isinstance(value, Mapping):
        for key, inner in value.items():
            other = _impossible(inner)
            if other is not None:
                return {**value, key: other}
    if isinstance(value, Sequence) and value:
        last = _impossible(value[-1])
        return [*value[:-1], last] if isinstance(value[-1], list) else [*value, last]
    return None


def told(name: str, change: Corrupted | None, before: Any, after: Any) -> tuple[str, int]:
    """The line for one file and its exit code, by what was said of it ``before`` and ``after``."""
    if change is None:
        return f"{name}: self-test not possible: no read was answered", EXIT_UNKNOWN
    what = f"operation {change.index} was changed from {_short(change.before)} to"
    what = f"{what} {_short(change.after)}"
    if before is False:
        return f"{name}: self-test not possible: it is invalid as it is", EXIT_UNKNOWN
    if after is False:
        return f"{name}: self-test passed: {what}, and the verdict is false", EXIT_VALID
    code = EXIT_UNKNOWN if after == UNKNOWN else EXIT_INFRASTRUCTURE
    return f"{name}: self-test FAILED: {what}, and the verdict is {str(after).lower()}", code


def _short(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

"""``polygraph trace RUN OP``: the spans of an operation, and of others that touched its keys.

A span belongs to an operation by its trace id, which the client sent along. Where a system does not
take that over, it is found by the system's own times, which stand in the completion
(``timestamps``) and among the span's attributes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from harness.cli.flags import completes, flag
from harness.cli.options import json_option, max_bytes_option, store_option
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_VALID, UsageError

if TYPE_CHECKING:
    from harness.history.calls import Call
    from harness.history.history import History
    from harness.verdict.spans import Span

OTHERS: Final = 5
MOST_ATTRIBUTES: Final = 12
STARTS: Final = ("startTs", "start_ts", "commitTs", "commit_ts", "readTs")
"""Attributes by which systems tell their own times (those of Dgraph)."""


@click.command("trace", cls=Verb)
@click.argument("run", shell_complete=completes("run"))
@click.argument("operation", required=False, type=int, metavar="[OP]")
@flag(
    "others",
    int,
    default=OTHERS,
    help="of so many other operations that touched the same keys, the nearest ones",
)
@flag("send", str, help="send Polygraph's own spans to this endpoint of OpenTelemetry over HTTP")
@json_option
@max_bytes_option
@store_option
def VERB(
    run: str,
    operation: int | None,
    others: int,
    send: str | None,
    as_json: bool,
    max_bytes: int | None,
    store: Path,
) -> int:
    """Print the spans of operation OP (the index of its records) of RUN.

    With --send, Polygraph's own spans go to an OpenTelemetry endpoint (Jaeger, Tempo), of OP
    alone or, without one, of every operation.
    """
    from harness.history.bounds import Bounds
    from harness.history.reader import read_history
    from harness.store.runs import find_run

    run_dir = find_run(store, run)
    history = read_history(run_dir, bounds=Bounds(max_bytes))
    if send is not None:
        _send(history, operation, send)
        return EXIT_VALID
    if operation is None:
        raise UsageError("which operation?", "polygraph trace RUN OP; a report tells the indices")
    found = _found(history, operation)
    shown = [found, *_nearest(history, found, others)]
    spans = _spans_of(run_dir, history, shown)
    if as_json:
        say(json.dumps([_as_json(call, of) for call, of in zip(shown, spans, strict=True)]))
        return EXIT_VALID
    for at, (call, of) in enumerate(zip(shown, spans, strict=True)):
        if at == 1:
            say(f"\nOthers that touched {', '.join(sorted(keys_of(found)))}, the nearest first:")
        say("\n".join(_lines(history, call, of)))
    if not any(spans):
        say("\nThe system sent no spans of these; polygraph test --traces collects them.")
    return EXIT_VALID


def _send(history: History, operation: int | None, url: str) -> None:
    from harness.evidence.own_spans import own_span, own_spans, send

    if history.header.start_wall_ns is None:
        raise UsageError("the history does not tell when it began, so its spans have no time")
    if operation is None:
        spans: Iterable[Span] = own_spans(history)
    else:
        call = _found(history, operation)
        spans = [own_span(history, call.invocation, call.completion)]
    sent = send(spans, history.header.start_wall_ns, url)
    say(f"{sent} spans were sent to {url}")


def _found(history: History, index: int) -> Call:
    """The call one of whose records has this index."""
    from harness.history.calls import calls

    for call in calls(history):
        if index in (call.invocation.index, call.last.index):
            return call
    raise UsageError(f"no operation of a client has a record {index} in this history")


def keys_of(call: Call) -> set[str]:
    """The keys that a call touched, as text: of ``[key, value]``, of steps, of maps by key."""
    found: set[str] = set()
    for value in (call.asked, call.answer):
        if isinstance(value, Mapping):
            found.update(map(str, value))
        elif isinstance(value, list) and value and all(map(_is_step, value)):
            found.update(str(step[1]) for step in value)
        elif isinstance(value, list) and len(value) == 2:
            found.add(str(value[0]))
    return found


def _is_step(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= 2 and isinstance(value[0], str)


def _nearest(history: History, found: Call, most: int) -> list[Call]:
    """Other calls with a key in common, those first that ran at the same time or just beside."""
    from harness.history.calls import calls

    keys = keys_of(found)
    begin, end = found.invocation.time, found.last.time

    def distance(call: Call) -> int:
        return max(0, call.invocation.time - end, begin - call.last.time)

    others = [
        call
        for call in calls(history)
        if call.invocation.index != found.invocation.index and keys & keys_of(call)
    ]
    return sorted(others, key=distance)[: max(most, 0)]


def _spans_of(run_dir: Path, history: History, shown: Sequence[Call]) -> list[list[Span]]:
    """The spans of each of these calls, in order of time."""
    from harness.store.untrusted import Folder
    from harness.verdict.spans import read_spans

    traces = {_trace(history, call): at for at, call in enumerate(shown)}
    times = {
        str(time): at
        for at, call in enumerate(shown)
        for time in (call.last.timestamps or {}).values()
    }
    for span in read_spans(Folder(run_dir)):
        told = (str(span.attributes.get(name)) for name in STARTS if name in span.attributes)
        at = next((times[each] for each in told if each in times), None)
        if at is not None:
            traces.setdefault(span.trace, at)
    found: list[dict[str, Span]] = [{} for _ in shown]
    for span in read_spans(Folder(run_dir)):
        if span.trace in traces:
            found[traces[span.trace]][span.span] = span
    return [sorted(each.values(), key=lambda span: span.start) for each in found]


def _trace(history: History, call: Call) -> str:
    from harness.history.traces import trace_id_of

    return call.invocation.trace or trace_id_of(history.header.run or "", call.invocation.index)


def _as_json(call: Call, spans: Sequence[Span]) -> dict[str, Any]:
    import msgspec

    return {
        "operation": call.invocation.index,
        "what": str(call),
        "spans": [msgspec.to_builtins(span) for span in spans],
    }


def _lines(history: History, call: Call, spans: Sequence[Span]) -> Iterator[str]:
    from harness.history.traces import span_id_of

    trace = _trace(history, call)
    yield f"operation {call.invocation.index}: {call}"
    served = call.last.served
    told = {**({"served": served} if served else {}), **(call.last.timestamps or {})}
    if told:
        yield "  told: " + ", ".join(f"{name} {value}" for name, value in told.items())
    yield f"  trace {trace}, span {span_id_of(trace)}"
    by_parent: dict[str, list[Span]] = {}
    known = {span.span for span in spans}
    for span in spans:
        by_parent.setdefault(span.parent if span.parent in known else "", []).append(span)
    yield from _tree(by_parent, "", 1, set())


def _tree(
    by_parent: Mapping[str, Sequence[Span]], parent: str, deep: int, seen: set[str]
) -> Iterator[str]:
    """The spans below ``parent``, each with its attributes and events, below each other."""
    for span in by_parent.get(parent, ()):
        if span.span in seen:
            continue
        seen.add(span.span)
        margin = "  " * min(deep, 20)
        took_ms = (span.end - span.start) / 1e6
        who = " ".join(filter(None, (span.service, span.node)))
        yield f"{margin}{span.start / 1e9:.6f} s  {took_ms:.3f} ms  {span.name}  ({who})"
        if span.attributes:
            yield f"{margin}    {_told(span.attributes)}"
        for event in span.events:
            told = _told(event.attributes) if event.attributes else ""
            yield f"{margin}    {event.time / 1e9:.6f} s  {event.name}  {told}".rstrip()
        yield from _tree(by_parent, span.span, deep + 1, seen)


def _told(attributes: Mapping[str, Any]) -> str:
    from harness.history.calls import short

    pairs = list(attributes.items())[:MOST_ATTRIBUTES]
    return ", ".join(f"{name}={short(value, 80)}" for name, value in pairs)

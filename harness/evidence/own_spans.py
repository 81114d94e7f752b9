"""Polygraph's own spans: one for each operation and each step of a fault, made from the history.

Nothing is sent while a run goes on: the history holds all, and the ids follow from it
(:mod:`harness.history.traces`). As OpenTelemetry's JSON they go to any endpoint that takes it over
HTTP (a collector, Jaeger, Tempo), where the system's spans hang below them.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

from harness.errors import UsageError
from harness.history.calls import short
from harness.history.history import History
from harness.history.operation import INVOKE, Operation
from harness.history.traces import span_id_of, trace_id_of
from harness.verdict.spans import Span

SERVICE: Final = "polygraph"
BATCH: Final = 500
TIMEOUT_S: Final = 10.0
PATH: Final = "/v1/traces"


def own_spans(history: History) -> Iterator[Span]:
    """A span for every operation; one that was never answered ends where it began."""
    pairs, operations = history.pairs, history.operations
    for position, operation in enumerate(operations):
        if operation.type != INVOKE and operation.is_client:
            continue
        pair = pairs[position]
        if not operation.is_client and pair < position:
            continue
        yield own_span(history, operation, operations[pair] if pair >= 0 else None)


def own_span(history: History, begun: Operation, ended: Operation | None) -> Span:
    """The span of one operation."""
    trace = begun.trace or trace_id_of(history.header.run or "", begun.index)
    last = begun if ended is None else ended
    told: dict[str, Any] = {
        "polygraph.index": begun.index,
        "polygraph.process": begun.process,
        "polygraph.outcome": "info" if ended is None else ended.type,
        "polygraph.asked": short(begun.value),
        "polygraph.answer": short(last.value),
    }
    if last.error is not None:
        told["polygraph.error"] = short(last.error)
    if last.served is not None:
        told["polygraph.served"] = last.served
    for name, at in (last.timestamps or {}).items():
        told[f"polygraph.timestamp.{name}"] = at
    return Span(
        trace=trace,
        span=span_id_of(trace),
        parent="",
        name=begun.f,
        node=begun.node or "",
        service=SERVICE,
        start=begun.time,
        end=last.time,
        attributes=told,
    )


def as_otlp(spans: Iterable[Span], start_wall_ns: int) -> bytes:
    """An ``ExportTraceServiceRequest`` of spans of one service, as JSON, on the wall clock."""
    told = [
        {
            "traceId": span.trace,
            "spanId": span.span,
            "parentSpanId": span.parent,
            "name": span.name,
            "kind": 3,  # a client
            "startTimeUnixNano": str(span.start + start_wall_ns),
            "endTimeUnixNano": str(span.end + start_wall_ns),
            "attributes": _pairs({**span.attributes, "server.address": span.node}),
        }
        for span in spans
    ]
    resource = {"attributes": _pairs({"service.name": SERVICE})}
    scope = {"scope": {"name": SERVICE}, "spans": told}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}).encode()


def _pairs(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, int) and not isinstance(value, bool):
        return {"intValue": str(value)}
    return {"stringValue": value if isinstance(value, str) else json.dumps(value)}


def send(spans: Iterable[Span], start_wall_ns: int, url: str) -> int:
    """Send them to an endpoint of OpenTelemetry over HTTP, some at a time; how many there were.

    ``url`` as users have it (``http://localhost:4318``); the path is added where there is none.
    ``UsageError`` where it does not take them.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{url} is no address of http or https", "http://localhost:4318")
    path = parts.path if parts.path.strip("/") else PATH
    makes = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    sent, waiting = 0, iter(spans)
    with closing(makes(parts.hostname, parts.port, timeout=TIMEOUT_S)) as connection:
        while batch := list(islice(waiting, BATCH)):
            try:
                headers = {"Content-Type": "application/json"}
                connection.request("POST", path, as_otlp(batch, start_wall_ns), headers)
                answer = connection.getresponse()
                said = answer.read()
            except (OSError, http.client.HTTPException) as error:
                raise UsageError(f"{url} does not answer: {error}") from error
            if answer.status != 200:
                why = said[:200].decode("utf-8", "replace")
                raise UsageError(f"{url} answered {answer.status}: {why}")
            sent += len(batch)
    return sent

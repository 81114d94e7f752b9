"""Spans out of what systems send: OpenTelemetry (protobuf, JSON) and Jaeger's thrift.

Of OpenTelemetry's messages (opentelemetry-proto, ``trace/v1/trace.proto``) what a span is, what it
is of, its attributes and events are kept; links, states and scopes are not. Times stay those of the
sender, nanoseconds since 1970.

Own decoder of protobuf and not the package opentelemetry-proto: that brings protobuf (0.4 MB in
all), a version of which Dgraph's old drivers exclude; this is 120 lines, within bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from harness.evidence.wire import DEEPEST, Fields, Malformed, double, protobuf, signed, thrift
from harness.verdict.spans import Span, SpanEvent

MOST_TEXT: Final = 4096
"""Characters of a name or of the value of an attribute."""


def spans_in_protobuf(data: bytes, node: str) -> Iterator[Span]:
    """Those of an ``ExportTraceServiceRequest``; :class:`Malformed`."""
    for resource in protobuf(data).get(1, ()):
        fields = protobuf(_bytes(resource))
        about = protobuf(_bytes(_first(fields, 1, b"")))
        service = str(_attributes(about.get(1, ())).get("service.name", ""))
        for scope in fields.get(2, ()):
            for span in protobuf(_bytes(scope)).get(2, ()):
                yield _span(protobuf(_bytes(span)), node, service)


def _span(fields: Fields, node: str, service: str) -> Span:
    return Span(
        trace=_bytes(_first(fields, 1, b"")).hex(),
        span=_bytes(_first(fields, 2, b"")).hex(),
        parent=_bytes(_first(fields, 4, b"")).hex(),
        name=_text(_first(fields, 5, b"")),
        node=node,
        service=service,
        start=_number(_first(fields, 7, 0)),
        end=_number(_first(fields, 8, 0)),
        attributes=_attributes(fields.get(9, ())),
        events=[_event(protobuf(_bytes(each))) for each in fields.get(11, ())],
    )


def _event(fields: Fields) -> SpanEvent:
    return SpanEvent(
        time=_number(_first(fields, 1, 0)),
        name=_text(_first(fields, 2, b"")),
        attributes=_attributes(fields.get(3, ())),
    )


def _attributes(pairs: Sequence[Any]) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        fields = protobuf(_bytes(pair))
        value = protobuf(_bytes(_first(fields, 2, b"")))
        found[_text(_first(fields, 1, b""))] = _any_value(value, 0)
    return found


def _any_value(fields: Fields, deep: int) -> Any:
    """An ``AnyValue`` as JSON."""
    if deep > DEEPEST:
        raise Malformed(f"values are nested more than {DEEPEST} deep")
    for number, values in fields.items():
        value = values[-1]
        if number == 1:
            return _text(value)
        if number == 2:
            return bool(value)
        if number == 3:
            return signed(_number(value))
        if number == 4:
            return double(_number(value))
        if number == 5:
            inner = protobuf(_bytes(value)).get(1, ())
            return [_any_value(protobuf(_bytes(each)), deep + 1) for each in inner]
        if number == 6:
            pairs = [protobuf(_bytes(each)) for each in protobuf(_bytes(value)).get(1, ())]
            return {
                _text(_first(pair, 1, b"")): _any_value(
                    protobuf(_bytes(_first(pair, 2, b""))), deep + 1
                )
                for pair in pairs
            }
        if number == 7:
            return _bytes(value).hex()[:MOST_TEXT]
    return None


def _first(fields: Fields, number: int, default: Any) -> Any:
    values = fields.get(number)
    return values[-1] if values else default


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise Malformed("a number stands where a text or a message belongs")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise Malformed("a text stands where a number belongs")
    return value


def _text(value: Any) -> str:
    return _bytes(value).decode("utf-8", "replace")[:MOST_TEXT]


# -- JSON ----------------------------------------------------------------------------------------


class _JsonValue(msgspec.Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | None = None
    bytes_value: str | None = None
    array_value: Any = None
    kvlist_value: Any = None

    def as_json(self) -> Any:
        if self.int_value is not None:
            return int(self.int_value)
        plain = (self.string_value, self.bool_value, self.double_value, self.bytes_value)
        return next(
            (each for each in (*plain, self.array_value, self.kvlist_value) if each is not None),
            None,
        )


class _JsonPair(msgspec.Struct):
    key: str
    value: _JsonValue = msgspec.field(default_factory=_JsonValue)


class _JsonEvent(msgspec.Struct, rename="camel"):
    time_unix_nano: int | str = 0
    name: str = ""
    attributes: list[_JsonPair] = []


class _JsonSpan(msgspec.Struct, rename="camel"):
    trace_id: str
    span_id: str
    name: str = ""
    parent_span_id: str = ""
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[_JsonPair] = []
    events: list[_JsonEvent] = []


class _JsonScope(msgspec.Struct):
    spans: list[_JsonSpan] = []


class _JsonResource(msgspec.Struct):
    attributes: list[_JsonPair] = []


class _JsonResourceSpans(msgspec.Struct, rename="camel"):
    resource: _JsonResource = msgspec.field(default_factory=_JsonResource)
    scope_spans: list[_JsonScope] = []
    instrumentation_library_spans: list[_JsonScope] = []


class _JsonRequest(msgspec.Struct, rename="camel"):
    resource_spans: list[_JsonResourceSpans] = []


def spans_in_json(data: bytes, node: str) -> Iterator[Span]:
    """Those of an ``ExportTraceServiceRequest`` as JSON; :class:`Malformed`."""
    try:
        request = msgspec.json.decode(data, type=_JsonRequest)
        for resource in request.resource_spans:
            service = str(_pairs(resource.resource.attributes).get("service.name", ""))
            for scope in (*resource.scope_spans, *resource.instrumentation_library_spans):
                for span in scope.spans:
                    yield _of_json(span, node, service)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(f"not spans as JSON: {error}") from error


def _of_json(span: _JsonSpan, node: str, service: str) -> Span:
    return Span(
        trace=span.trace_id.lower(),
        span=span.span_id.lower(),
        parent=span.parent_span_id.lower(),
        name=span.name[:MOST_TEXT],
        node=node,
        service=service,
        start=int(span.start_time_unix_nano),
        end=int(span.end_time_unix_nano),
        attributes=_pairs(span.attributes),
        events=[
            SpanEvent(int(each.time_unix_nano), each.name, _pairs(each.attributes))
            for each in span.events
        ],
    )


def _pairs(pairs: Sequence[_JsonPair]) -> dict[str, Any]:
    return {pair.key: pair.value.as_json() for pair in pairs}


# -- Jaeger --------------------------------------------------------------------------------------

_TAG_VALUES: Final[Mapping[int, tuple[int, Callable[[Any], Any]]]] = {
    0: (3, _text),
    1: (4, float),
    2: (5, bool),
    3: (6, int),
    4: (7, lambda value: _bytes(value).hex()),
}
"""Type of a tag to the field that holds its value (jaeger-idl, ``jaeger.thrift``)."""


def spans_in_thrift(data: bytes, node: str) -> Iterator[Span]:
    """Those of a ``Batch`` of Jaeger; :class:`Malformed`."""
    try:
        batch = thrift(data)
        service = _text(batch.get(1, {}).get(1, b""))
        for span in batch.get(2, ()):
            yield _of_jaeger(span, node, service)
    except (AttributeError, TypeError, KeyError) as error:
        raise Malformed(f"not a batch of Jaeger's: {error}") from error


def _of_jaeger(span: Mapping[int, Any], node: str, service: str) -> Span:
    start = span[8] * 1000
    return Span(
        trace=_hex(span.get(2, 0)) + _hex(span[1]),
        span=_hex(span[3]),
        parent=_hex(span[4]) if span.get(4) else "",
        name=_text(span.get(5, b"")),
        node=node,
        service=service,
        start=start,
        end=start + span.get(9, 0) * 1000,
        attributes=_tags(span.get(10, ())),
        events=[
            SpanEvent(each[1] * 1000, str(tags.pop("message", tags.pop("event", "log"))), tags)
            for each in span.get(11, ())
            for tags in [_tags(each.get(2, ()))]
        ],
    )


def _hex(number: int) -> str:
    return format(number & ((1 << 64) - 1), "016x")


def _tags(tags: Sequence[Mapping[int, Any]]) -> dict[str, Any]:
    found = {}
    for tag in tags:
        field, read = _TAG_VALUES.get(tag.get(2, 0), _TAG_VALUES[0])
        found[_text(tag.get(1, b""))] = read(tag[field]) if field in tag else None
    return found

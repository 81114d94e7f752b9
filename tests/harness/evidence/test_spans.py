"""Spans from what a system sends to what a run keeps, over real connections on loopback."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from harness.evidence import receiver as receiving
from harness.evidence.otlp import spans_in_json, spans_in_protobuf, spans_in_thrift
from harness.evidence.own_spans import as_otlp, own_spans, send
from harness.evidence.receiver import EXPORT, Decode, Receiver
from harness.evidence.wire import Malformed
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.history.traces import span_id_of, trace_id_of
from harness.store.untrusted import Folder
from harness.verdict.spans import Span, read_spans
from tests.harness.evidence.spans_on_the_wire import (
    END_NS,
    PARENT,
    SPAN,
    START_NS,
    TRACE,
    as_json,
    as_protobuf,
    as_thrift,
)

WAYS: list[tuple[Callable[[], bytes], Decode]] = [
    (as_protobuf, spans_in_protobuf),
    (as_json, spans_in_json),
    (as_thrift, spans_in_thrift),
]


@pytest.mark.parametrize(("encode", "decode"), WAYS)
def test_a_span_is_the_same_by_every_protocol(encode: Callable[[], bytes], decode: Decode) -> None:
    (span,) = decode(encode(), "n1")
    assert (span.trace, span.span, span.parent) == (TRACE, SPAN, PARENT)
    assert (span.name, span.node, span.start, span.end) == ("KV/Put", "n1", START_NS, END_NS)
    assert span.attributes["startTs"] == -5
    assert [(event.time, event.name) for event in span.events] == [(END_NS, "committed")]


def test_values_of_attributes_are_json() -> None:
    (span,) = spans_in_protobuf(as_protobuf(), "n1")
    assert span.attributes == {"startTs": -5, "ok": True, "share": 0.5, "names": ["a", "b"]}
    assert span.events[0].attributes == {"commitTs": 17}
    assert span.service == "etcd"


@pytest.mark.parametrize(("encode", "decode"), WAYS)
def test_whatever_is_cut_or_changed_is_malformed_or_other_spans_and_nothing_worse(
    encode: Callable[[], bytes], decode: Decode
) -> None:
    whole = encode()
    refused = 0
    for at in range(len(whole)):
        for broken in (whole[:at], whole[:at] + b"\xff" + whole[at + 1 :]):
            try:
                list(decode(broken, "n1"))
            except Malformed:
                refused += 1
    assert refused > len(whole) / 2


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    path = tmp_path / "evidence" / "spans.jsonl"
    made = Receiver(path, {"n1": "127.0.0.1", "n2": "127.0.0.1"}, (), lambda why: None)
    yield made
    made.close(linger_s=0)


def post(address: str, path: str, body: bytes, **headers: str) -> int:
    host, _, port = address.partition(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, body, told)
        return connection.getresponse().status


def kept(tmp_path: Path) -> list[Span]:
    return list(read_spans(Folder(tmp_path)))


def test_spans_are_kept_by_the_port_that_they_came_to_on_the_historys_clock(
    receiver: Receiver, tmp_path: Path
) -> None:
    collectors = receiver.open()
    first, second = collectors["n1"].http, collectors["n2"].http
    assert post(first, "/v1/traces", as_protobuf()) == 200
    assert kept(tmp_path) == []  # the history has not begun
    receiver.begin(lambda: 0)
    assert post(first, "/v1/traces", as_protobuf(), Content_Encoding="identity") == 200
    packed = gzip.compress(as_json())
    kind = "application/json"
    assert post(second, "/v1/traces", packed, Content_Encoding="gzip", Content_Type=kind) == 200
    assert post(second, "/api/traces?format=jaeger.thrift", as_thrift()) == 200
    spans = kept(tmp_path)
    assert [span.node for span in spans] == ["n1", "n2", "n2"]
    assert {span.end - span.start for span in spans} == {END_NS - START_NS}
    assert all(span.start < 0 and span.error_ns for span in spans)  # long before this test
    assert receiver.count == 3


@pytest.mark.slow
def test_the_end_waits_until_each_node_has_sent_once_more(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "REST_S", 0.05)
    collectors = receiver.open()
    receiver.begin(lambda: 0)
    assert post(collectors["n1"].http, "/v1/traces", as_protobuf()) == 200
    closing_ = threading.Thread(target=receiver.close, args=(60.0,))
    closing_.start()
    for node in ("n1", "n2"):
        assert closing_.is_alive()
        closing_.join(0.2)  # longer than the rest that one exporter's messages have
        assert closing_.is_alive(), "nobody waits for the other node"
        assert post(collectors[node].http, "/v1/traces", as_protobuf()) == 200
    closing_.join(30.0)
    assert not closing_.is_alive()
    assert [span.node for span in kept(tmp_path)] == ["n1", "n1", "n2"]


def test_what_is_no_span_is_refused_and_counted(receiver: Receiver, tmp_path: Path) -> None:
    address = receiver.open()["n1"].http
    receiver.begin(lambda: 0)
    assert post(address, "/v1/metrics", as_protobuf()) == 404
    assert post(address, "/v1/traces", as_protobuf()[:-3]) == 400
    assert post(address, "/v1/traces", b"{}", Content_Encoding="gzip") == 400
    bomb = gzip.compress(b"\0" * (17 << 20))
    assert post(address, "/v1/traces", bomb, Content_Encoding="gzip") == 400
    assert (kept(tmp_path), receiver.refused) == ([], 1)


def test_spans_are_taken_over_grpc(tmp_path: Path) -> None:
    grpc = pytest.importorskip("grpc")
    path = tmp_path / "evidence" / "spans.jsonl"
    receiver = Receiver(path, {"n1": "127.0.0.1"}, ("otlp-grpc",), lambda why: None)
    try:
        address = receiver.open()["n1"].grpc
        receiver.begin(lambda: 0)
        with grpc.insecure_channel(address) as channel:
            assert channel.unary_unary(EXPORT)(as_protobuf(), timeout=30) == b""
            with pytest.raises(grpc.RpcError, match="INVALID_ARGUMENT"):
                channel.unary_unary(EXPORT)(as_protobuf()[:-3], timeout=30)
    finally:
        receiver.close(linger_s=0)
    assert [span.trace for span in kept(tmp_path)] == [TRACE]


def test_our_own_spans_go_to_any_endpoint(receiver: Receiver, tmp_path: Path) -> None:
    operations = (
        Operation(0, 5, 1, "invoke", "write", [1, 2], node="n1"),
        Operation(1, 9, 1, "ok", "write", [1, 2], node="n1", timestamps={"commit": 17}),
        Operation(2, 10, 1, "invoke", "read", [1, None], node="n1"),
    )
    history = History(operations, Header(run="a-run"))
    spans = list(own_spans(history))
    trace = trace_id_of("a-run", 0)
    assert [(span.trace, span.span, span.end) for span in spans] == [
        (trace, span_id_of(trace), 9),
        (trace_id_of("a-run", 2), span_id_of(trace_id_of("a-run", 2)), 10),
    ]
    told = json.loads(as_otlp(spans, 1000))["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert told[0]["startTimeUnixNano"] == "1005"
    address = receiver.open()["n1"].http
    receiver.begin(lambda: 0)
    assert send(spans, 1000, f"http://{address}") == 2
    first, second = kept(tmp_path)
    assert first.attributes["polygraph.timestamp.commit"] == 17
    assert first.attributes["polygraph.outcome"] == "ok"
    assert second.attributes["polygraph.outcome"] == "info"

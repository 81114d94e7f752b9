"""Spans that a system tells of itself: where its processes are to send them.

With ``--traces`` a run listens for spans and keeps them in ``evidence/spans.jsonl``. A system that
can send them finds in ``stage.collectors`` where, when it is started; without ``--traces`` there is
nothing. Clients send the trace's id along whether or not (``traceparent()``), so that what a system
logs or tells of an operation can be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

OTLP_HTTP: Final = "otlp-http"
"""OpenTelemetry over HTTP, protobuf or JSON: POST ``/v1/traces``."""
OTLP_GRPC: Final = "otlp-grpc"
"""OpenTelemetry over gRPC, without TLS. The run needs the extra ``traces`` for it."""
JAEGER_THRIFT: Final = "jaeger-thrift"
"""Jaeger's binary thrift over HTTP: POST ``/api/traces``, as old servers send it."""
PROTOCOLS: Final = (OTLP_HTTP, OTLP_GRPC, JAEGER_THRIFT)


@dataclass(frozen=True)
class Collector:
    """Where one node's processes send spans, as they reach it: ``host:port``.

    ``http`` takes OpenTelemetry at ``/v1/traces`` and Jaeger's thrift at ``/api/traces``. ``grpc``
    is empty where nobody listens for it.
    """

    http: str
    grpc: str = ""


@runtime_checkable
class Traces(Protocol):
    """A system whose processes send spans, when ``start`` finds ``stage.collectors[node.name]``."""

    def trace_protocols(self) -> Sequence[str]:
        """By which of :data:`PROTOCOLS` it sends them, with the options given; none if it cannot.

        Known before set-up: ``--traces`` is refused where one of them cannot be listened for.
        """
        ...


@runtime_checkable
class ReachesController(Protocol):
    """A cluster whose nodes' processes can connect to this process, by its clock's machine."""

    def controller_host(self) -> str:
        """The address at which they do, and at which this process can listen. Once it is up."""
        ...

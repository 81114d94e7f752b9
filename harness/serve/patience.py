"""Connections that keep a server waiting are let go.

uvicorn waits for ever for the rest of a request, and for a visitor who does not read. Here a
request must have come whole ten seconds after its first byte (a connection that says nothing is
one too), an answer must get on, and where very many wait at once the eldest goes, so that they
can never keep others from being served.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_TIMEOUT_S: Final = 10.0
STALL_TIMEOUT_S: Final = 60.0
"""Without a byte taken by who asked."""
MOST_WAITING: Final = 256
"""Connections whose request has not come whole."""


def patient_protocol(
    request_timeout_s: float = REQUEST_TIMEOUT_S,
    stall_timeout_s: float = STALL_TIMEOUT_S,
    most_waiting: int = MOST_WAITING,
) -> type[H11Protocol]:
    """The protocol for uvicorn, with these bounds; all its connections count together."""
    waiting: dict[H11Protocol, asyncio.TimerHandle] = {}

    class Patient(H11Protocol):
        """uvicorn's own, with an end to its patience."""

        _stalled: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            """Begin to wait for the first request."""
            super().connection_made(transport)
            self._await_request()

        def data_received(self, data: bytes) -> None:
            """Take in ``data``; what then is still to come must come in time."""
            super().data_received(data)
            self._look()

        def on_response_complete(self) -> None:
            """The next request may have come in part already."""
            super().on_response_complete()
            self._look()

        def connection_lost(self, exc: Exception | None) -> None:
            """Nothing is waited for any more."""
            self._stop_waiting()
            self.resume_writing()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            """Who asked does not read."""
            super().pause_writing()
            self._stalled = self.loop.call_later(stall_timeout_s, self.transport.abort)

        def resume_writing(self) -> None:
            """Who asked has read on."""
            if self._stalled is not None:
                self._stalled.cancel()
                self._stalled = None
            super().resume_writing()

        def _look(self) -> None:
            their_state, (rest, _) = self.conn.their_state, self.conn.trailing_data
            is_half = their_state is h11.SEND_BODY or (their_state is h11.IDLE and bool(rest))
            if not is_half:
                self._stop_waiting()
            elif self not in waiting:  # the first byte counts, not the last
                self._await_request()

        def _await_request(self) -> None:
            waiting[self] = self.loop.call_later(request_timeout_s, self._let_go)
            if len(waiting) > most_waiting:
                eldest: Any = next(iter(waiting))
                eldest._let_go()

        def _stop_waiting(self) -> None:
            timer = waiting.pop(self, None)
            if timer is not None:
                timer.cancel()

        def _let_go(self) -> None:
            self._stop_waiting()
            self.transport.abort()

    return Patient

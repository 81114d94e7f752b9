"""The hands that try, from inside a node, which of the others' ports answer a new TCP connection.

A port that refuses answers, too: what is asked is whether packets go there and come back. Nothing
waits in here, since whoever sits in a node may serve one request at a time.
"""

from __future__ import annotations

import errno
import select
import socket

from .inside import Part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .inside import Inside


class Dials(Part):
    """The connections that are under way, by the place that they go to."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self._dials: dict[str, socket.socket] = {}

    def begin(self, places: list[str]) -> None:
        """Begin a connection to each ``host:port``, instead of any that are under way."""
        self.end()
        for place in places:
            host, _, port = place.rpartition(":")
            host = host.strip("[]")
            dial = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            dial.setblocking(False)
            self._dials[place] = dial
            dial.connect_ex((host, int(port)))

    def answered(self) -> list[str]:
        """The places that have answered since this was last asked; each is told once."""
        poll = select.poll()
        places = {dial.fileno(): place for place, dial in self._dials.items()}
        for number in places:
            poll.register(number, select.POLLOUT)
        found = []
        for number, _ in poll.poll(0):
            dial = self._dials.pop(places[number])
            error = dial.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            dial.close()
            if error in (0, errno.ECONNREFUSED, errno.ECONNRESET):
                found.append(places[number])
        return found

    def end(self) -> None:
        """Give up what is under way. Safe twice."""
        for dial in self._dials.values():
            dial.close()
        self._dials.clear()


def dial(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: begin a connection to each of ``places``."""
    inside.part(Dials).begin(request["places"])
    return {}


def dialled(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: which have answered since it was last asked; no others will if ``is_last``."""
    dials = inside.part(Dials)
    answered = dials.answered()
    if request["is_last"]:
        dials.end()
    return {"answered": answered}

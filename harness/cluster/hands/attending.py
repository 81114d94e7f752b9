"""The program in a side-car beside a container that somebody else runs.

The side-car is in that container's network and sees the processes of the whole machine: a
container's first process cannot be stopped or killed from inside its own process namespace. Only
what it is told to ``adopt`` is ever touched, with what that started. The controller speaks to it as
to any side-car (:mod:`harness.cluster.hands.sidecar`). Its end, or that of the channel to it,
undoes everything that was done; what it cannot undo, because it is killed itself, stands in
its folder, and whoever comes after it in the same side-car undoes that.
"""

from __future__ import annotations

import json
import os
import sys
import threading

from . import attached, clock_server
from .daemons import Daemons
from .inside import HANDS, Inside, answered, obey
from .sidecar import Voice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def main() -> None:
    """Serve until the controller goes. ``argv``: the folder with the package, one for notes."""
    say = Voice()
    attending = Attending(sys.argv[2])
    for line in sys.stdin:
        threading.Thread(target=serve, args=(attending, say, json.loads(line)), daemon=True).start()
    attending.obey({"op": "undo"})
    os._exit(0)


def serve(attending: Attending, say: Voice, request: dict[str, Any]) -> None:
    """Obey one request and answer it."""
    say({"id": request["id"], **attending.obey(request)})


class Attending:
    """What is done to one container, and to nothing else here."""

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        self._clock = clock_server.ServedClock(clock_server.program(followed=True))
        self._inside = Inside(Daemons(), clock=lambda: self._clock, watch=_no_watch, folder=folder)
        part = self._inside.part(attached.Attached)
        part.use(self._inside)
        for pid, ticks in part.leaders():
            self._clock.follow(pid, ticks)

    def obey(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request, or ``refused`` with why."""
        if request["op"] == "sync":
            return {}
        if request["op"] not in HANDS:
            return answered(lambda: {"refused": f"nobody here can {request['op']}"}, request["op"])
        answer = obey(self._inside, request)
        if request["op"] == "adopt" and "refused" not in answer:
            self._clock.follow(answer["pid"], answer["ticks"])
        return answer


def _no_watch() -> NoReturn:
    from .refused import Refused

    raise Refused("system calls are not watched from a side-car")

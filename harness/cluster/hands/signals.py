"""The hands that signal daemons and look at them, with all that is of each."""

from __future__ import annotations

from signal import SIGCONT

from . import attached

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .inside import Inside


def signal(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: ``number`` to the daemon ``identity`` (all four parts of it).

    Of one that is not ours it is on record before it stands, and until it goes on.
    """
    identity, number = request["identity"], request["number"]
    others = inside.part(attached.Attached)
    if number != SIGCONT:
        others.note(identity, number)
    answer = {"signalled": inside.daemons.signal(identity, number)}
    if number == SIGCONT:
        others.note(identity, number)
    return answer


def look(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: the state of each of ``processes``, (pid, start ticks) of a daemon."""
    return {"states": [inside.daemons.state(*each) for each in request["processes"]]}


def family(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: what runs of the daemon ``process``, (pid, start ticks)."""
    return {"members": inside.daemons.members(*request["process"])}

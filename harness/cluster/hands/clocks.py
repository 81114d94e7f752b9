"""The hands of time: a node's clock is set, healed and read, and its system calls are watched."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .inside import Inside


def clock(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: ``do`` is ``set`` (with ``program``), ``heal``, ``read``, or ``try`` on a child.

    Or ``rehearse``: whether what runs here can be seized, by doing so for a moment.

    ``method`` of ``machine``: the machine's own clock, by a process that may set it.
    """
    do = request["do"]
    if request.get("method") == "machine":
        from .machine_keeper import Machine

        return inside.part(Machine).clock(request)
    if do == "try":
        from . import clock_probe

        return {"why": clock_probe.refusal_here()}
    of_node = inside.clock()
    if do == "set":
        return {"clock": of_node.set(request["program"])}
    if do == "rehearse":
        return {"clock": of_node.rehearse()}
    return {"clock": of_node.heal() if do == "heal" else of_node.state()}


def syscalls(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: trace every system call from now on; what was seen so far."""
    return {"syscalls": inside.watch().state()}
